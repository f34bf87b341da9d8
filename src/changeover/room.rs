//! Whether the disk has room for what stands beside a table while it is changed in many transactions.

use std::path::Path;

use rusqlite::Connection;

use crate::database;
use crate::error::{Error, Result};
use crate::name::Name;
use crate::plan::Leftovers;
use crate::schema::Table;

/// How far the write-ahead log grows meanwhile, in bytes.
const LOG: u64 = 32 << 20;

/// The bytes that so many `copies` of what the table holds take in the file's folder at most, where indexes that are
/// `left` of earlier work give up their pages first; an error, [`Error::NoRoom`], where the disk does not have them.
///
/// A copy is the rows once more, or the entries of an index: an entry is larger than its row only where it holds what the
/// row does not, such as the value of an expression. The temporary tables of an index, which together are about twice as large as
/// it, are left out: only SQLite knows in which folder it puts them.
pub(super) fn room_for(
    connection: &Connection,
    table: &Table,
    copies: usize,
    left: &Leftovers,
) -> Result<u64> {
    let (file, mut reusable) = database::size(connection)?;
    let needed = |size: u64, reusable| {
        let beside = size.saturating_mul(copies as u64);
        beside.saturating_sub(reusable).saturating_add(LOG)
    };
    let free = free(connection)?;
    // To count the pages of a table is to read them all. It is done where the disk might not have room for as many as the
    // whole file has.
    let most = needed(file, reusable);
    if most <= free {
        return Ok(most);
    }
    for table in &left.entries {
        reusable += size(connection, &table.name)?;
    }
    let needed = needed(size(connection, &table.name)?, reusable);
    if free < needed {
        return Err(Error::NoRoom {
            table: table.name.clone(),
            needed,
            free,
        });
    }
    Ok(needed)
}

/// The bytes that are free in the file's folder; without limit where the database is in no file.
fn free(connection: &Connection) -> Result<u64> {
    let Some(file) = connection.path() else {
        return Ok(u64::MAX);
    };
    let folder = Path::new(file).parent().unwrap_or(Path::new("."));
    Ok(fs4::available_space(folder)?)
}

/// The bytes of the pages that a table fills.
fn size(connection: &Connection, table: &Name) -> Result<u64> {
    let size: i64 = connection.query_row(
        "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name = ?1 AND aggregate = TRUE",
        [table],
        |row| row.get(0),
    )?;
    Ok(size.unsigned_abs())
}
