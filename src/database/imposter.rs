//! A table of ours under a second name, by which its key may hold NULL.
//!
//! The b-tree of an index is one of a WITHOUT ROWID table too, but for this: an index has entries for NULL, and SQLite
//! allows none in the key of such a table. SQLite has one way to write them all the same, which its own extension RBU takes:
//! an imposter table, which is in no file and is known to one connection alone, for as long as that does not read
//! the schema anew.

use rusqlite::Connection;

use crate::error::Result;
use crate::name::Name;

use super::handle::control_imposters;

/// A table that is the b-tree of another one, or of an index, under a second name.
#[derive(Clone, Debug)]
pub struct Imposter {
    /// What bears the first name.
    pub of: Name,
    /// The text of the table under the second name.
    pub text: String,
}

impl Imposter {
    /// Gives the b-tree its second name on this connection, until the schema is read anew.
    pub(super) fn put(&self, connection: &Connection) -> Result<()> {
        // This also has SQLite read the schema, which it cannot in between.
        let root: i32 = connection.query_row(
            "SELECT rootpage FROM main.sqlite_schema WHERE type IN ('table', 'index') AND name = ?1",
            [&self.of],
            |row| row.get(0),
        )?;
        control_imposters(connection, 1, root);
        let made = connection.execute_batch(&self.text);
        control_imposters(connection, 0, 0);
        Ok(made?)
    }
}

/// Takes all second names away from the connection.
pub(super) fn forget(connection: &Connection) {
    control_imposters(connection, 0, 1);
}
