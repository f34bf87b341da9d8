//! The lease: of all processes that could work on a change, one does.

use std::time::{Duration, Instant};

use crate::database::{Database, Durability, ForeignKeys};
use crate::error::{Error, Result};
use crate::event::{Event, Holds, Observer, Obstacle};
use crate::ledger::{self, Run};

use super::Runner;

/// How often a run that waits looks again.
const LOOK: Duration = Duration::from_millis(50);

/// How long a run that writes nothing may go without telling that it lives.
const SILENCE: Duration = Duration::from_secs(2);

/// The right to work on a change.
pub(super) struct Lease<'a> {
    database: &'a Database,
    change: i64,
    token: &'a str,
    progress: (u64, u64),
    renewed: Instant,
}

impl<'a> Lease<'a> {
    /// Takes the work. Waits for another process that has it for as long as for a lock, and then fails with
    /// [`Error::Running`]; one that is silent for too long, or gone, has lost it.
    pub(super) fn take(
        database: &'a Database,
        change: i64,
        token: &'a str,
        runner: &Runner,
        patience: Duration,
        observer: &mut Observer<'_>,
    ) -> Result<Self> {
        let begun = Instant::now();
        let claim = |given_up: Option<&Run>| {
            database.write(ForeignKeys::Off, Durability::Later, |connection| {
                ledger::claim(connection, change, token, &runner.name, given_up)
            })
        };
        while !claim(None)? {
            let Some(other) = ledger::run(database.connection(), change)? else {
                continue;
            };
            let name = other.runner.clone().unwrap_or_default();
            if (runner.is_gone)(&name) && claim(Some(&other))? {
                break;
            }
            if begun.elapsed() >= patience {
                return Err(Error::Running(name));
            }
            super::run::tell(
                observer,
                &Event::Waiting {
                    on: Obstacle::Runner,
                    so_far: begun.elapsed(),
                },
            )?;
            std::thread::sleep(LOOK);
        }
        Ok(Self {
            database,
            change,
            token,
            progress: (0, 0),
            renewed: Instant::now(),
        })
    }

    /// Tells, in the transaction of a batch, how far the work has come. Returns whether it is to pause.
    ///
    /// Fails with [`Error::TakenOver`] where another process has the work by now, so that the batch is rolled back.
    pub(super) fn renew(&mut self, passed: u64, rows: u64, holds: Holds) -> Result<bool> {
        self.progress = (passed, rows);
        self.renewed = Instant::now();
        let connection = self.database.connection();
        ledger::renew(connection, self.change, self.token, self.progress, holds)?
            .ok_or(Error::TakenOver)
    }

    /// Tells, between the reads of a long look, that the work goes on.
    pub(super) fn keep(&mut self, holds: Holds) -> Result<()> {
        if self.renewed.elapsed() < SILENCE {
            return Ok(());
        }
        let (passed, rows) = self.progress;
        self.database
            .write(ForeignKeys::Off, Durability::Later, |_| {
                self.renew(passed, rows, holds).map(drop)
            })
    }

    /// Waits until nobody wants the work to pause any more.
    pub(super) fn pause(&mut self, holds: Holds, observer: &mut Observer<'_>) -> Result<()> {
        let begun = Instant::now();
        while ledger::run(self.database.connection(), self.change)?.is_some_and(|run| run.is_paused)
        {
            self.keep(holds)?;
            super::run::tell(
                observer,
                &Event::Waiting {
                    on: Obstacle::Pause,
                    so_far: begun.elapsed(),
                },
            )?;
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        // One that cannot be given back, for want of room on the disk, runs out by itself.
        let _ = self
            .database
            .write(ForeignKeys::Off, Durability::Later, |connection| {
                ledger::release(connection, self.change, self.token)
            });
    }
}
