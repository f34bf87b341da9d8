//! Waiting for somebody else, in the sight of the observer.

use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::event::{Event, Observer, Obstacle};

use super::Database;

/// How often we look whether the lock is free: often enough to catch the moment between two other writers.
const LOOK: Duration = Duration::from_micros(500);

/// How often a wait is told: so soon the observer can end it.
const TELL: Duration = Duration::from_millis(100);

/// A wait for somebody else.
pub struct Wait {
    on: Obstacle,
    since: Instant,
    told: u32,
}

impl Wait {
    /// One that begins now.
    #[must_use]
    pub fn on(on: Obstacle) -> Self {
        Self {
            on,
            since: Instant::now(),
            told: 0,
        }
    }

    /// How long it has lasted.
    #[must_use]
    pub fn so_far(&self) -> Duration {
        self.since.elapsed()
    }

    /// Lets some time pass. Fails with [`Error::Stopped`] where the observer does not want to wait any longer.
    pub fn sleep(&mut self, time: Duration, observer: &mut Observer<'_>) -> Result<()> {
        let so_far = self.so_far();
        if so_far >= TELL * (self.told + 1) {
            self.told += 1;
            let event = Event::Waiting {
                on: self.on,
                so_far,
            };
            if observer(&event).is_break() {
                return Err(Error::Stopped);
            }
        }
        thread::sleep(time);
        Ok(())
    }
}

impl Database {
    /// Begins a transaction that has the write lock, and returns whether somebody else had it first.
    ///
    /// Fails with [`Error::Busy`] where another connection keeps it for longer than the busy timeout.
    pub(super) fn lock(&self, wait: &mut Wait, observer: &mut Observer<'_>) -> Result<bool> {
        let mut was_taken = false;
        loop {
            let begun = self.waiting(Duration::ZERO, |connection| {
                connection.execute_batch("BEGIN IMMEDIATE")
            });
            match begun.map_err(Error::from) {
                Err(Error::Busy) if wait.so_far() < self.busy_timeout => {
                    was_taken = true;
                    wait.sleep(LOOK, observer)?;
                }
                begun => return begun.map(|()| was_taken),
            }
        }
    }
}
