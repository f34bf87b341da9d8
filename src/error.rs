//! How things fail: every refusal and every failure, with its code, its sentence and what to do next.

use std::path::PathBuf;

use crate::name::Name;
use crate::phase::State;

/// What every fallible function here returns.
pub type Result<T> = std::result::Result<T, Error>;

/// The stable code of an error, numbered as Maelstrom numbers its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Code {
    /// The file or the request asks for something that cannot be done.
    NotSupported = 10,
    /// Another connection kept the file locked; the same request may do later.
    TemporarilyUnavailable = 11,
    /// The request itself is wrong.
    MalformedRequest = 12,
    /// The file, the disk or SQLite failed.
    Crash = 13,
    /// No such file, table or column.
    DoesNotExist = 20,
    /// It is there already.
    AlreadyExists = 21,
    /// A check refused: the order of the phases, the data, or what would break.
    PreconditionFailed = 22,
}

/// Why something was not done. Whatever the variant, the file is as it was, or as the last batch left it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // The file.
    /// There is nothing at the path.
    #[error("no file `{}`", .0.display())]
    NoSuchFile(PathBuf),
    /// The path holds something else than a file.
    #[error("`{}` is not a file", .0.display())]
    NotAFile(PathBuf),
    /// `seed` found a file where it was to write one.
    #[error("`{}` exists already", .0.display())]
    FileExists(PathBuf),
    /// The file is no SQLite database, or an encrypted one.
    #[error("the file is not a SQLite database")]
    NotADatabase,
    /// SQLite met a page that makes no sense.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// The file or its folder cannot be written.
    #[error("the file cannot be written: {0}")]
    ReadOnly(String),
    /// The disk is used up.
    #[error("no room left on the disk")]
    DiskFull,
    /// Another connection held the lock for longer than the busy timeout.
    #[error("the file stayed locked by another connection")]
    Busy,
    /// Other programs kept changing the schema between the plan and its transaction.
    #[error("the schema or the ledger changed while the phase was being planned, again and again")]
    Unsettled,
    /// Any other failure that SQLite reports.
    #[error("SQLite failed: {0}")]
    Sqlite(#[source] rusqlite::Error),
    /// Any other failure of the operating system.
    #[error("{0}")]
    Io(#[from] std::io::Error),

    // What the request names.
    /// The request cannot be read as one.
    #[error("{0}")]
    Malformed(String),
    /// The request, or this kind of it, is unknown.
    #[error("{0}")]
    NotSupported(String),
    /// No table of that name.
    #[error("no table `{}`", .table.as_str())]
    NoSuchTable {
        /// The name asked for.
        table: Name,
        /// The name in the file that is most like it.
        nearest: Option<Name>,
    },
    /// No column of that name.
    #[error("table `{}` has no column `{}`", .table.as_str(), .column.as_str())]
    NoSuchColumn {
        /// The table.
        table: Name,
        /// The name asked for.
        column: Name,
        /// The column that is most like it.
        nearest: Option<Name>,
    },
    /// No table of the file has the column.
    #[error("no table has a column `{}`", .0.as_str())]
    NoTableHas(Name),
    /// Something bears the name, but it is no ordinary table.
    #[error("`{}` is {kind}, not an ordinary table", .name.as_str())]
    NotAnOrdinaryTable {
        /// The name asked for.
        name: Name,
        /// What it is: "a view", "a virtual table" …
        kind: &'static str,
    },
    /// The column to add is there already, and no change added it.
    #[error("table `{}` already has a column `{}`", .table.as_str(), .column.as_str())]
    ColumnExists {
        /// The table.
        table: Name,
        /// The column.
        column: Name,
    },
    /// The type asked for is not one that SQLite takes for a type.
    #[error("`{0}` is not a column type{1}")]
    NotAType(String, &'static str),
    /// The values of the old column are computed.
    #[error("column `{}` of table `{}` is generated", .column.as_str(), .table.as_str())]
    Generated {
        /// The table.
        table: Name,
        /// The column.
        column: Name,
    },
    /// SQLite as built here cannot write rows of the table.
    #[error("rows of table `{}` cannot be written here: {reason}", .table.as_str())]
    NotWritable {
        /// The table.
        table: Name,
        /// What SQLite says.
        reason: String,
    },

    /// The expression cannot stand in a trigger.
    #[error("`{expression}` cannot be used to keep the columns in step: {reason}")]
    NotAnExpression {
        /// What was given.
        expression: String,
        /// What SQLite says.
        reason: String,
    },

    // The order of the phases.
    /// The table has a change that is neither contracted nor aborted.
    #[error("table `{}` has an open change: `{}` is {state}", .table.as_str(), .new.as_str())]
    ChangeOpen {
        /// The table.
        table: Name,
        /// The new column of the open change.
        new: Name,
        /// How far it has come.
        state: State,
    },
    /// The ledger has changes that still wait for a phase.
    #[error("the file has an open change on table `{}`", .0.as_str())]
    ForgetOpen(Name),
    /// The file holds no ledger to forget.
    #[error("the file holds no ledger")]
    NoLedger,
    /// No expanded change waits for this data migration.
    #[error("no change waits for data to go from `{}` to `{}`", .old.as_str(), .new.as_str())]
    NothingToMigrate {
        /// The old column.
        old: Name,
        /// The new column.
        new: Name,
    },
    /// Several tables could be meant.
    #[error("`{}` and `{}` could mean {}", .old.as_str(), .new.as_str(), listed(.tables))]
    Ambiguous {
        /// The old column.
        old: Name,
        /// The new column.
        new: Name,
        /// The tables that have what was asked for.
        tables: Vec<Name>,
    },
    /// The change was expanded for another old column.
    #[error("column `{}` was added to replace `{}`, not `{}`", .new.as_str(), .expected.as_str(), .old.as_str())]
    OtherSource {
        /// The new column.
        new: Name,
        /// The old column that the change knows.
        expected: Name,
        /// The old column asked for.
        old: Name,
    },
    /// Contract before migrate data.
    #[error("the data of `{}` is not migrated: the change is {state}", .column.as_str())]
    NotMigrated {
        /// The old column.
        column: Name,
        /// How far the change has come.
        state: State,
    },
    /// The data migration was begun with other expressions.
    #[error("the data migration from `{}` to `{}` was begun otherwise", .old.as_str(), .new.as_str())]
    BegunOtherwise {
        /// The old column.
        old: Name,
        /// The new column.
        new: Name,
    },
    /// Somebody changed the table while both columns were kept in step.
    #[error("table `{}` was changed by someone else while `{}` was on its way", .table.as_str(), .new.as_str())]
    TableChanged {
        /// The table.
        table: Name,
        /// The new column.
        new: Name,
        /// The text that the table had.
        text: String,
    },
    /// Contract of a column that nothing replaces.
    #[error("no change replaces column `{}` of table `{}`", .column.as_str(), .table.as_str())]
    NothingReplaces {
        /// The table.
        table: Name,
        /// The column.
        column: Name,
    },
    /// Abort where no change is open.
    #[error("table `{}` has no open change", .0.as_str())]
    NothingToAbort(Name),

    // The checks.
    /// Views, triggers or tables would no longer work, or would mean something else.
    #[error("{phase} would break what is in the file:\n{}", bullets(.breaks))]
    WouldBreak {
        /// The phase that the breaks speak of.
        phase: &'static str,
        /// Each break in words.
        breaks: Vec<String>,
        /// What would clear the way.
        remedy: &'static str,
    },
    /// A row of the table cannot be without a value in the old column, not even for a moment.
    #[error("new applications cannot leave out `{}` in table `{}`: {reason}", .old.as_str(), .table.as_str())]
    NeedsBoth {
        /// The table.
        table: Name,
        /// The old column.
        old: Name,
        /// What a row that lacks it meets.
        reason: String,
    },
    /// Another process works on the change.
    #[error("another changeover is at work on this change: {0}")]
    Running(String),
    /// Another process has taken the work over, since this one was silent for too long.
    #[error("another changeover has taken over the work on this change")]
    TakenOver,
    /// Old and new column hold different values.
    #[error(
        "`{}` and `{}` hold different values in {count} {}, for instance where {}",
        .old.as_str(), .new.as_str(), if *.count == 1 { "row" } else { "rows" }, .examples.join("; ")
    )]
    Disagreement {
        /// The old column.
        old: Name,
        /// The new column.
        new: Name,
        /// How many rows.
        count: u64,
        /// The keys of the first of them.
        examples: Vec<String>,
    },
    /// Aborting would drop values that stand in the new column alone.
    #[error(
        "column `{}` holds values that are nowhere else, in {count} {}, for instance where {}",
        .new.as_str(), if *.count == 1 { "row" } else { "rows" }, .examples.join("; ")
    )]
    WouldLose {
        /// The new column.
        new: Name,
        /// How many rows.
        count: u64,
        /// The keys of the first of them.
        examples: Vec<String>,
    },
    /// A row would violate a constraint of the table with the value that it is to get.
    #[error("the rows do not allow it: {0}")]
    Constraint(String),
    /// The rebuild came out otherwise than rehearsed, and was rolled back.
    #[error("the outcome is not the rehearsed one, so it was rolled back:\n{}", bullets(.0))]
    Unexpected(Vec<String>),
    /// The ledger was written by a later changeover.
    #[error("the ledger in the file is of format {found}, this changeover knows up to {known}")]
    LedgerTooNew {
        /// The format in the file.
        found: i64,
        /// The newest format that this program knows.
        known: i64,
    },
    /// The ledger could not be made or brought up to date.
    #[error("the ledger could not be brought up to date: {0}")]
    Ledger(String),
    /// The observer asked to stop.
    #[error("stopped as asked")]
    Stopped,
}

