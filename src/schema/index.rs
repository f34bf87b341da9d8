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
    /// What it holds behind these to find the row: no name for a rowid, and no column of the key that it has already. Nothing
    /// of the key itself, which in a WITHOUT ROWID table is the table.
    pub(super) finds: Vec<Option<Name>>,
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
    let mut finds = connection.prepare_cached(
        "SELECT name FROM pragma_index_xinfo(?1, 'main') WHERE NOT key ORDER BY seqno",
    )?;
    let rows = list.query_map([table], |row| {
        Ok(Index {
            name: row.get(0)?,
            unique: row.get(1)?,
            origin: row.get(2)?,
            partial: row.get(3)?,
            columns: Vec::new(),
            finds: Vec::new(),
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
        if index.origin != "pk" {
            index.finds = finds
                .query_map([&index.name], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
        }
    }
    Ok(indexes)
}

/// What an index stores of a row in one place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Stored {
    /// The column; none for an expression.
    pub(super) column: Option<Name>,
    pub(super) descending: bool,
    pub(super) collation: Name,
    /// Whether the index is over it, rather than that it finds the row.
    pub(super) is_term: bool,
}

/// All that an index stores of a row, in order; `rowid` is a name by which the table's rowid can be read.
pub(super) fn stored_in(
    connection: &Connection,
    index: &Name,
    rowid: Option<&Name>,
) -> Result<Vec<Stored>> {
    let mut statement = connection.prepare_cached(
        "SELECT CASE cid WHEN -1 THEN ?2 ELSE name END, \"desc\", coll, key \
         FROM pragma_index_xinfo(?1, 'main') ORDER BY seqno",
    )?;
    let stored = statement.query_map((index, rowid), |row| {
        Ok(Stored {
            column: row.get(0)?,
            descending: row.get(1)?,
            collation: row.get(2)?,
            is_term: row.get(3)?,
        })
    })?;
    Ok(stored.collect::<rusqlite::Result<_>>()?)
}

/// Whether an index is a unique one.
pub(super) fn is_unique(connection: &Connection, index: &Name) -> Result<bool> {
    let query = "SELECT \"unique\" FROM sqlite_schema AS made, pragma_index_list(made.tbl_name, 'main') AS list \
         WHERE made.type = 'index' AND made.name = ?1 AND list.name = made.name";
    Ok(connection
        .prepare_cached(query)?
        .query_row([index], |row| row.get(0))?)
}
