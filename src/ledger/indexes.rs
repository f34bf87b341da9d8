//! The indexes that tables were given, and how far the building of one has come.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::database::Statement;
use crate::error::Result;
use crate::name::Name;
use crate::phase::{IndexState, Phase};
use crate::plan::Step;
use crate::schema::{Kind, Object};

use super::Ledger;
use super::records::{begun_under, insert_entry};

/// The format of the ledger from which on it knows indexes.
pub(super) const FORMAT: i64 = 6;

/// An index that a table was given, or is being given.
#[derive(Clone, Debug)]
pub struct AddedIndex {
    /// Its number, counted with the changes.
    pub id: i64,
    /// The index, with its text.
    pub index: Object,
    /// How far it has come.
    pub state: IndexState,
    /// What the table was called when that was last recorded, where that is something else.
    pub table_was: Option<Name>,
}

/// Reads all of them, the oldest first.
pub(super) fn read(connection: &Connection, format: i64) -> Result<Vec<AddedIndex>> {
    if format < FORMAT {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(
        "SELECT id, table_name, index_name, text_after, state FROM _changeover_changes \
         WHERE index_name IS NOT NULL ORDER BY id",
    )?;
    let indexes = statement.query_map([], |row| {
        Ok(AddedIndex {
            id: row.get(0)?,
            index: Object {
                kind: Kind::Index,
                table: row.get(1)?,
                name: row.get(2)?,
                sql: row.get(3)?,
            },
            state: row.get(4)?,
            table_was: None,
        })
    })?;
    Ok(indexes.collect::<rusqlite::Result<_>>()?)
}

impl Ledger {
    /// The index that the table is being given.
    #[must_use]
    pub fn open_index_on(&self, table: &Name) -> Option<&AddedIndex> {
        let mut indexes = self.indexes.iter();
        indexes.find(|it| it.index.table == *table && it.state.is_open())
    }

    /// The index of that name that a table was given last.
    #[must_use]
    pub fn index(&self, name: &Name) -> Option<&AddedIndex> {
        let mut indexes = self.indexes.iter().rev();
        indexes.find(|it| it.index.name == *name)
    }

    /// Records that the index is being built, in the transaction that changes the schema for it.
    #[must_use]
    pub fn indexing(added: &AddedIndex) -> Vec<Step> {
        vec![
            known(added, IndexState::Indexing),
            Step::run(
                "and here the work tells how it gets on",
                Statement::with(
                    "INSERT OR IGNORE INTO _changeover_runs (change_id) VALUES (?1)",
                    [Value::Integer(added.id)],
                ),
            ),
            begun_under(added.id),
        ]
    }

    /// Records that the index is there.
    #[must_use]
    pub fn indexed(&self, added: &AddedIndex) -> Vec<Step> {
        let name = format!("add_{}", added.index.name.as_str());
        vec![
            known(added, IndexState::Indexed),
            insert_entry(self.new_entry(added.id, Phase::AddIndex, &name)),
        ]
    }

    /// Records that the building was called off by somebody, and the table is what `schema` says.
    #[must_use]
    pub fn index_aborted(&self, added: &AddedIndex, schema: &str) -> Vec<Step> {
        let name = format!("abort_{}", added.index.name.as_str());
        let mut entry = self.new_entry(added.id, Phase::Abort, &name);
        entry.push(("table_schema", Value::Text(schema.to_owned())));
        vec![known(added, IndexState::Aborted), insert_entry(entry)]
    }

    /// Forgets an index that could not be built.
    #[must_use]
    pub fn index_forgotten(added: &AddedIndex) -> Vec<Step> {
        let forget =
            |why: &str, sql: &str| Step::run(why, Statement::with(sql, [Value::Integer(added.id)]));
        vec![
            forget(
                "nobody works on it",
                "DELETE FROM _changeover_runs WHERE change_id = ?1",
            ),
            forget(
                "the ledger knows nothing of the index",
                "DELETE FROM _changeover_changes WHERE id = ?1",
            ),
        ]
    }
}

/// The row of an index, whether it is there already or not.
fn known(added: &AddedIndex, state: IndexState) -> Step {
    let AddedIndex { id, index, .. } = added;
    let text = |text: &str| Value::Text(text.to_owned());
    Step::run(
        format!("the ledger knows the index: {state}"),
        Statement::with(
            "INSERT INTO _changeover_changes (id, table_name, index_name, text_after, state, new_column, text_before) \
             VALUES (?1, ?2, ?3, ?4, ?5, '', '') \
             ON CONFLICT DO UPDATE SET table_name = ?2, text_after = ?4, state = ?5",
            [
                Value::Integer(*id),
                text(index.table.as_str()),
                text(index.name.as_str()),
                text(index.sql.as_deref().unwrap_or_default()),
                text(state.as_str()),
            ],
        ),
    )
}
