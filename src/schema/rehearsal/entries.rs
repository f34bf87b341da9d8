//! What an index holds of each row, and a table of ours whose b-tree holds the same.

use crate::error::Result;
use crate::name::Name;

use super::super::replica::Replica;
use super::super::{Object, Schema, text};
use super::shadow::stored_types;

/// The entries of an index, as SQLite would write them.
#[derive(Clone, Debug)]
pub struct Entries {
    /// The index.
    pub index: Object,
    /// Whether no two rows may share a key.
    pub is_unique: bool,
    /// Of which rows there are entries, where that is not all.
    pub condition: Option<String>,
    /// What is in an entry, in order: the terms of the index, and behind them what finds the row.
    pub fields: Vec<Field>,
}

/// A field of an entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Field {
    /// Its value, as SQL over the columns of the table.
    pub value: String,
    /// The type of a column that stores it as the index does; none is needed for most.
    pub stored_type: &'static str,
    /// How it is compared.
    pub collation: Name,
    /// Whether it runs downwards.
    pub descending: bool,
    /// Whether the index is over it, rather than that it finds the row.
    pub is_term: bool,
}

impl Entries {
    /// The entries of an index, in the schema in which it is to stand.
    pub fn of(schema: &Schema, index: &Object) -> Result<Self> {
        let table = &index.table;
        let sql = index.sql.as_deref().unwrap_or_default();
        let replica = Replica::of(&schema.only_with_indexes(table))?;
        replica.execute(sql)?;
        let (words, condition) = text::index_terms(sql);
        let stored = replica.stored_in(table, &index.name)?;
        let numbered = stored.iter().zip(0..);
        let values: Vec<String> = numbered
            .map(|(field, at)| match &field.column {
                Some(column) => column.to_string(),
                None => format!("({})", words.get(at).map_or("NULL", String::as_str)),
            })
            .collect();
        let declared = stored_types(&replica, table, &values)?;
        let fields = stored.into_iter().zip(values).zip(declared);
        let fields = fields.map(|((field, value), declared)| Field {
            value,
            // A whole number in a column of real ones stands in an index as an integer, as NUMERIC makes it. What an
            // expression comes to stands there as it is, for it is read from there as it is.
            stored_type: if field.column.is_some() && declared == "REAL" {
                "NUMERIC"
            } else {
                ""
            },
            collation: field.collation,
            descending: field.descending,
            is_term: field.is_term,
        });
        Ok(Self {
            index: index.clone(),
            is_unique: replica.is_unique(&index.name)?,
            condition: condition.map(|it| format!("({it})")),
            fields: fields.collect(),
        })
    }

    /// A query for what the index holds of each row.
    #[must_use]
    pub fn query(&self) -> String {
        let values = self.fields.iter();
        let values = values.map(|it| format!("{} COLLATE {}", it.value, it.collation));
        let condition = self.condition.iter().map(|it| format!(" WHERE {it}"));
        format!(
            "SELECT {} FROM {}{}",
            values.collect::<Vec<_>>().join(", "),
            self.index.table,
            condition.collect::<String>()
        )
    }

    /// A query for the `keys` of rows that share a key of the index with one before them.
    #[must_use]
    pub fn shared_keys(&self, keys: &str) -> String {
        let terms = self.fields.iter().filter(|field| field.is_term);
        let same = terms
            .clone()
            .map(|it| format!("{} COLLATE {}", it.value, it.collation));
        let same: Vec<String> = same.collect();
        let held = terms.map(|it| format!("{} IS NOT NULL", it.value));
        let held: Vec<String> = held.chain(self.condition.clone()).collect();
        let table = &self.index.table;
        format!(
            "SELECT {keys} FROM (SELECT {keys}, row_number() OVER (PARTITION BY {}) AS _changeover_place FROM {table} WHERE {}) \
             WHERE _changeover_place > 1",
            same.join(", "),
            held.join(" AND ")
        )
    }

    /// The text of a table, under that name, whose b-tree is that of the index; its columns are called `entry_1`,
    /// `entry_2` and so on.
    #[must_use]
    pub fn table_text(&self, name: &Name) -> String {
        let numbered = || self.fields.iter().zip(1..);
        let columns = numbered().map(|(field, at)| {
            let collation = &field.collation;
            format!("entry_{at} {} COLLATE {collation}", field.stored_type)
        });
        let key = numbered().map(|(field, at)| {
            let direction = if field.descending { " DESC" } else { "" };
            format!("entry_{at}{direction}")
        });
        format!(
            "CREATE TABLE {name} ({}, PRIMARY KEY ({})) WITHOUT ROWID",
            columns.collect::<Vec<_>>().join(", "),
            key.collect::<Vec<_>>().join(", ")
        )
    }
}
