//! The instance announces itself as `docs/instances.md` tells, so that nobody takes its column away while it runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{process, thread};

use rusqlite::{Connection, params};

use super::store::connect;
use super::{Args, LOOK};

/// For how long the word of an instance is good, in seconds, and how often it is given anew.
const LEASE: u32 = 30;
const HEARTBEAT: Duration = Duration::from_secs(10);

const REGISTER: &str = "
    INSERT INTO _changeover_instances (name, version, app_version, lease_seconds, pid)
    VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (name) DO UPDATE SET version = excluded.version, app_version = excluded.app_version,
        lease_seconds = excluded.lease_seconds, pid = excluded.pid, seen_at = excluded.seen_at";

const RETIRE: &str = "DELETE FROM _changeover_instances WHERE name = ?1 AND pid = ?2";

/// This process, by its name.
pub(crate) struct Instance {
    connection: Connection,
    name: String,
    schema_version: i64,
    app_version: &'static str,
}

impl Instance {
    pub(crate) fn open(args: &Args) -> rusqlite::Result<Self> {
        Ok(Self {
            connection: connect(&args.db)?,
            name: args.name.clone(),
            schema_version: args.schema_version,
            app_version: args.version.word(),
        })
    }

    /// Gives word that the instance is there, again and again until it is to end.
    pub(crate) fn stay_registered(&self, stop: &AtomicBool) -> rusqlite::Result<()> {
        while !stop.load(Ordering::Relaxed) {
            unless_unknown(self.connection.execute(
                REGISTER,
                params![
                    self.name,
                    self.schema_version,
                    self.app_version,
                    LEASE,
                    process::id()
                ],
            ))?;
            let said = Instant::now();
            while !stop.load(Ordering::Relaxed) && said.elapsed() < HEARTBEAT {
                thread::sleep(LOOK);
            }
        }
        Ok(())
    }

    /// Takes the word back, unless another process has given it meanwhile.
    pub(crate) fn retire(&self) -> rusqlite::Result<()> {
        let word = params![self.name, process::id()];
        unless_unknown(self.connection.execute(RETIRE, word))
    }
}

/// Before the first change of a file there is no table for instances, and nobody who would look there.
fn unless_unknown(outcome: rusqlite::Result<usize>) -> rusqlite::Result<()> {
    match outcome {
        Err(error) if error.to_string().contains("no such table") => Ok(()),
        outcome => outcome.map(drop),
    }
}
