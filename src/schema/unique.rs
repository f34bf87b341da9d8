//! The unique keys of a table besides the one that finds its rows: by these REPLACE removes other rows than the one that
//! it writes.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::error::Result;
use crate::name::Name;

use super::index::{Index, indexes};
use super::{Key, Table, text};

/// A unique index, whoever made it.
#[derive(Clone, Debug)]
pub struct Unique {
    /// The index.
    pub name: Name,
    terms: Vec<Term>,
    /// Of which rows it holds, where it does not hold of all.
    condition: Option<String>,
}

/// What rows may not share, all terms together.
#[derive(Clone, Debug)]
struct Term {
    /// The column; none for an expression.
    column: Option<Name>,
    /// The column or the expression, as SQL.
    sql: String,
    collation: Name,
}

impl Unique {
    /// The unique keys of the table, changeover's own among them.
    pub fn of(connection: &Connection, table: &Table) -> Result<Vec<Self>> {
        let mut indexes = indexes(connection, &table.name, |_| true)?;
        indexes.retain(|index| index.unique);
        if let Key::Columns(_) = table.key {
            indexes.retain(|index| index.origin != "pk");
        }
        let unique = |index: Index| {
            let sql: Option<String> = connection
                .prepare_cached(
                    "SELECT sql FROM main.sqlite_schema WHERE type = 'index' AND name = ?1",
                )?
                .query_row([&index.name], |row| row.get(0))?;
            let (words, condition) = sql.as_deref().map(text::index_terms).unwrap_or_default();
            let terms = index.columns.into_iter().enumerate();
            let terms = terms.map(|(at, (column, _, collation))| {
                let sql = match &column {
                    Some(name) => name.to_string(),
                    None => words.get(at).cloned().unwrap_or_default(),
                };
                let collation = Name::from(collation.as_str());
                Term {
                    column,
                    sql,
                    collation,
                }
            });
            Ok(Self {
                name: index.name,
                terms: terms.collect(),
                condition: condition.map(str::to_owned),
            })
        };
        indexes.into_iter().map(unique).collect()
    }

    /// The columns that must change for a row to share it with another than before; none where that can be any.
    #[must_use]
    pub fn columns(&self) -> Option<Vec<Name>> {
        let columns = self.terms.iter().map(|term| term.column.clone());
        columns
            .collect::<Option<_>>()
            .filter(|_| self.condition.is_none())
    }

    /// Whether a trigger can tell, before a row is written, what the key holds of it. None knows a rowid that SQLite has yet
    /// to choose, what a column will be that is computed from others, or what a value will be compared as.
    #[must_use]
    pub fn is_known_before(&self, table: &Table) -> bool {
        let is_computed = |name: &Name| table.column(name).is_some_and(|it| it.generated.is_some());
        let unknown = |sql: &str| {
            let mut columns = table.columns.iter();
            let is_rowid = |name: &Name| matches!(&table.key, Key::Rowid { name: key, hidden: false } if key == name);
            text::compares(sql)
                || columns.any(|it| {
                    (it.generated.is_some() || is_rowid(&it.name)) && text::says(sql, &it.name)
                })
        };
        self.terms.iter().all(|term| match &term.column {
            Some(column) => !is_computed(column),
            None => !unknown(&term.sql),
        })
    }

    /// The condition under which a row of the table shares it with the one that a trigger calls NEW; `columns` are all of
    /// the table, `defaults` what REPLACE puts in the place of a NULL. What a partial index leaves out of that one is not asked for.
    #[must_use]
    pub fn shared_with_new(&self, columns: &[Name], defaults: &BTreeMap<String, String>) -> String {
        let shared = |term: &Term| {
            let Term { sql, collation, .. } = term;
            format!(
                "({sql}) COLLATE {collation} = {}",
                term.of_new(columns, defaults)
            )
        };
        let mut conditions: Vec<String> = self.terms.iter().map(shared).collect();
        conditions.extend(self.condition.as_ref().map(|it| format!("({it})")));
        conditions.join(" AND ")
    }
}

impl Term {
    /// Its value in the row that a trigger calls NEW, before it is written.
    fn of_new(&self, columns: &[Name], defaults: &BTreeMap<String, String>) -> String {
        let value = |column: &Name| match defaults.get(column.as_str()) {
            Some(default) => format!("ifnull(NEW.{column}, ({default}))"),
            None => format!("NEW.{column}"),
        };
        if let Some(column) = &self.column {
            return value(column);
        }
        let row: Vec<String> = columns
            .iter()
            .map(|column| format!("{} AS {column}", value(column)))
            .collect();
        format!("(SELECT {} FROM (SELECT {}))", self.sql, row.join(", "))
    }
}
