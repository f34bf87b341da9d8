//! Tables of changeover's own.

use rusqlite::{Connection, OptionalExtension};

use crate::error::Result;
use crate::name::Name;

use super::{Key, Table};

/// A table of changeover's own, as it is found in the file.
#[derive(Clone, Debug)]
pub struct FoundTable {
    /// Its name.
    pub name: Name,
    /// Its text.
    pub text: String,
    /// How its rows are found.
    pub key: Key,
}

impl FoundTable {
    /// Looks for it.
    pub fn look_for(connection: &Connection, name: &Name) -> Result<Option<Self>> {
        let text = connection
            .prepare_cached(
                "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?1",
            )?
            .query_row([name], |row| row.get(0))
            .optional()?;
        let Some(text) = text else { return Ok(None) };
        let key = Table::describe(connection, name)?.key;
        let name = name.clone();
        Ok(Some(Self { name, text, key }))
    }
}
