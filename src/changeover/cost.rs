//! How long work on all rows of a table takes in one transaction: an estimate by the pages of the table.

use std::ops::Mul;
use std::time::Duration;

use rusqlite::Connection;

use crate::error::Result;
use crate::schema::Table;

/// The page that costs were measured with, in bytes: SQLite's own choice.
const PAGE: u32 = 4096;

/// What work on all rows in one transaction takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// For each row.
    pub(super) row: Duration,
    /// For each page that they fill, of 4 KiB.
    pub(super) page: Duration,
}

impl Mul<u32> for Cost {
    type Output = Self;

    fn mul(self, times: u32) -> Self {
        Self {
            row: self.row * times,
            page: self.page * times,
        }
    }
}

/// About how long such work takes; none where that is longer than `most`, for which no more of the table is looked at than
/// tells it.
pub(super) fn estimate(
    connection: &Connection,
    table: &Table,
    cost: Cost,
    most: Duration,
) -> Result<Option<Duration>> {
    // What does not fit into the leaf is in pages of its own, which hold no cell.
    let mut statement = connection.prepare_cached(
        "SELECT pgsize, ncell FROM dbstat WHERE name = ?1 AND pagetype <> 'internal'",
    )?;
    let mut pages = statement.query([&table.name])?;
    let mut hold = Duration::ZERO;
    while let Some(page) = pages.next()? {
        let (size, rows): (u32, u32) = (page.get(0)?, page.get(1)?);
        hold += cost.page * size.div_ceil(PAGE) + cost.row * rows;
        if hold > most {
            return Ok(None);
        }
    }
    Ok(Some(hold))
}
