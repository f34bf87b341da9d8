//! The write-ahead log while we write much: we move it into the file ourselves, outside of the write lock.

use crate::error::Result;

use super::Database;

/// From how many frames on the log is moved in a gap. Applications do so at 1,000, in a commit of theirs, which would
/// then wait for what is our work. And while others write, the last of it is moved under the write lock, which waits
/// until the disk has all the pages since the last time: some 2 ms for 200, and 8 ms for 800.
const IN_GAP: u32 = 200;

/// How far the log grows before it is moved at any time, in KiB: each move waits for the disk.
const LONG_KIB: u32 = 16 * 1024;

/// How far the log may have grown for us to write on, in KiB. What a turn adds and others write meanwhile comes on
/// top, and 32 MiB are to hold it all.
const FULL_KIB: u32 = 24 * 1024;

/// The write-ahead log of a file. For as long as this lives, commits of ours do not move it.
pub(super) struct Log<'a> {
    database: &'a Database,
    /// From how many frames on it is moved in a gap, is moved at any time, and is full.
    in_gap: u32,
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
    /// As far as nobody is held up.
    Passive,
    /// To the end, under the write lock; who writes next begins the log anew. It waits for nobody.
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
            in_gap: IN_GAP.min(frames(LONG_KIB)),
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
    pub(super) fn tend(&self, is_gap: bool) -> Result<bool> {
        let due = if is_gap { self.in_gap } else { self.long };
        let mut length = self.checkpoint(Checkpoint::Noop)?;
        if length.frames < due {
            return Ok(false);
        }
        if length.behind >= self.in_gap {
            self.checkpoint(Checkpoint::Passive)?;
            length = self.checkpoint(Checkpoint::Noop)?;
        }
        Ok((1..self.in_gap).contains(&length.behind))
    }

    /// Moves what is left under the write lock, if it is free, so that the next write begins the log anew.
    pub(super) fn restart(&self) -> Result<()> {
        self.checkpoint(Checkpoint::Restart).map(drop)
    }

    /// Whether there is room for another turn: the log is not full, or will be begun anew.
    pub(super) fn has_room(&self) -> Result<bool> {
        let has_room = |length: Length| length.frames < self.full;
        Ok(has_room(self.checkpoint(Checkpoint::Noop)?)
            || has_room(self.checkpoint(Checkpoint::Passive)?)
            || !self.checkpoint(Checkpoint::Restart)?.is_busy)
    }

    fn checkpoint(&self, checkpoint: Checkpoint) -> Result<Length> {
        let sql = match checkpoint {
            Checkpoint::Noop => "PRAGMA main.wal_checkpoint(NOOP)",
            Checkpoint::Passive => "PRAGMA main.wal_checkpoint(PASSIVE)",
            Checkpoint::Restart => "PRAGMA main.wal_checkpoint(RESTART)",
        };
        let length = self.database.without_waiting(|connection| {
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

    fn move_at(&self, frames: i64) -> Result<()> {
        let connection = &self.database.connection;
        Ok(connection.pragma_update(None, "wal_autocheckpoint", frames)?)
    }
}

impl Drop for Log<'_> {
    fn drop(&mut self) {
        // A log that is moved late is no harm, and nobody is left to tell.
        let _ = self.move_at(self.automatic);
    }
}
