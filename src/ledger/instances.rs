//! The instances that have registered. Applications write the same table themselves, so that nothing in it is believed
//! beyond what its constraints and this module hold.

use std::num::NonZeroU32;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, named_params};

use crate::error::Result;
use crate::instance::{Instance, Label, Lease};
use crate::request::RegisterInstance;

/// How many instances are looked at: first those that live, of these first those that know least.
const MOST: usize = 1000;

/// This moment in seconds since 1970, by SQLite's clock.
const NOW: &str = "CAST(strftime('%s', 'now') AS INTEGER)";

/// The longest lease, in seconds.
const LONGEST: u32 = Lease::LONGEST.seconds();

/// Whether an instance lives. A word that is from so far in the future that nobody could outwait it is not believed.
fn lives() -> String {
    format!("seen_at + lease_seconds - {NOW} BETWEEN 0 AND {LONGEST}")
}

/// Registers an instance, in the place of one of that name. Those whose lease ended long ago go.
pub fn register(connection: &Connection, asked: &RegisterInstance) -> Result<Instance> {
    connection.execute(
        &format!("DELETE FROM _changeover_instances WHERE seen_at < {NOW} - 2 * {LONGEST}"),
        [],
    )?;
    connection.execute(
        "REPLACE INTO _changeover_instances (name, version, app_version, pid, lease_seconds) \
         VALUES (:name, :version, :app_version, :pid, :lease_seconds)",
        named_params! {
            ":name": asked.name.as_str(),
            ":version": asked.version,
            ":app_version": asked.app_version.as_ref().map(Label::as_str),
            ":pid": asked.pid.map(NonZeroU32::get),
            ":lease_seconds": asked.lease_seconds.seconds(),
        },
    )?;
    named(connection, &asked.name)
}

/// Begins the lease of an instance anew, and returns it; none where none of that name lives.
pub fn heartbeat(connection: &Connection, name: &Label) -> Result<Option<Instance>> {
    if !has_table(connection)? {
        return Ok(None);
    }
    let renewed = connection.execute(
        &format!(
            "UPDATE _changeover_instances SET seen_at = {NOW} WHERE name = ?1 AND {}",
            lives()
        ),
        [name.as_str()],
    )?;
    (renewed == 1).then(|| named(connection, name)).transpose()
}

/// Takes an instance out. Returns whether there was one of that name.
pub fn retire(connection: &Connection, name: &Label) -> Result<bool> {
    let sql = "DELETE FROM _changeover_instances WHERE name = ?1";
    Ok(has_table(connection)? && connection.execute(sql, [name.as_str()])? == 1)
}

/// Who has registered: those that live first, of these first those that know least.
pub fn instances(connection: &Connection) -> Result<Vec<Instance>> {
    if !has_table(connection)? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(&format!(
        "{} ORDER BY lives DESC, version, name LIMIT {MOST}",
        select()
    ))?;
    let instances = statement.query_map([], instance)?;
    Ok(instances.collect::<rusqlite::Result<_>>()?)
}

fn named(connection: &Connection, name: &Label) -> Result<Instance> {
    let mut statement = connection.prepare_cached(&format!("{} WHERE name = ?1", select()))?;
    Ok(statement.query_row([name.as_str()], instance)?)
}

fn select() -> String {
    format!(
        "SELECT name, version, app_version, pid, lease_seconds, {NOW} - seen_at, {} AS lives FROM _changeover_instances",
        lives()
    )
}

fn instance(row: &Row<'_>) -> rusqlite::Result<Instance> {
    let lease = Lease::try_from(row.get::<_, i64>(4)?).unwrap_or_default();
    // A moment so far away that the difference is no integer any more is no moment.
    let silence = row.get::<_, i64>(5).unwrap_or_default();
    let left = i64::from(lease.seconds()).saturating_sub(silence);
    let lives: bool = row.get(6)?;
    let seconds = |seconds: i64| Duration::from_secs(seconds.max(0).unsigned_abs());
    Ok(Instance {
        name: label(row.get_ref(0)?).unwrap_or_else(|| Label::found(b"?")),
        version: row.get(1)?,
        app_version: label(row.get_ref(2)?),
        pid: row.get::<_, Option<u32>>(3)?.and_then(NonZeroU32::new),
        lease,
        silence: seconds(silence),
        left: lives.then(|| seconds(left)),
    })
}

fn label(value: ValueRef<'_>) -> Option<Label> {
    value.as_bytes().ok().map(Label::found)
}

/// Whether the ledger is there, and of a format that has the table.
fn has_table(connection: &Connection) -> Result<bool> {
    Ok(super::format(connection)?.unwrap_or(0) >= 4)
}
