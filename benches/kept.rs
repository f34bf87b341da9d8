//! Whether the file holds what the writers wrote last, and where nobody wrote what it held before.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::Outcome;
use super::file::{check, name_of};
use super::writers::{Write, Written};

/// What there should be in a file in the end.
pub(super) struct Expected<'a> {
    /// The columns of the table.
    pub(super) columns: &'a [&'a str],
    /// How many rows there were before anybody wrote.
    pub(super) rows: u32,
    /// What was written, each with the column in which it should stand now.
    pub(super) written: &'a [(&'a Written, &'a str)],
}

/// How many rows do not hold what was written there last; an error where the file is not what it should be.
pub(super) fn lost(path: &Path, expected: &Expected) -> Outcome<usize> {
    let connection = Connection::open(path)?;
    let said: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if said != "ok" {
        return Err(said.into());
    }
    let mut by_cell: HashMap<(&str, i64), Vec<(&str, &Write)>> = HashMap::new();
    for (written, column) in expected.written {
        for write in &written.writes {
            let cell = by_cell.entry((*column, write.row)).or_default();
            cell.push((written.writer.word, write));
        }
    }
    let (mut lost, mut rows, mut renamed) = (0, i64::from(expected.rows), 0_i64);
    for ((column, row), writes) in &by_cell {
        let sql = format!("SELECT ifnull({column}, 'NULL') FROM users WHERE id = ?1");
        let mut statement = connection.prepare_cached(&sql)?;
        let found: Option<String> = statement.query_row([row], |it| it.get(0)).optional()?;
        if !last(writes).any(|it| it == found) {
            eprintln!("row {row}: {column} is {found:?}");
            lost += 1;
        }
        renamed += i64::from(*column == "full_name" && found.is_some());
        rows += i64::from(*row > i64::from(expected.rows) && found.is_some());
    }
    let sql = format!(
        "SELECT count(*) FROM users WHERE full_name IS NOT {}",
        name_of("id")
    );
    let others: i64 = connection.query_row(&sql, [expected.rows], |row| row.get(0))?;
    if lost == 0 && others != renamed {
        return Err(
            format!("{others} names are not the first ones; {renamed} were written").into(),
        );
    }
    check(path, u32::try_from(rows)?, expected.columns)?;
    Ok(lost)
}

/// What one may find where these writes went: what no other write came after. Two that were under way at the same time
/// may have come in either order.
fn last<'a>(writes: &'a [(&str, &Write)]) -> impl Iterator<Item = Option<String>> + 'a {
    let latest = writes.iter().map(|(_, write)| write.began).max();
    writes
        .iter()
        // Both figures are rounded down.
        .filter(move |(_, write)| Some(write.ended() + 2) >= latest)
        .map(|(word, write)| write.number.map(|number| format!("{word} {number}")))
}
