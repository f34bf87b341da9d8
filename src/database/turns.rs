//! Turns with the write lock: the one scheduler of work that is done in many short transactions.

use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::error::Result;
use crate::event::{Holds, Observer, Obstacle};

use super::holds::Histogram;
use super::log::Log;
use super::pace::Pace;
use super::wait::Wait;
use super::{Database, Durability, ForeignKeys};

/// How often we look whether a full log can be begun anew, which may hold the lock for a tenth of that time.
const LOOK_AT_LOG: Duration = Duration::from_millis(50);

/// Takes turns with whoever else writes to the file: holds the write lock for about a millisecond, and leaves it free for
/// five; while nobody else writes, it works at full speed.
///
/// The turns are what is durable: each is committed before the next begins, and in a file with a write-ahead log a
/// power cut may take back the last of them.
pub struct Turns<'a> {
    database: &'a Database,
    log: Option<Log<'a>>,
    pace: Pace,
    /// The rows that were last said to fit into a turn.
    rows: u32,
    holds: Histogram,
    last_hold: Duration,
    waited: Duration,
    /// SQLite's count of what others have committed, and when we last looked at it.
    others: i64,
    looked: Instant,
    /// When we last gave back the lock; never yet, before the first turn.
    free_since: Option<Instant>,
}

impl<'a> Turns<'a> {
    /// How often the rows of a turn are doubled at most.
    pub const MOST_DOUBLINGS: u32 = 12;

    /// A scheduler whose turns take at most `most_rows` rows, and the first `at_first`.
    pub fn new(database: &'a Database, at_first: u32, most_rows: u32) -> Result<Self> {
        let now = Instant::now();
        let others = database.data_version()?;
        let (others_then, opened) = database.opened;
        let quiet = if others == others_then {
            now - opened
        } else {
            Duration::ZERO
        };
        Ok(Self {
            database,
            log: Log::of(database)?,
            pace: Pace::new(at_first, most_rows, quiet),
            rows: 1,
            holds: Histogram::new(),
            last_hold: Duration::ZERO,
            waited: Duration::ZERO,
            others,
            looked: now,
            free_since: None,
        })
    }

    /// How many rows the next turn may take: what fits into its time, and twice as many for each of the `doublings`, however
    /// long that holds the lock.
    pub fn rows(&mut self, doublings: u32) -> Result<u32> {
        self.look(false)?;
        let times = 1 << doublings.min(Self::MOST_DOUBLINGS);
        self.rows = self.pace.rows().saturating_mul(times);
        Ok(self.rows)
    }

    /// Takes a turn: once manners allow it and there is room in the log, `work` runs under the write lock, and is
    /// committed. Where it returns nothing, or fails, nothing of it is kept.
    ///
    /// Fails with [`Error::Busy`](crate::Error::Busy) where another connection holds the lock for longer than the busy
    /// timeout. A log that a reader keeps from being begun anew is waited for without an end; the observer is told of
    /// it, and may stop the wait.
    pub fn take<T>(
        &mut self,
        foreign_keys: ForeignKeys,
        observer: &mut Observer<'_>,
        work: impl FnOnce(&Connection) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        self.tend_log()?;
        self.await_room(observer)?;
        self.leave_gap();
        self.database.set_up(foreign_keys, Durability::Later)?;
        let mut wait = Wait::on(Obstacle::Lock);
        let begun = self.database.lock(&mut wait, observer);
        self.waited += wait.so_far();
        let was_taken = begun?;
        let locked = Instant::now();
        if let Some(since) = self.free_since {
            self.pace.was_free(locked - since);
        }
        let outcome = self
            .look(was_taken)
            .and_then(|()| work(&self.database.connection));
        let worked = locked.elapsed();
        let outcome = match outcome {
            Ok(None) => self.database.roll_back().map(|()| None),
            outcome => self.database.conclude(outcome),
        };
        let held = locked.elapsed();
        self.free_since = Some(locked + held);
        self.holds.add(held);
        self.last_hold = held;
        // A commit may wait for the disk, however few the rows: without a write-ahead log, and where one is begun anew.
        self.pace.took(self.rows, worked, held);
        outcome
    }

    /// How long the last turn held the lock.
    #[must_use]
    pub fn last_hold(&self) -> Duration {
        self.last_hold
    }

    /// How long the lock was held so far, and waited for.
    #[must_use]
    pub fn holds(&self) -> Holds {
        self.holds.summary(self.waited)
    }

    /// Looks whether anybody else has written; who had the lock may not have done so yet.
    fn look(&mut self, was_taken: bool) -> Result<()> {
        let others = self.database.data_version()?;
        let now = Instant::now();
        let seen = others != self.others || was_taken;
        self.pace.look(seen, now - self.looked);
        (self.others, self.looked) = (others, now);
        Ok(())
    }

    /// Leaves the lock free for as long as manners ask.
    fn leave_gap(&self) {
        if let Some(since) = self.free_since {
            thread::sleep(self.pace.gap().saturating_sub(since.elapsed()));
        }
    }

    /// Keeps the log short. What of that needs the lock is a turn of its own.
    fn tend_log(&mut self) -> Result<()> {
        let is_gap = !self.pace.gap().is_zero();
        let Some(log) = &mut self.log else {
            return Ok(());
        };
        if log.tend(is_gap)? {
            self.leave_gap();
            self.restart_log()?;
        }
        Ok(())
    }

    fn await_room(&mut self, observer: &mut Observer<'_>) -> Result<()> {
        let mut wait = Wait::on(Obstacle::FullLog);
        while let Some(log) = &mut self.log
            && log.is_full()?
        {
            if log.empty()? && self.restart_log()? {
                break;
            }
            wait.sleep(LOOK_AT_LOG, observer)?;
        }
        Ok(())
    }

    /// Has the log begun anew, and returns whether that succeeded. It counts as a turn, however much of its time it
    /// waited for the lock.
    fn restart_log(&mut self) -> Result<bool> {
        let Some(log) = &self.log else {
            return Ok(true);
        };
        let started = Instant::now();
        let outcome = log.restart();
        self.holds.add(started.elapsed());
        self.free_since = Some(Instant::now());
        outcome
    }
}
