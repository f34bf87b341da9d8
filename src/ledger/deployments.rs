//! How far a rollout has come with each instance of the application.

use rusqlite::{Connection, params};

use crate::error::Result;

/// The format of the ledger that has deployments.
const FORMAT: i64 = 5;

/// An instance that a rollout has begun to bring to the new version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Deployment {
    /// What the instance is called.
    pub instance: String,
    /// The command that brings it there, as a JSON array.
    pub command: String,
    /// The process of the command that was started on it last.
    pub process: Option<String>,
    /// Whether it was found healthy behind that command.
    pub is_healthy: bool,
}

/// The instances that a rollout of the change has begun with, by name.
pub fn deployments(connection: &Connection, change: i64) -> Result<Vec<Deployment>> {
    if super::format(connection)?.unwrap_or(0) < FORMAT {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(
        "SELECT instance, command, process, healthy_at IS NOT NULL FROM _changeover_deployments \
         WHERE change_id = ?1 ORDER BY instance",
    )?;
    let deployments = statement.query_map([change], |row| {
        Ok(Deployment {
            instance: row.get(0)?,
            command: row.get(1)?,
            process: row.get(2)?,
            is_healthy: row.get(3)?,
        })
    })?;
    Ok(deployments.collect::<rusqlite::Result<_>>()?)
}

/// Notes how far an instance has come.
pub fn note_deployment(connection: &Connection, change: i64, now: &Deployment) -> Result<()> {
    connection.execute(
        "INSERT INTO _changeover_deployments (change_id, instance, command, process, healthy_at) \
         VALUES (?1, ?2, ?3, ?4, CASE WHEN ?5 THEN strftime('%Y-%m-%dT%H:%M:%fZ', 'now') END) \
         ON CONFLICT DO UPDATE SET command = excluded.command, process = excluded.process, \
         healthy_at = excluded.healthy_at",
        params![
            change,
            now.instance,
            now.command,
            now.process,
            now.is_healthy
        ],
    )?;
    Ok(())
}
