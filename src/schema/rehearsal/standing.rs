//! A table that somebody gave more columns, recognised.

use crate::error::Result;
use crate::name::Name;

use super::super::replica::Replica;
use super::super::{Kind, Schema, text};

/// The definitions of the columns that an `ALTER TABLE … ADD COLUMN` has added to the table since it had the text
/// `then`; none where something else was done to it.
pub fn added_since(live: &Schema, table: &Name, then: &str) -> Result<Option<Vec<String>>> {
    let Some(now) = live.table_text(table) else {
        return Ok(None);
    };
    let Some(inserted) = text::insertions(then, now) else {
        return Ok(None);
    };
    for definitions in inserted {
        if with_columns(live, table, then, &definitions).is_ok_and(|text| text == now) {
            return Ok(Some(definitions));
        }
    }
    Ok(None)
}

/// The text of the table with columns more, as SQLite adds them.
pub fn with_columns(
    live: &Schema,
    table: &Name,
    text: &str,
    definitions: &[String],
) -> Result<String> {
    let replica = Replica::of(&live.only(table).with_text(Kind::Table, table, text))?;
    for definition in definitions {
        replica.alter(table, &format!("ADD COLUMN {definition}"))?;
    }
    replica.text(Kind::Table, table)
}
