//! The entries in the file.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use rusqlite::{Connection, ErrorCode, params};
use serde::{Deserialize, Serialize};

/// How long others are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A version of the application.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Version {
    /// Says `name`.
    Old,
    /// Says `full_name`.
    New,
}

impl Version {
    /// The column that holds who wrote an entry.
    fn column(self) -> &'static str {
        match self {
            Self::Old => "name",
            Self::New => "full_name",
        }
    }

    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

/// What somebody wrote.
#[derive(Deserialize, Serialize)]
pub(crate) struct Entry {
    #[serde(default, skip_deserializing)]
    id: i64,
    author: String,
    message: String,
}

/// The entries, as one version of the application sees them.
pub(crate) struct Store {
    connection: Connection,
    column: &'static str,
}

impl Store {
    /// Opens the file; makes it, with its table, where there is none.
    pub(crate) fn open(db: &Path, version: Version) -> rusqlite::Result<Self> {
        let (connection, column) = (connect(db)?, version.column());
        use_write_ahead_log(&connection)?;
        connection.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS entries(id INTEGER PRIMARY KEY, {column} TEXT NOT NULL, message TEXT NOT NULL)"
        ))?;
        Ok(Self { connection, column })
    }

    /// Fails where the schema is not the one that this version needs.
    pub(crate) fn check(&self) -> rusqlite::Result<()> {
        // In an expanded file that is not migrated yet, both columns are there, and the old one must be written.
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let written = self.write(&Entry {
            id: 0,
            author: String::new(),
            message: String::new(),
        });
        self.connection.execute_batch("ROLLBACK")?;
        written.map(drop)
    }

    /// All entries, the oldest first.
    pub(crate) fn entries(&self) -> rusqlite::Result<Vec<Entry>> {
        let sql = format!(
            "SELECT id, {}, message FROM entries ORDER BY id",
            self.column
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let entries = statement.query_map([], |row| {
            Ok(Entry {
                id: row.get(0)?,
                author: row.get(1)?,
                message: row.get(2)?,
            })
        })?;
        entries.collect()
    }

    /// Writes an entry, and returns its number.
    pub(crate) fn write(&self, entry: &Entry) -> rusqlite::Result<i64> {
        let sql = format!(
            "INSERT INTO entries({}, message) VALUES (?1, ?2)",
            self.column
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        statement.insert(params![entry.author, entry.message])
    }
}

/// Readers and writers of a file with a write-ahead log do not wait for each other.
fn use_write_ahead_log(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            // SQLite itself does not wait here where two instances make the file at the same time.
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && begun.elapsed() < PATIENCE =>
            {
                thread::sleep(Duration::from_millis(10));
            }
            outcome => return outcome,
        }
    }
}

/// A connection that waits for others.
pub(crate) fn connect(db: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(db)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}
