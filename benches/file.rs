//! The files that are measured: made, copied, looked at while they are written to and afterwards.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::Outcome;

pub(super) const MIB: f64 = 1024.0;

/// How large the write-ahead log may become, in MiB.
pub(super) const LARGEST_LOG: f64 = 32.0;

/// Makes a file in WAL mode with `users(id, name, mail)`, the names in no order, and an index on them.
pub(super) fn prepare(path: &Path, rows: u32) -> Outcome<()> {
    prepare_with(path, rows, "", "")
}

/// The same with a note in each row, which makes it some 200 bytes in the file.
pub(super) fn prepare_wide(path: &Path, rows: u32) -> Outcome<()> {
    let note = ", printf('%.*c', 130, 'n') || number";
    prepare_with(path, rows, ", note TEXT", note)
}

fn prepare_with(path: &Path, rows: u32, column: &str, value: &str) -> Outcome<()> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.execute_batch(&format!(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, mail TEXT{column})"
    ))?;
    let sql = format!(
        "INSERT INTO users \
         WITH RECURSIVE count(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM count WHERE number < ?1) \
         SELECT number, {}, printf('person%d@example.org', number){value} \
         FROM count",
        name_of("number")
    );
    connection.execute(&sql, [rows])?;
    connection.execute_batch("CREATE INDEX users_name ON users (name)")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.close().map_err(|(_, error)| error)?;
    File::open(path)?.sync_all()?;
    Ok(())
}

/// The name that a row has at first, where `?1` is how many rows there are.
pub(super) fn name_of(number: &str) -> String {
    format!("printf('Person %07d', {number} * 7919 % ?1)")
}

/// A connection for what is done by hand, with the settings that ours has.
pub(super) fn by_hand_on(path: &Path) -> Outcome<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -8 * 1024)?;
    Ok(connection)
}

/// Fails unless the table has just these columns and all its rows.
pub(super) fn check(path: &Path, rows: u32, columns: &[&str]) -> Outcome<()> {
    let connection = Connection::open(path)?;
    let statement = connection.prepare("SELECT * FROM users")?;
    let found: Vec<&str> = statement.column_names().collect();
    let count: u32 = connection.query_row("SELECT count(*) FROM users", [], |row| row.get(0))?;
    if found == columns && count == rows {
        return Ok(());
    }
    Err(format!("users has {count} rows of {found:?}").into())
}

/// The size of the write-ahead log in MiB, which while the file is open is the largest that it had.
pub(super) fn log_size(path: &Path) -> Outcome<f64> {
    let kib = fs::metadata(beside(path, "-wal"))?.len() / 1024;
    Ok(f64::from(u32::try_from(kib)?) / MIB)
}

fn beside(path: &Path, suffix: &str) -> OsString {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path
}

/// A copy of a file, which goes when it is no longer needed.
pub(super) struct Copy(pub(super) PathBuf);

impl Copy {
    /// Copies the file, all the way to the disk, so that nobody's fsync pays for the copy.
    pub(super) fn of(prepared: &Path) -> Outcome<Self> {
        let path = prepared.with_extension("copy.db");
        fs::copy(prepared, &path)?;
        File::open(&path)?.sync_all()?;
        Ok(Self(path))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        // A process that was killed leaves its log, which would be taken for that of the next file of the name.
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(beside(&self.0, suffix));
        }
    }
}
