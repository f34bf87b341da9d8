//! The connection to the file: how it is opened, read in a snapshot and written in a transaction.

mod handle;
mod holds;
mod imposter;
mod log;
mod mover;
mod pace;
mod statement;
mod turns;
mod wait;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, InterruptHandle, OpenFlags, TransactionBehavior};

use crate::error::{Error, Result};
use crate::event::{Observer, Obstacle};

pub use imposter::Imposter;
pub use statement::Statement;
pub(crate) use statement::literal;
pub use turns::Turns;
pub use wait::Wait;

/// Page cache of our connection, in KiB: what keeps an index that is filled out of order in memory,
/// and bounds what we use however large the table is.
const CACHE_KIB: i64 = 8 * 1024;

/// What a sort may hold in memory before it goes to a temporary file, in KiB; more would hardly make it faster.
const SORT_KIB: i64 = 2 * 1024;

/// How far the write-ahead log grows before our commits move it into the file. Each move waits for the disk.
const LOG_KIB: i64 = 16 * 1024;

/// The longest busy timeout that SQLite takes: 24 days.
const LONGEST_WAIT: Duration = Duration::from_millis(i32::MAX.unsigned_abs() as u64);

/// How many prepared statements are kept: those that read schema and ledger, and those of a batch.
const STATEMENTS: usize = 64;

/// What the memory of our connection is wanted for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Memory {
    /// The page cache.
    Cache,
    /// A sort, as the making of an index is: SQLite lets it have as much as the page cache, besides that.
    Sort,
}

impl Memory {
    /// The statement that allots it, at any time.
    #[must_use]
    pub fn allot(self) -> Statement {
        let kib = match self {
            Self::Cache => CACHE_KIB,
            Self::Sort => SORT_KIB,
        };
        Statement::new(format!("PRAGMA cache_size = -{kib}"))
    }
}

/// Whether the foreign keys of the file are enforced on our connection during a transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ForeignKeys {
    /// Enforced, with their actions.
    On,
    /// Left alone: a table can be dropped without its children noticing.
    Off,
}

/// When a commit in WAL mode is on the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Durability {
    /// Before it returns: what is answered then outlives a power cut.
    AtOnce,
    /// With a later one. The file is consistent all the same; a power cut may take back the last commits.
    Later,
}

/// Interrupts the statement that runs on our connection, if one does: it fails with [`Error::Stopped`], and its
/// transaction is rolled back.
pub struct Interrupter(InterruptHandle);

impl Interrupter {
    /// Does it now.
    pub fn interrupt(&self) {
        self.0.interrupt();
    }
}

/// A SQLite file and our one connection to it.
pub struct Database {
    connection: Connection,
    /// The file, by a path that goes through no link and does not depend on the working directory.
    path: PathBuf,
    is_wal: bool,
    busy_timeout: Duration,
    /// SQLite's count of what others had committed when the file was opened, and when that was.
    opened: (i64, Instant),
}

