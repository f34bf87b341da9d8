//! How long work on all rows of a table takes in one transaction: an estimate by the pages of the table.

use std::ops::Mul;
use std::time::Duration;

use rusqlite::Connection;

use crate::error::Result;
use crate::schema::Table;

/// What work on all rows in one transaction takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// For each row.
    pub(super) row: Duration,
    /// For each page that they fill.
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
    let mut statement = connection
        .prepare_cached("SELECT ncell FROM dbstat WHERE name = ?1 AND pagetype = 'leaf'")?;
    let mut pages = statement.query([&table.name])?;
    let mut hold = Duration::ZERO;
    while let Some(page) = pages.next()? {
        hold += cost.page + cost.row * page.get::<_, u32>(0)?;
        if hold > most {
            return Ok(None);
        }
    }
    Ok(Some(hold))
}
