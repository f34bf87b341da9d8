//! The indexes of a table as SQLite's own PRAGMAs describe them.

use rusqlite::Connection;

use crate::error::Result;
use crate::name::Name;

/// A unique, not unique, partial or expression index, described to the last column.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Index {
    pub(super) name: Name,
    pub(super) unique: bool,
    pub(super) origin: String,
    partial: bool,
    /// Name or none for an expression, descending, collation; the key columns alone.
    pub(super) columns: Vec<(Option<Name>, bool, String)>,
}

/// The indexes whose names are wanted, in SQLite's order.
pub(super) fn indexes(
    connection: &Connection,
    table: &Name,
    is_wanted: impl Fn(&Name) -> bool,
) -> Result<Vec<Index>> {
    let mut list = connection.prepare_cached(
        "SELECT name, \"unique\", origin, partial FROM pragma_index_list(?1, 'main') ORDER BY seq",
    )?;
    let mut columns = connection.prepare_cached(
        "SELECT name, \"desc\", coll FROM pragma_index_xinfo(?1, 'main') WHERE key ORDER BY seqno",
    )?;
    let rows = list.query_map([table], |row| {
        Ok(Index {
            name: row.get(0)?,
            unique: row.get(1)?,
            origin: row.get(2)?,
            partial: row.get(3)?,
            columns: Vec::new(),
        })
    })?;
    let mut indexes = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    indexes.retain(|index| is_wanted(&index.name));
    for index in &mut indexes {
        index.columns = columns
            .query_map([&index.name], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
    }
    Ok(indexes)
}