impl Database {
    /// Opens an existing file; nothing is created and nothing is written.
    ///
    /// Fails with [`Error::NoSuchFile`], [`Error::NotAFile`], [`Error::NotADatabase`], [`Error::ReadOnly`]
    /// or, where it stays locked longer than `busy_timeout`, [`Error::Busy`].
    pub fn open(path: &Path, busy_timeout: Duration) -> Result<Self> {
        match path.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::NoSuchFile(path.to_owned()));
            }
            Err(error) => return Err(error.into()),
            Ok(metadata) if !metadata.is_file() => return Err(Error::NotAFile(path.to_owned())),
            Ok(_) => {}
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // By its name alone SQLite would take `file:app.db` for a URI, and change another file than the one just looked at.
        let path = path.canonicalize()?;
        let mut connection = Connection::open_with_flags(&path, flags)?;
        connection.set_transaction_behavior(TransactionBehavior::Immediate);
        let busy_timeout = busy_timeout.min(LONGEST_WAIT);
        connection.busy_timeout(busy_timeout)?;
        // The application's triggers answer to its own statements, not to ours.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        // A column that somebody has taken away meanwhile is missed, and not read as a word in quotes.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        Memory::Cache.allot().run(&connection)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        // The first look at the header: here a file that is no database shows.
        let is_wal = is_wal(&connection)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        if is_wal {
            let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
            connection.pragma_update(None, "wal_autocheckpoint", LOG_KIB * 1024 / page)?;
        }
        let opened = (data_version(&connection)?, Instant::now());
        Ok(Self {
            connection,
            path,
            is_wal,
            busy_timeout,
            opened,
        })
    }

    /// Whether the file has a write-ahead log, so that who reads and who writes do not wait for each other.
    #[must_use]
    pub fn is_wal(&self) -> bool {
        self.is_wal
    }

    /// The connection, for queries.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The connection, for what needs it whole.
    pub fn connection_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Reads in one snapshot of the file.
    pub fn snapshot<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        // A foreign key that makes no sense, or none here, is no reason to judge a table otherwise.
        self.connection.pragma_update(None, "foreign_keys", false)?;
        self.connection.execute_batch("BEGIN")?;
        let outcome = read(&self.connection);
        self.roll_back()?;
        outcome
    }

    /// Runs `work` in one transaction that holds the write lock from its start: all of it is
    /// committed, or on any error nothing.
    pub fn write<T>(
        &self,
        foreign_keys: ForeignKeys,
        durability: Durability,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        self.set_up(foreign_keys, durability)?;
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        self.conclude(work(&self.connection))
    }

    /// The same in the sight of the observer, who may end the wait for the lock, and the work too.
    pub fn write_watched<T>(
        &self,
        foreign_keys: ForeignKeys,
        durability: Durability,
        observer: &mut Observer<'_>,
        work: impl FnOnce(&Connection, &mut Observer<'_>) -> Result<T>,
    ) -> Result<T> {
        self.set_up(foreign_keys, durability)?;
        self.lock(&mut Wait::on(Obstacle::Lock), observer)?;
        self.conclude(work(&self.connection, observer))
    }

    /// Whether nobody else has committed anything since the file was opened.
    pub fn is_untouched(&self) -> Result<bool> {
        Ok(self.data_version()? == self.opened.0)
    }

    /// Gives a table a second name on our connection, until the schema changes.
    pub fn impersonate(&self, imposter: &Imposter) -> Result<()> {
        imposter.put(&self.connection)
    }

    /// Takes such names away again.
    pub fn forget_imposters(&self) {
        imposter::forget(&self.connection);
    }

    /// What can interrupt our work from another thread.
    #[must_use]
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(self.connection.get_interrupt_handle())
    }

    /// Sets what holds for a transaction, and cannot be set in it any more.
    fn set_up(&self, foreign_keys: ForeignKeys, durability: Durability) -> Result<()> {
        // Unlike the PRAGMA this leaves prepared statements alone where nothing changes, as between two batches.
        self.connection.set_db_config(
            DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY,
            foreign_keys == ForeignKeys::On,
        )?;
        let synchronous = match durability {
            Durability::Later if self.is_wal => "NORMAL",
            Durability::Later | Durability::AtOnce => "FULL",
        };
        self.connection
            .pragma_update(None, "synchronous", synchronous)?;
        Ok(())
    }

    /// Commits what has succeeded; rolls back what has failed.
    fn conclude<T>(&self, outcome: Result<T>) -> Result<T> {
        let outcome = outcome.and_then(|value| {
            self.connection.execute_batch("COMMIT")?;
            Ok(value)
        });
        outcome.inspect_err(|_| {
            // Whatever else the work had switched on goes too. What failed first is what is told.
            let _ = self.roll_back();
            let _ = self.connection.execute_batch(
                "PRAGMA writable_schema = RESET; PRAGMA ignore_check_constraints = OFF",
            );
            let _ = Memory::Cache.allot().run(&self.connection);
        })
    }

    /// Ends the transaction, if some error has not ended it already.
    fn roll_back(&self) -> Result<()> {
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        Ok(())
    }

    /// Does something that waits for other connections for so long, whatever the busy timeout.
    fn waiting<T>(
        &self,
        patience: Duration,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.connection.busy_timeout(patience)?;
        let outcome = work(&self.connection);
        self.connection.busy_timeout(self.busy_timeout)?;
        outcome
    }

    /// A number that is another one once anybody else has committed something; our own commits leave it.
    fn data_version(&self) -> Result<i64> {
        data_version(&self.connection)
    }
}

/// Whether the file of a connection has a write-ahead log.
pub fn is_wal(connection: &Connection) -> Result<bool> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    Ok(mode == "wal")
}

/// The bytes of the file of a connection, once all of its log is in it; and those of its pages that nothing uses.
pub fn size(connection: &Connection) -> Result<(u64, u64)> {
    let pragma = |name| {
        let value = connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        value.map(i64::unsigned_abs)
    };
    let page = pragma("page_size")?;
    Ok((
        pragma("page_count")? * page,
        pragma("freelist_count")? * page,
    ))
}

/// SQLite's number of the schema, which changes with every DDL statement, and with VACUUM.
pub fn schema_version(connection: &Connection) -> Result<i64> {
    let mut statement = connection.prepare_cached("PRAGMA main.schema_version")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

fn data_version(connection: &Connection) -> Result<i64> {
    let mut statement = connection.prepare_cached("PRAGMA main.data_version")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}
