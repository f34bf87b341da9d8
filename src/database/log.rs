//! The write-ahead log while we write much: we move it into the file ourselves, outside of the write lock.

use std::thread;
use std::time::Duration;

use crate::error::Result;

use super::Database;
use super::mover::{self, Mover};

/// How many frames are moved at once in a gap.
const IN_GAP: u32 = 200;

/// From how many frames on the log is begun anew in a gap. Applications move it at 1,000, in a commit of theirs, which would
/// then wait for what is our work.
const ANEW: u32 = 800;

/// From how many frames on it is moved between two reads of ours: where applications do so.
const BETWEEN_READS: u32 = 1000;

/// From how many frames on that is tried for longer.
const LONG_BETWEEN_READS: u32 = 4000;

/// How often that is tried, how often where the log is long, and how long it is let be in between.
const ATTEMPTS: u32 = 10;
const LONG_ATTEMPTS: u32 = 200;
const MOMENT: Duration = Duration::from_millis(1);

/// How much of the log is left to the [`Mover`] at once while nobody else writes, in KiB.
const IN_BACKGROUND_KIB: u32 = 4 * 1024;

/// How far the log grows before it is moved to its end at any time, in KiB: that waits for the disk.
const LONG_KIB: u32 = 16 * 1024;

/// How far the log may have grown for us to write on, in KiB. What a turn adds and others write meanwhile comes on
/// top, and 32 MiB are to hold it all.
const FULL_KIB: u32 = 24 * 1024;

/// How long a restart waits for the lock, and then for those who still read from the log: no longer than a short read.
const PATIENCE: Duration = Duration::from_millis(5);

/// The write-ahead log of a file. For as long as this lives, commits of ours do not move it.
pub(super) struct Log<'a> {
    database: &'a Database,
    mover: Mover,
    /// From how many frames on it is moved in a gap, is begun anew there, is moved in the background, is moved to its end
    /// at any time, and is full.
    in_gap: u32,
    anew: u32,
    in_background: u32,
    long: u32,
    full: u32,
    /// Where our commits would move it else.
    automatic: i64,
}

/// How long the log is, in frames: pages, as often as they were written.
#[derive(Clone, Copy, Debug)]
struct Length {
    frames: u32,
    /// Those that are not in the file yet.
    behind: u32,
    /// Whether somebody was in the way of what was asked for.
    is_busy: bool,
}

/// How far a checkpoint goes.
#[derive(Clone, Copy, Debug)]
enum Checkpoint {
    /// Nowhere: it tells how long the log is.
    Noop,
    /// To the end, under the write lock; who writes next begins the log anew.
    Restart,
}