impl Error {
    /// The stable code, for machines.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotSupported(_)
            | Self::NotAnOrdinaryTable { .. }
            | Self::Generated { .. }
            | Self::NotWritable { .. }
            | Self::LedgerTooNew { .. } => Code::NotSupported,
            Self::Busy | Self::Unsettled | Self::Stopped | Self::Running(_) | Self::TakenOver => {
                Code::TemporarilyUnavailable
            }
            Self::Malformed(_) | Self::NotAType(..) | Self::NotAnExpression { .. } => {
                Code::MalformedRequest
            }
            Self::NotAFile(_)
            | Self::NotADatabase
            | Self::Damaged(_)
            | Self::ReadOnly(_)
            | Self::DiskFull
            | Self::Sqlite(_)
            | Self::Io(_)
            | Self::Unexpected(_)
            | Self::Ledger(_) => Code::Crash,
            Self::NoSuchFile(_)
            | Self::NoSuchTable { .. }
            | Self::NoSuchColumn { .. }
            | Self::NoTableHas(_) => Code::DoesNotExist,
            Self::FileExists(_) | Self::ColumnExists { .. } => Code::AlreadyExists,
            Self::ChangeOpen { .. }
            | Self::ForgetOpen(_)
            | Self::NoLedger
            | Self::NothingToMigrate { .. }
            | Self::Ambiguous { .. }
            | Self::OtherSource { .. }
            | Self::NotMigrated { .. }
            | Self::NothingReplaces { .. }
            | Self::NothingToAbort(_)
            | Self::BegunOtherwise { .. }
            | Self::TableChanged { .. }
            | Self::NeedsBoth { .. }
            | Self::WouldBreak { .. }
            | Self::Disagreement { .. }
            | Self::WouldLose { .. }
            | Self::Constraint(_) => Code::PreconditionFailed,
        }
    }

    /// What to do next, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoSuchFile(_) => "check the path; `changeover seed PATH` writes a sample file",
            Self::FileExists(_) => "name a path that is free; no file is ever overwritten",
            Self::NotADatabase => "check the path; an encrypted database cannot be read either",
            Self::Damaged(_) => "`PRAGMA integrity_check` in sqlite3 tells more; restore a backup",
            Self::ReadOnly(_) => "make the file and its folder writable, or be its owner",
            Self::DiskFull => "nothing is lost: make room and run the same again",
            Self::Sqlite(error) => {
                let on_disk = Some(rusqlite::ErrorCode::SystemIoFailure);
                if error.sqlite_error_code() != on_disk {
                    return None;
                }
                "the disk, or the limit on a file's size, stands in the way: nothing is lost, run the same again later"
            }
            Self::Busy => "run the same again, or wait longer with --busy-timeout",
            Self::Unsettled => "run the same again when nothing else changes the schema",
            Self::NoSuchTable {
                nearest: Some(near),
                ..
            }
            | Self::NoSuchColumn {
                nearest: Some(near),
                ..
            } => {
                return Some(format!("did you mean `{}`?", near.as_str()));
            }
            Self::NotAnOrdinaryTable { .. } => "name the table that holds the rows",
            Self::ColumnExists { .. } => "name a column that is not there yet",
            Self::NotAType(..) => {
                "a type is its name alone, as in TEXT or VARCHAR(20): no constraint, no default"
            }
            Self::Generated { .. } => {
                "add the new column with its own expression instead, and drop this one later"
            }
            Self::NotWritable { .. } => {
                "functions and collations that an application defines are not known here"
            }
            Self::ChangeOpen { .. } => "finish it with contract, or undo it with abort, first",
            Self::ForgetOpen(_) => "contract or abort it first",
            Self::NothingToMigrate { .. } => {
                "expand first (--expand does both), or name the old column and the table as expand did"
            }
            Self::Ambiguous { .. } => "name the table",
            Self::OtherSource { expected, .. } => {
                return Some(format!(
                    "migrate from `{}`, or abort and expand anew",
                    expected.as_str()
                ));
            }
            Self::NotMigrated { .. } => "run migrate data first",
            Self::NotAnExpression { .. } => {
                "it may use the one column and SQLite's own functions that always give the same: no query, no \
                 random(), no current time"
            }
            Self::BegunOtherwise { .. } => {
                "run it as it was begun, or abort the change and begin anew"
            }
            Self::TableChanged { text, .. } => {
                return Some(format!(
                    "columns may be added, dropped and renamed meanwhile, but for the two; undo what was done to the table, whose \
                     text was: {text}"
                ));
            }
            Self::NeedsBoth { .. } => {
                "let new applications write both columns until contract, and say so with `write_both` (--write-both)"
            }
            Self::Running(_) => "`changeover status` shows it; run the same again when it is done",
            Self::TakenOver => "nothing is lost: `changeover status` shows who goes on",
            Self::NothingReplaces { .. } => "expand and migrate data first",
            Self::WouldBreak { remedy, .. } => remedy,
            Self::Disagreement { .. } => {
                "mend the rows, or let one side win: winner `old` or `new` (--winner)"
            }
            Self::WouldLose { .. } => {
                "keep them with winner `new` (--winner new), or drop them with winner `old`"
            }
            Self::Constraint(_) => "mend the rows, and run the same again",
            Self::Unexpected(_) => "nothing was changed; please report this with the schema",
            Self::LedgerTooNew { .. } => {
                "use a changeover at least as new as the one that wrote it"
            }
            Self::Stopped => "what was done is kept: run the same again to go on",
            Self::NoSuchTable { nearest: None, .. }
            | Self::NoSuchColumn { nearest: None, .. }
            | Self::NoTableHas(_)
            | Self::NotAFile(_)
            | Self::Malformed(_)
            | Self::NotSupported(_)
            | Self::NoLedger
            | Self::NothingToAbort(_)
            | Self::Io(_)
            | Self::Ledger(_) => return None,
        };
        Some(hint.to_owned())
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Sqlite;
        let says = |error: &rusqlite::Error| match error {
            rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
            other => other.to_string(),
        };
        match error.sqlite_error_code() {
            Some(Sqlite::DatabaseBusy | Sqlite::DatabaseLocked) => Self::Busy,
            Some(Sqlite::NotADatabase) => Self::NotADatabase,
            Some(Sqlite::DatabaseCorrupt) => Self::Damaged(says(&error)),
            Some(Sqlite::ReadOnly | Sqlite::CannotOpen | Sqlite::PermissionDenied) => {
                Self::ReadOnly(says(&error))
            }
            Some(Sqlite::DiskFull) => Self::DiskFull,
            Some(Sqlite::ConstraintViolation) => Self::Constraint(says(&error)),
            // The file beside a WAL could not grow.
            Some(Sqlite::SystemIoFailure)
                if error.sqlite_error().map(|it| it.extended_code)
                    == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) =>
            {
                Self::DiskFull
            }
            _ => Self::Sqlite(error),
        }
    }
}

fn bullets(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("  - {line}")).collect();
    lines.join("\n")
}

fn listed(names: &[Name]) -> String {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", name.as_str()))
        .collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}
