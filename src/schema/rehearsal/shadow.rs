//! A bare table that can hold the rows of another, byte for byte.

use crate::error::Result;
use crate::name::Name;

use super::super::replica::Replica;
use super::super::{Column, Key, KeyColumn, Schema, Table};

/// A table with the columns of another, as far as these say how rows are stored and found.
///
/// It has no constraint, no index, no foreign key and no computed column of the other: nobody's writes to other
/// tables can touch it, and what its b-tree holds is what the other's would hold.
#[derive(Debug)]
pub struct Shadow {
    /// Its name.
    pub name: Name,
    /// Its text.
    pub text: String,
    /// How its rows are found.
    pub key: Key,
    /// Its columns, in order.
    pub columns: Vec<Name>,
}

impl Shadow {
    /// The text that a table has where it holds the rows of one that stands in the file today, whatever these hold.
    pub fn text_for(live: &Schema, table: &Table, name: &Name) -> Result<String> {
        let replica = Replica::of(&live.only_with_indexes(&table.name))?;
        let mut bare = table.clone();
        for column in &mut bare.columns {
            column.not_null = false;
        }
        Ok(Self::of(&replica, &bare, name)?.text)
    }
}

/// The name of a table on the replica, made to be looked at.
const PROBE: &str = "_changeover_affinities";

impl Shadow {
    /// The shadow of a table that stands on the replica. A column that is NOT NULL there is so here too.
    pub(super) fn of(replica: &Replica, table: &Table, name: &Name) -> Result<Self> {
        let columns: Vec<Name> = table.in_rows().map(|it| it.name.clone()).collect();
        let types = types(replica, table, &columns)?;
        let mut lines = Vec::new();
        for (column, stored_type) in table.in_rows().zip(types) {
            lines.push(definition(replica, table, column, &stored_type)?);
        }
        let mut options = Vec::new();
        if let Key::Columns(key) = &table.key {
            let key: Vec<String> = key.iter().map(key_column).collect();
            lines.push(format!("PRIMARY KEY ({})", key.join(", ")));
            options.push("WITHOUT ROWID");
        }
        if table.strict {
            options.push("STRICT");
        }
        let text = format!(
            "CREATE TABLE {name} ({}) {}",
            lines.join(", "),
            options.join(", ")
        );
        Ok(Self {
            name: name.clone(),
            text: text.trim_end().to_owned(),
            key: table.key.clone(),
            columns,
        })
    }
}

/// The types by which the columns store their values. A STRICT table has no others; else SQLite is asked what is left of
/// a declared type in the table of a query.
fn types(replica: &Replica, table: &Table, columns: &[Name]) -> Result<Vec<String>> {
    if table.strict {
        return Ok(table.in_rows().map(|it| it.declared_type.clone()).collect());
    }
    let values: Vec<String> = columns.iter().map(Name::to_string).collect();
    stored_types(replica, &table.name, &values)
}

/// The types of columns that store the values of these expressions as the table stores them, asked of SQLite by the table of
/// a query.
pub(super) fn stored_types(
    replica: &Replica,
    table: &Name,
    values: &[String],
) -> Result<Vec<String>> {
    let probe = Name::from(PROBE);
    let numbered = values.iter().zip(1..);
    let list: Vec<String> = numbered
        .map(|(value, at)| format!("{value} AS value_{at}"))
        .collect();
    replica.execute(&format!(
        "CREATE TABLE {probe} AS SELECT {} FROM {table}",
        list.join(", ")
    ))?;
    let found = replica.columns(&probe)?;
    replica.execute(&format!("DROP TABLE {probe}"))?;
    Ok(found.into_iter().map(|it| it.declared_type).collect())
}

fn definition(
    replica: &Replica,
    table: &Table,
    column: &Column,
    stored_type: &str,
) -> Result<String> {
    let Column { name, not_null, .. } = column;
    let mut words = vec![name.to_string()];
    match &table.key {
        Key::Rowid {
            name: key,
            hidden: false,
        } if key == name => {
            words.push("INTEGER PRIMARY KEY".to_owned());
        }
        Key::Columns(key) if key.iter().any(|it| it.name == *name) => {
            words.push(stored_type.to_owned());
            let collation = replica.collation(&table.name, name)?;
            words.extend(collation.map(|collation| format!("COLLATE {collation}")));
        }
        _ => words.push(stored_type.to_owned()),
    }
    if *not_null {
        words.push("NOT NULL".to_owned());
    }
    words.retain(|word| !word.is_empty());
    Ok(words.join(" "))
}

fn key_column(column: &KeyColumn) -> String {
    let collation = column.collation.as_ref();
    let collation = collation.map_or_else(String::new, |it| format!(" COLLATE {it}"));
    let direction = if column.descending { " DESC" } else { "" };
    format!("{}{collation}{direction}", column.name)
}
