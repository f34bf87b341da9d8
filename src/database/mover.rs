//! A thread that moves the write-ahead log into the file while its connection goes on writing.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::handle;

/// Moves a log with a connection of its own, so that we write while the disk works.
///
/// It holds up nobody and promises nothing: what it has not moved, whoever needs the room moves himself.
#[derive(Debug)]
pub(super) struct Mover {
    path: PathBuf,
    /// None before the first move, while it moves, and after it failed.
    connection: Option<Connection>,
    at_work: Option<JoinHandle<rusqlite::Result<Connection>>>,
}

impl Mover {
    /// One for the log of the file at `path`.
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            connection: None,
            at_work: None,
        }
    }

    /// Begins to move what is in the log by now, unless it is still at it.
    pub(super) fn start(&mut self) {
        if self.at_work.as_ref().is_some_and(|it| !it.is_finished()) {
            return;
        }
        self.finish();
        let connection = self.connection.take();
        let path = self.path.clone();
        let start = thread::Builder::new().name("log".to_owned());
        let work = move || {
            let connection = connection.map_or_else(|| opened(&path), Ok)?;
            move_along(&connection)?;
            Ok(connection)
        };
        self.at_work = start.spawn(work).ok();
    }

    /// Waits until it is at rest.
    pub(super) fn finish(&mut self) {
        let Some(thread) = self.at_work.take() else {
            return;
        };
        self.connection = thread.join().ok().and_then(Result::ok);
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Moves the log of the connection's file as far as nobody is held up, and waits until the disk has all that was moved.
pub(super) fn move_along(connection: &Connection) -> rusqlite::Result<()> {
    let mut checkpoint = connection.prepare_cached("PRAGMA main.wal_checkpoint(PASSIVE)")?;
    checkpoint.query_row([], |_| Ok(()))?;
    // SQLite does so itself only where it came to the end of the log, and nobody wrote behind that meanwhile.
    handle::sync(connection)
}

fn opened(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // Nobody is to be waited for.
    connection.busy_timeout(Duration::ZERO)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A file with a log that nobody has moved, of more frames than its tables have pages.
    fn filled() -> (TempDir, PathBuf, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let writer = Connection::open(&path).unwrap();
        let fill = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (content); \
                    INSERT INTO t VALUES (zeroblob(100000)); UPDATE t SET content = zeroblob(100001)";
        writer.execute_batch(fill).unwrap();
        assert!(behind(&writer) > 0);
        (folder, path, writer)
    }

    /// How much of the log is not in the file yet.
    fn behind(connection: &Connection) -> i64 {
        let frames = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?);
        connection
            .query_row("PRAGMA wal_checkpoint(NOOP)", [], frames)
            .unwrap()
    }

    #[test]
    fn what_is_in_the_log_as_it_starts_is_in_the_file_once_it_is_at_rest() {
        let (_folder, path, writer) = filled();
        let mut mover = Mover::new(path);
        for _ in 0..2 {
            mover.start();
            mover.finish();
            assert_eq!(behind(&writer), 0);
            writer.execute("INSERT INTO t VALUES (1)", []).unwrap();
            assert!(behind(&writer) > 0);
        }
    }

    #[test]
    fn nobody_waits_for_a_move_unless_he_asks_to() {
        let (_folder, path, writer) = filled();
        let mut mover = Mover::new(path);
        for _ in 0..100 {
            mover.start();
            writer.execute("INSERT INTO t VALUES (1)", []).unwrap();
        }
        mover.finish();
        mover.start();
        mover.finish();
        assert_eq!(behind(&writer), 0);
    }

    #[test]
    fn one_that_cannot_move_anything_tries_again_another_time() {
        let (folder, path, writer) = filled();
        let elsewhere = folder.path().join("elsewhere.db");
        let mut mover = Mover::new(&elsewhere);
        mover.start();
        mover.finish();
        mover.path = path;
        mover.start();
        drop(mover);
        assert_eq!(behind(&writer), 0);
        assert!(!elsewhere.exists());
    }
}
