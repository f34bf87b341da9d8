//! Stand-ins for the functions and collations that only an application has.

use rusqlite::functions::FunctionFlags;
use rusqlite::types::Value;
use rusqlite::{Connection, Error as SqliteError};

use crate::error::Result;

/// Tries until nothing is missing that a stand-in can be given for.
pub(super) fn with_stand_ins<T>(
    connection: &Connection,
    mut attempt: impl FnMut(&Connection) -> rusqlite::Result<T>,
) -> Result<rusqlite::Result<T>> {
    loop {
        match attempt(connection) {
            Err(error) if stand_in(connection, &error)? => {}
            outcome => return Ok(outcome),
        }
    }
}

/// Gives SQLite a stand-in for a function or collation that it misses, where that is what the error says.
/// The stand-in is never called: on a replica statements are prepared, and there are no rows.
fn stand_in(connection: &Connection, error: &SqliteError) -> Result<bool> {
    let (SqliteError::SqliteFailure(_, Some(message))
    | SqliteError::SqlInputError { msg: message, .. }) = error
    else {
        return Ok(false);
    };
    if let Some(name) = message.strip_prefix("no such function: ") {
        let flags = FunctionFlags::SQLITE_UTF8
            | FunctionFlags::SQLITE_DETERMINISTIC
            | FunctionFlags::SQLITE_INNOCUOUS;
        connection.create_scalar_function(name, -1, flags, |_| Ok(Value::Null))?;
        return Ok(true);
    }
    if let Some(name) = message.strip_prefix("no such collation sequence: ") {
        connection.create_collation(name, str::cmp)?;
        return Ok(true);
    }
    Ok(false)
}
