//! The lease: of all processes that could work on a change, one does.

use std::time::{Duration, Instant};

use crate::database::{Database, Durability, ForeignKeys, Wait};
use crate::error::{Error, Result};
use crate::event::{Holds, Observer, Obstacle};
use crate::ledger::{self, Run};

use super::{Options, Runner};

/// How often a run that waits looks again.
const LOOK: Duration = Duration::from_millis(50);

/// How long a run that writes nothing may go without telling that it lives.
const SILENCE: Duration = Duration::from_secs(2);

/// The right to work on a change.
pub(super) struct Lease<'a> {
    database: &'a Database,
    change: i64,
    token: &'a str,
    runner: &'a Runner,
    /// Who had the work last, and has lost it.
    given_up: Option<Run>,
    supersedes: bool,
    is_held: bool,
    progress: (u64, u64),
    holds: Holds,
    renewed: Instant,
}

impl<'a> Lease<'a> {
    /// A lease that is yet to be claimed, on work that nobody has. Waits for another process that has it for as
    /// long as for a lock, and then fails with [`Error::Running`]; one that is silent for too long, or gone, has
    /// lost it, and so has everybody where the work `supersedes` theirs.
    pub(super) fn await_free(
        database: &'a Database,
        change: i64,
        supersedes: bool,
        token: &'a str,
        options: &'a Options,
        observer: &mut Observer<'_>,
    ) -> Result<Self> {
        let mut wait = Wait::on(Obstacle::Runner);
        let given_up = loop {
            let run = ledger::run(database.connection(), change)?;
            let Some(other) = run.filter(|run| run.is_taken_by_other(token)) else {
                break None;
            };
            let name = other.runner.clone().unwrap_or_default();
            if supersedes || other.is_silent() || (options.runner.is_gone)(&name) {
                break Some(other);
            }
            if wait.so_far() >= options.busy_timeout {
                return Err(Error::Running(name));
            }
            wait.sleep(LOOK, observer)?;
        };
        Ok(Self {
            database,
            change,
            token,
            runner: &options.runner,
            given_up,
            supersedes,
            is_held: false,
            progress: (0, 0),
            holds: Holds::default(),
            renewed: Instant::now(),
        })
    }

    /// Claims the work in the transaction that begins it, or makes sure in a later one that it is still ours; call
    /// [`Self::is_committed`] behind that. Returns whether nobody else was first.
    pub(super) fn hold(&mut self) -> Result<bool> {
        if self.is_held {
            let (passed, rows) = self.progress;
            return self.renew(passed, rows, self.holds).map(|_| true);
        }
        let connection = self.database.connection();
        let given_up = self.given_up.as_ref();
        if self.supersedes {
            // Whoever has paused the work before did not mean this one.
            ledger::resume(connection, self.change)?;
        }
        ledger::claim(
            connection,
            self.change,
            self.token,
            &self.runner.name,
            given_up,
        )
    }

    /// The transaction in which the work was claimed stands.
    pub(super) fn is_committed(&mut self) {
        self.is_held = true;
        self.renewed = Instant::now();
    }

    /// Whether the work is ours.
    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }

    /// Claims the work in a transaction of its own.
    pub(super) fn take(&mut self) -> Result<bool> {
        let database = self.database;
        let is_held = database.write(ForeignKeys::Off, Durability::Later, |_| self.hold())?;
        if is_held {
            self.is_committed();
        }
        Ok(is_held)
    }

    /// Tells, in the transaction of a batch, how far the work has come. Returns whether it is to pause.
    ///
    /// Fails with [`Error::TakenOver`] where another process has the work by now, so that the batch is rolled back.
    pub(super) fn renew(&mut self, passed: u64, rows: u64, holds: Holds) -> Result<bool> {
        self.progress = (passed, rows);
        self.holds = holds;
        self.renewed = Instant::now();
        let connection = self.database.connection();
        ledger::renew(connection, self.change, self.token, self.progress, holds)?
            .ok_or(Error::TakenOver)
    }

    /// Tells, between the reads of a long look, that the work goes on.
    pub(super) fn keep(&mut self) -> Result<()> {
        if !self.is_held || self.renewed.elapsed() < SILENCE {
            return Ok(());
        }
        let ((passed, rows), holds) = (self.progress, self.holds);
        self.database
            .write(ForeignKeys::Off, Durability::Later, |_| {
                self.renew(passed, rows, holds).map(drop)
            })
    }

    /// Waits until nobody wants the work to pause any more; `holds` is what there is to tell of the work so far.
    pub(super) fn pause(&mut self, holds: Holds, observer: &mut Observer<'_>) -> Result<()> {
        self.holds = holds;
        let mut wait = Wait::on(Obstacle::Pause);
        while ledger::run(self.database.connection(), self.change)?.is_some_and(|run| run.is_paused)
        {
            self.keep()?;
            wait.sleep(LOOK, observer)?;
        }
        Ok(())
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if !self.is_held {
            return;
        }
        // One that cannot be given back, for want of room on the disk, runs out by itself.
        let _ = self
            .database
            .write(ForeignKeys::Off, Durability::Later, |connection| {
                ledger::release(connection, self.change, self.token)
            });
    }
}
