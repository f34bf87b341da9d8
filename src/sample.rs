//! The sample file: `users(name TEXT NOT NULL)` with names from all over the world.

use std::fs;
use std::io;
use std::path::Path;

use rusqlite::Connection;

use crate::error::{Error, Result};

/// The rows that the sample has when nobody asks for another number.
pub const ROWS: u32 = 1000;

const USERS: &str = include_str!("../fixtures/users.sql");

/// Writes the sample into a new file in WAL mode, with `rows` rows: the first of the list, or the whole
/// list again and again, numbered. Fails with [`Error::FileExists`] where there is a file; at no moment
/// does a part of the sample stand at `path`.
pub fn write(path: &Path, rows: u32) -> Result<()> {
    if path.exists() {
        return Err(Error::FileExists(path.to_owned()));
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".seed-{}", std::process::id()));
    let beside = Path::new(&beside);
    // SQLite would speak of the file beside, which is nobody's business.
    fs::File::create_new(beside)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    let outcome = fill(beside, rows).and_then(|()| {
        // A link, unlike a rename, never replaces what stands there.
        fs::hard_link(beside, path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::FileExists(path.to_owned()),
            _ => error.into(),
        })
    });
    // Where there was no room, SQLite could not clear up behind itself either.
    for ending in ["", "-journal", "-wal", "-shm"] {
        let mut left = beside.as_os_str().to_owned();
        left.push(ending);
        match fs::remove_file(left) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return outcome.and(Err(error.into()));
            }
            _ => {}
        }
    }
    outcome
}

fn fill(path: &Path, rows: u32) -> Result<()> {
    // By its name alone SQLite would take `file:app.db` for a URI.
    let connection = Connection::open(Path::new(".").join(path))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.execute_batch(USERS)?;
    connection.execute(
        "WITH RECURSIVE round(number) AS (SELECT 2 UNION ALL SELECT number + 1 FROM round WHERE number * ?1 < ?2 + ?1) \
         INSERT INTO users(name) SELECT name || ' ' || number FROM round, users WHERE ?2 > ?1 \
         ORDER BY number, users.rowid",
        [ROWS, rows],
    )?;
    connection.execute("DELETE FROM users WHERE rowid > ?1", [rows])?;
    connection.close().map_err(|(_, error)| error.into())
}
