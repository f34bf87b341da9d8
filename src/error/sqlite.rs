//! What the failures of SQLite mean here.

use super::Error;

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Sqlite;
        let says = |error: &rusqlite::Error| match error {
            rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
            other => other.to_string(),
        };
        match error.sqlite_error_code() {
            Some(Sqlite::DatabaseBusy | Sqlite::DatabaseLocked) => Self::Busy,
            Some(Sqlite::OperationInterrupted) => Self::Stopped,
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