impl<'a> Log<'a> {
    /// The log of the file, where it has one.
    pub(super) fn of(database: &'a Database) -> Result<Option<Self>> {
        if !database.is_wal {
            return Ok(None);
        }
        let pragma = |name| {
            let connection = &database.connection;
            connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0))
        };
        let page = u32::try_from(pragma("page_size")?).unwrap_or(4096);
        let frames = |kib: u32| kib * 1024 / page;
        let log = Self {
            database,
            mover: Mover::new(&database.path),
            in_gap: IN_GAP.min(frames(LONG_KIB)),
            anew: ANEW.min(frames(LONG_KIB)),
            in_background: frames(IN_BACKGROUND_KIB),
            long: frames(LONG_KIB),
            full: frames(FULL_KIB),
            automatic: pragma("wal_autocheckpoint")?,
        };
        log.move_at(0)?;
        Ok(Some(log))
    }

    /// Moves the log into the file if it is long enough for that, without holding up anybody; while the lock is to be
    /// free in any case, as `is_gap` says, a shorter log is long enough. Returns whether [`Log::restart`] is called for.
    ///
    /// Where others write all the time, something of the log is always left behind, so that it would grow on and on.
    /// Where a reader keeps most of it from being moved, a restart would be to no avail.
    pub(super) fn tend(&mut self, is_gap: bool) -> Result<bool> {
        let due = if is_gap { self.in_gap } else { self.long };
        let length = self.checkpoint(Checkpoint::Noop)?;
        if length.frames < due {
            if !is_gap && length.behind >= self.in_background {
                self.mover.start();
            }
            return Ok(false);
        }
        self.mover.finish();
        let behind = if length.behind < self.in_gap {
            length.behind
        } else {
            self.database.move_log_along()?
        };
        if length.frames < self.anew || !(1..self.in_gap).contains(&behind) {
            return Ok(false);
        }
        Ok(self.database.move_log_along()? > 0)
    }

    /// Whether there is no room for another turn before the log is begun anew.
    pub(super) fn is_full(&self) -> Result<bool> {
        Ok(self.checkpoint(Checkpoint::Noop)?.frames >= self.full)
    }

    /// Moves a full log as far as it can be without holding up anybody. Returns whether [`Log::restart`] may do the
    /// rest; where a reader keeps most of the log from being moved, it would wait for him under the lock.
    pub(super) fn empty(&mut self) -> Result<bool> {
        self.mover.finish();
        Ok(self.database.move_log_along()? < self.in_gap)
    }

    /// Moves what is left under the write lock, and returns whether the next write begins the log anew.
    pub(super) fn restart(&self) -> Result<bool> {
        Ok(!self.checkpoint(Checkpoint::Restart)?.is_busy)
    }

    fn checkpoint(&self, checkpoint: Checkpoint) -> Result<Length> {
        self.database.checkpoint(checkpoint)
    }

    fn move_at(&self, frames: i64) -> Result<()> {
        let connection = &self.database.connection;
        Ok(connection.pragma_update(None, "wal_autocheckpoint", frames)?)
    }
}

impl Database {
    /// Moves a log that others have filled, between two reads of ours that follow one upon the other: while one of these lasts,
    /// nobody can move what came behind its beginning, and hardly anybody would meet the moment between two. Who reads
    /// behind that reads from the file, and keeps nobody from beginning the log anew.
    pub fn tend_log_between_reads(&self) -> Result<()> {
        if !self.is_wal {
            return Ok(());
        }
        for attempt in 0..LONG_ATTEMPTS {
            let length = self.checkpoint(Checkpoint::Noop)?;
            let is_long = length.frames >= LONG_BETWEEN_READS;
            if length.frames < BETWEEN_READS || (attempt >= ATTEMPTS && !is_long) {
                break;
            }
            let behind = match length.behind {
                little @ ..IN_GAP => little,
                _ => self.move_log_along()?,
            };
            // What others have written meanwhile is little, and moved in a moment under the lock.
            if behind < IN_GAP && !self.checkpoint(Checkpoint::Restart)?.is_busy {
                break;
            }
            // An application is at it, and comes to its end as nobody reads now.
            thread::sleep(MOMENT);
        }
        Ok(())
    }

    /// Moves the log as far as nobody is held up, and returns how much is left that somebody reads or has just written.
    fn move_log_along(&self) -> Result<u32> {
        self.waiting(Duration::ZERO, mover::move_along)?;
        Ok(self.checkpoint(Checkpoint::Noop)?.behind)
    }

    fn checkpoint(&self, checkpoint: Checkpoint) -> Result<Length> {
        let (sql, patience) = match checkpoint {
            Checkpoint::Noop => ("PRAGMA main.wal_checkpoint(NOOP)", Duration::ZERO),
            Checkpoint::Restart => ("PRAGMA main.wal_checkpoint(RESTART)", PATIENCE),
        };
        let length = self.waiting(patience, |connection| {
            connection.prepare_cached(sql)?.query_row([], |row| {
                // -1 where another connection is at it, and where there is no log any more.
                let [frames, moved] = [row.get::<_, i64>(1)?, row.get::<_, i64>(2)?];
                Ok(Length {
                    frames: u32::try_from(frames).unwrap_or(0),
                    behind: u32::try_from(frames - moved).unwrap_or(0),
                    is_busy: row.get(0)?,
                })
            })
        })?;
        Ok(length)
    }
}

impl Drop for Log<'_> {
    fn drop(&mut self) {
        // A log that is moved late is no harm, and nobody is left to tell.
        let _ = self.move_at(self.automatic);
    }
}
