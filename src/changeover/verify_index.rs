//! Verify of an index: whether it holds what its table does, no more and no less.

use crate::database::{Database, Imposter};
use crate::error::{Error, Result};
use crate::event::{Event, Observer};
use crate::name::Name;
use crate::plan::{self, IndexLook};
use crate::schema::{Entries, Kind, Object, Schema, Table, nearest};

use super::execution::tell;
use super::rows::look_for;
use super::run::ATTEMPTS;
use super::step::Found;
use super::{Changeover, View};

/// An index that holds what its table does.
#[derive(Clone, Debug)]
pub struct VerifiedIndex {
    /// The table.
    pub table: Name,
    /// The index.
    pub index: Name,
    /// The rows that must have an entry in it, each of which was looked up.
    pub rows: u64,
}

impl Changeover {
    /// Looks up each row of its table by the index, in reads that are short; and counts the entries and the rows that must
    /// have one, both in one read. Only without a write-ahead log does anybody wait for that count.
    ///
    /// Fails with [`Error::NoSuchIndex`], or with [`Error::IndexDiffers`] where rows are not found, or entries are
    /// of no row.
    pub fn verify_index(&self, index: &Name, observer: &mut Observer<'_>) -> Result<VerifiedIndex> {
        for _ in 0..ATTEMPTS {
            let (look, schema) =
                self.snapshot(|view| Ok((view.index_look(index)?, view.schema.clone())))?;
            let found = look_for(&self.database, &look.sweep, |rows| {
                tell(observer, &Event::Looked { rows })
            });
            let counted = found.and_then(|found| Ok((found, count(&self.database, &look)?)));
            // Of a schema that somebody has changed meanwhile nothing can be told.
            if self.snapshot(|view| Ok(view.schema == schema))? {
                let (found, counts) = counted?;
                return compared(look, &found, counts);
            }
        }
        Err(Error::Unsettled)
    }
}

impl View<'_> {
    fn index_look(&self, index: &Name) -> Result<IndexLook> {
        let index = self.index_of(index)?;
        let table = Table::read(self.connection, &index.table)?;
        let entries = Entries::of(&without(&self.schema, index), index)?;
        Ok(plan::index_look(&table, &entries))
    }

    fn index_of(&self, name: &Name) -> Result<&Object> {
        let all = self.schema.objects.iter().chain(&self.schema.ours);
        let indexes: Vec<&Object> = all
            .filter(|it| it.kind == Kind::Index && it.sql.is_some())
            .collect();
        let found = indexes.iter().find(|it| it.name == *name).copied();
        found.ok_or_else(|| {
            let names: Vec<Name> = indexes.iter().map(|it| it.name.clone()).collect();
            Error::NoSuchIndex {
                index: name.clone(),
                nearest: nearest(name, &names),
            }
        })
    }
}

fn without(schema: &Schema, index: &Object) -> Schema {
    schema.clone().without(|it| it == index)
}

/// How many entries there are, and how many rows that must have one.
fn count(database: &Database, look: &IndexLook) -> Result<(u64, u64)> {
    database.impersonate(&Imposter {
        of: look.index.clone(),
        text: look.imposter.clone(),
    })?;
    let counted = database.snapshot(|connection| {
        let number = |sql: &str| -> Result<u64> {
            let number: i64 = connection.query_row(sql, [], |row| row.get(0))?;
            Ok(number.unsigned_abs())
        };
        Ok((number(&look.count_entries)?, number(&look.count_rows)?))
    });
    database.forget_imposters();
    counted
}

fn compared(look: IndexLook, found: &Found, (entries, rows): (u64, u64)) -> Result<VerifiedIndex> {
    let mut faults = Vec::new();
    if found.count > 0 {
        faults.push(format!(
            "it does not find {} of the rows, for instance where {}",
            found.count,
            found.examples.join("; ")
        ));
    }
    if entries != rows {
        faults.push(format!("it has {entries} entries for {rows} rows"));
    }
    let IndexLook { table, index, .. } = look;
    if faults.is_empty() {
        return Ok(VerifiedIndex { table, index, rows });
    }
    Err(Error::IndexDiffers {
        table,
        index,
        faults,
    })
}
