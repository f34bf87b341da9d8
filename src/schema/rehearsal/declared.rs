//! What the new column is declared as, after the old one.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::database::literal;
use crate::error::Result;
use crate::name::Name;

use super::super::replica::Replica;
use super::super::{Column, Kind, Schema, Table, text};
use super::Pair;
use super::add::{TypeSource, definition};

/// The schema, and the table in it, in which the new column has the type of the old one, where expand, not knowing
/// the old one, came to another. Only for a column in which no row holds a value yet, on a table whose text was `before`.
pub fn typed(live: &Schema, before: &str, pair: &Pair) -> Result<(Schema, Table)> {
    let table = &pair.table;
    let now = Replica::of(&live.only(table))?.table(table)?;
    let old = now.expect_column(&pair.old)?;
    let text = with_new(live, before, pair, &old.declared_type, "")?;
    let schema = live.clone().with_text(Kind::Table, table, &text);
    let table = Replica::of(&schema.only_with_indexes(table))?.table(table)?;
    Ok((schema, table))
}

/// The text of a table with both columns, and what they hold where a statement leaves them out, as SQL; none
/// for NULL.
pub(super) struct Declared {
    pub(super) text: String,
    pub(super) of_old: Option<String>,
    pub(super) of_new: Option<String>,
}

impl Declared {
    /// The table as it stands.
    pub(super) fn standing(replica: &Replica, pair: &Pair) -> Result<Self> {
        let table = replica.table(&pair.table)?;
        Ok(Self {
            text: replica.text(Kind::Table, &pair.table)?,
            of_old: constant_default(&table, table.expect_column(&pair.old)?)?,
            of_new: None,
        })
    }

    /// Gives the new column the collation and the default of the old one; and its NOT NULL, where there is a default
    /// for whoever leaves the column out.
    pub(super) fn declare_alike(
        &mut self,
        live: &Schema,
        before: &str,
        pair: &Pair,
        replica: &Replica,
    ) -> Result<()> {
        let Pair { table, old, new } = pair;
        let now = replica.table(table)?;
        let mut constraints = Vec::new();
        // An index of the application's is sorted by the collation that the column has.
        let is_indexed = live.objects.iter().any(|object| {
            object.is_part_of(table)
                && object.kind == Kind::Index
                && object
                    .sql
                    .as_deref()
                    .is_some_and(|sql| text::says(sql, new))
        });
        if !is_indexed && let Some(collation) = replica.collation(table, old)? {
            constraints.push(format!("COLLATE {collation}"));
        }
        // A default would collide with the row that really holds that value.
        if !now.is_unique_on(old) {
            self.of_new.clone_from(&self.of_old);
            let not_null = if now.expect_column(old)?.not_null {
                "NOT NULL "
            } else {
                ""
            };
            let default = self.of_old.iter();
            constraints.extend(default.map(|value| format!("{not_null}DEFAULT {value}")));
        }
        if !constraints.is_empty() {
            let declared_type = &now.expect_column(new)?.declared_type;
            self.text = with_new(live, before, pair, declared_type, &constraints.join(" "))?;
        }
        Ok(())
    }
}

/// The text `before` with the new column, as SQLite adds it.
fn with_new(
    live: &Schema,
    before: &str,
    pair: &Pair,
    declared_type: &str,
    constraints: &str,
) -> Result<String> {
    let Pair { table, new, .. } = pair;
    let narrow = live.only(table).with_text(Kind::Table, table, before);
    let definition = definition(&narrow, table, declared_type, TypeSource::Column)?;
    let replica = Replica::of(&narrow)?;
    let words = [new.as_written(), definition, constraints.to_owned()];
    let words: Vec<String> = words.into_iter().filter(|it| !it.is_empty()).collect();
    replica.alter(table, &format!("ADD COLUMN {}", words.join(" ")))?;
    replica.text(Kind::Table, table)
}

/// The value of the column's default as SQL, where it is one and the same for every row and not NULL.
pub(super) fn constant_default(table: &Table, column: &Column) -> Result<Option<String>> {
    let Some(default) = &column.default else {
        return Ok(None);
    };
    let scratch = Connection::open_in_memory()?;
    let (any, strict) = if table.strict {
        ("ANY", "STRICT")
    } else {
        ("", "")
    };
    scratch.execute_batch(&format!(
        "CREATE TABLE scratch(first {any}) {strict}; INSERT INTO scratch VALUES (1)"
    ))?;
    let declared_type = match column.declared_type.as_str() {
        "" => String::new(),
        declared if table.strict => declared.to_owned(),
        declared => Name::from(declared).to_string(),
    };
    // SQLite refuses one that is not constant here, where a row stands that would get it.
    let added = [default.clone(), format!("({default})")]
        .iter()
        .any(|default| {
            let add =
                format!("ALTER TABLE scratch ADD COLUMN second {declared_type} DEFAULT {default}");
            scratch.execute_batch(&add).is_ok()
        });
    if !added {
        return Ok(None);
    }
    let value: Value = scratch.query_row("SELECT second FROM scratch", [], |row| row.get(0))?;
    Ok((value != Value::Null).then(|| literal(&value)))
}
