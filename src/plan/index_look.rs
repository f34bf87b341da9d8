//! Looking whether an index holds what its table does.

use crate::name::Name;
use crate::schema::{Entries, Table};

use super::Expect;
use super::agreement::other;
use super::ours::name;
use super::path::Path;
use super::sweep::Sweep;

/// The questions to an index and its table.
#[derive(Debug)]
pub struct IndexLook {
    /// The table.
    pub table: Name,
    /// The index.
    pub index: Name,
    /// Finds the rows that the index does not find.
    pub sweep: Sweep,
    /// The text of a table whose b-tree is that of the index.
    pub imposter: String,
    /// Counts what is in it.
    pub count_entries: String,
    /// Counts the rows that must have an entry.
    pub count_rows: String,
}

/// What is to be asked to compare the two.
#[must_use]
pub fn index_look(table: &Table, entries: &Entries) -> IndexLook {
    let index = &entries.index.name;
    let path = Path {
        table: table.name.clone(),
        key: table.key.clone(),
    };
    let imposter = name(0, "imposter");
    let condition = entries.condition.as_deref().unwrap_or("TRUE");
    IndexLook {
        table: table.name.clone(),
        index: index.clone(),
        sweep: not_found(table, &path, entries),
        imposter: entries.table_text(&imposter),
        count_entries: format!("SELECT count(*) FROM {imposter}"),
        count_rows: format!(
            // Where only rows are counted SQLite takes whichever b-tree is the smallest.
            "SELECT coalesce(sum(1), 0) FROM {} {} WHERE {condition}",
            table.name,
            table.by_its_key()
        ),
    }
}

/// Finds the rows of which the index has no entry. What SQLite reads of an entry is compared with the row once more, to the
/// byte.
fn not_found(table: &Table, path: &Path, entries: &Entries) -> Sweep {
    let name = &table.name;
    let keys = path.key_names();
    let mut inner: Vec<String> = Vec::new();
    let numbered = |what: &str, at: usize| format!("live.{what}_{at}");
    let mut found: Vec<String> = Vec::new();
    for (key, at) in path.compared().iter().zip(1..) {
        inner.push(format!("{} AS key_{at}", keys[at - 1]));
        found.push(format!("{key} = {}", numbered("key", at)));
    }
    for (field, at) in entries.fields.iter().filter(|it| it.is_term).zip(1..) {
        inner.push(format!("{} AS value_{at}", field.value));
        let there = numbered("value", at);
        found.push(format!(
            "{} COLLATE {} IS {there}",
            field.value, field.collation
        ));
        found.push(format!("NOT ({})", other(&field.value, &there)));
    }
    found.extend(entries.condition.clone());
    let shown = keys.iter().zip(1..);
    let shown: Vec<String> = shown
        .map(|(key, at)| format!("{} AS {key}", numbered("key", at)))
        .collect();
    Sweep {
        purpose: "look each row up by the index".to_owned(),
        path: path.clone(),
        head: format!(
            "SELECT {} FROM (SELECT {} FROM {name} {}",
            shown.join(", "),
            inner.join(", "),
            table.by_its_key()
        ),
        condition: entries
            .condition
            .clone()
            .unwrap_or_else(|| "TRUE".to_owned()),
        tail: format!(
            ") AS live WHERE NOT EXISTS (SELECT 1 FROM {name} INDEXED BY {} WHERE {})",
            entries.index.name,
            found.join(" AND ")
        ),
        expect: Expect::NoRow("an index does not find rows that the table has"),
    }
}
