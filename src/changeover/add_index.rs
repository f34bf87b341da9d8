//! Add index: whether it may be, the plan for it, and what becomes of one that cannot be built.

use crate::error::{Error, Result};
use crate::event::unobserved;
use crate::ledger::{AddedIndex, Ledger};
use crate::phase::{IndexState, Phase};
use crate::plan::{self, NewIndex, Plan};
use crate::request::{AddIndex, Term};
use crate::schema::{Entries, Kind, Object, Table, expect_columns, wanted_index, with_index};

use super::execution::Ran;
use super::indexes::{Making, making};
use super::run::ATTEMPTS;
use super::{Asked, Changeover, Planned, Rebuilds, View};

impl Changeover {
    /// Takes back what was begun of an index, where the error says that it will not be built: nothing of it is left then.
    /// Otherwise the same request goes on. What cannot be taken back now is by `abort`.
    pub(super) fn call_off(&mut self, error: &Error, asked: &AddIndex) -> Result<()> {
        if !is_final(error) {
            return Ok(());
        }
        for _ in 0..ATTEMPTS {
            let Some(planned) = self.snapshot(|view| view.calling_off(asked))? else {
                return Ok(());
            };
            if self.carry_out(&planned, &mut unobserved)? == Ran::Done {
                return Ok(());
            }
        }
        Err(Error::Unsettled)
    }
}

impl View<'_> {
    pub(super) fn add_index(&self, asked: &AddIndex) -> Result<Asked> {
        let table = self.table(&asked.table)?;
        let index = wanted_index(&table, asked)?;
        let known = self.ledger.index(&index.name);
        let known = known.filter(|it| it.index.table == table.name);
        if let Some(added) = known
            && added.state == IndexState::Indexed
            && added.index.sql == index.sql
            && self.schema.objects.contains(&index)
        {
            return self.answered(added.id, Phase::AddIndex);
        }
        let begun = known.filter(|it| it.state.is_open());
        // What it was begun as says the name that the table had then.
        let goes_on = |it: &&AddedIndex| it.table_was.is_some() || it.index.sql == index.sql;
        let begun = begun.filter(goes_on);
        expect_columns(&table, asked)?;
        self.check_index(&table, &index, begun)?;
        let added = AddedIndex {
            id: begun.map_or_else(|| self.ledger.next_change(), |it| it.id),
            state: IndexState::Indexing,
            table_was: None,
            index,
        };
        let plan = self.index_plan(&table, asked, &added)?;
        Ok(self.planned(plan, added.id))
    }

    /// Checks everything for which an index is refused before SQLite is asked.
    fn check_index(&self, table: &Table, index: &Object, begun: Option<&AddedIndex>) -> Result<()> {
        let name = &index.name;
        if name.is_ours() || name.is_sqlites() {
            return Err(Error::NotSupported(format!(
                "`{}` begins like a name that SQLite or changeover keeps for itself",
                name.as_str()
            )));
        }
        self.expect_no_strangers()?;
        if let Some(open) = self.ledger.open_on(&table.name) {
            return Err(Error::ChangeOpen {
                table: table.name.clone(),
                new: open.new.clone(),
                state: open.state,
            });
        }
        if begun.is_none() {
            self.expect_no_open_index(&table.name)?;
        }
        let mut objects = self.schema.objects.iter();
        // Triggers have names of their own.
        let bears = |it: &&Object| it.name == *name && it.kind != Kind::Trigger;
        if let Some(taken) = objects.find(bears) {
            return Err(Error::NameTaken {
                name: name.clone(),
                kind: match taken.kind {
                    Kind::Table => "a table",
                    Kind::View => "a view",
                    Kind::Index | Kind::Trigger => "an index",
                },
            });
        }
        table.check_writable(self.connection)
    }

    fn index_plan(&self, table: &Table, asked: &AddIndex, added: &AddedIndex) -> Result<Plan> {
        let outcome = with_index(&self.schema, &added.index)?;
        let entries = Entries::of(&self.schema, &added.index)?;
        self.check_computable(&entries)?;
        let found = self.leftovers(added.id)?;
        let making = making(
            self.connection,
            self.options,
            Ledger::indexing(added),
            table,
            &self.schema,
            std::slice::from_ref(&added.index),
        )?;
        let room = making.room(self.connection, table, &found)?;
        let Making { building, obstacle } = making;
        if let Some(obstacle) = &obstacle
            && self.options.rebuilds == Rebuilds::Online
        {
            return Err(Error::NotSupported(format!(
                "index `{}` cannot be built beside its table: {obstacle}",
                added.index.name.as_str()
            )));
        }
        let new = NewIndex {
            change: added.id,
            live: &self.schema,
            table,
            outcome,
            entries: &entries,
            warnings: warnings(asked, room, obstacle.as_deref()),
            building,
            found,
        };
        Ok(plan::add_index(new, &self.ledger.indexed(added)))
    }

    /// Fails where the index wants a function or a collation that only the application has.
    fn check_computable(&self, entries: &Entries) -> Result<()> {
        let query = entries.query();
        let Err(error) = self.connection.prepare(&query) else {
            return Ok(());
        };
        Err(Error::NotAnIndex {
            sql: entries.index.sql.clone().unwrap_or_default(),
            reason: match error {
                rusqlite::Error::SqlInputError { msg, .. } => msg,
                error => error.to_string(),
            },
        })
    }

    /// What takes an index back that was begun and will not be built; nothing where there is no such index.
    fn calling_off(&self, asked: &AddIndex) -> Result<Option<Planned>> {
        let name = self.name_now(&asked.table).unwrap_or(&asked.table);
        let Some(added) = self.ledger.open_index_on(name) else {
            return Ok(None);
        };
        let wanted = wanted_index(&self.table(name)?, asked)?;
        if wanted.name != added.index.name || wanted.sql != added.index.sql {
            return Ok(None);
        }
        let plan = self.call_off_plan(added, Ledger::index_forgotten(added))?;
        Ok(Some(self.made_for(plan, added.id)))
    }

    /// Abort of an index that is being built.
    pub(super) fn abort_index(&self, added: &AddedIndex, schema: &str) -> Result<Asked> {
        let records = self.ledger.index_aborted(added, schema);
        let mut planned = self.made_for(self.call_off_plan(added, records)?, added.id);
        planned.supersedes = true;
        Ok(Asked::Planned(Box::new(planned)))
    }

    fn call_off_plan(&self, added: &AddedIndex, records: Vec<plan::Step>) -> Result<Plan> {
        let found = self.leftovers(added.id)?;
        let table = &added.index.table;
        Ok(plan::call_off_index(
            &self.schema,
            added.id,
            table,
            &found,
            records,
        ))
    }
}

/// Whether it tells of the rows or the index, rather than of something that stands in the way for now.
fn is_final(error: &Error) -> bool {
    match error {
        Error::Duplicates { .. }
        | Error::Constraint(_)
        | Error::Unexpected(_)
        | Error::NoSuchColumn { .. }
        | Error::NotAnIndex { .. } => true,
        Error::Sqlite(error) => {
            error.sqlite_error_code() != Some(rusqlite::ErrorCode::SystemIoFailure)
        }
        _ => false,
    }
}

/// What people should know before it runs; `room` are the bytes of the disk that it takes beside the table.
fn warnings(asked: &AddIndex, room: Option<u64>, obstacle: Option<&str>) -> Vec<String> {
    let table = asked.table.as_str();
    let mut warnings = Vec::new();
    warnings.extend(room.map(|room| {
        format!(
            "the index is built beside `{table}`, in transactions of a few milliseconds; {}",
            plan::takes(room)
        )
    }));
    warnings.extend(obstacle.map(|obstacle| {
        format!("nobody else can write while the index is made, although that is long: {obstacle}")
    }));
    if asked.unique {
        warnings.push(format!(
            "from then on a statement that gives two rows of `{table}` the same key fails, whichever application it is of"
        ));
    }
    let computes = |it: &Term| matches!(it, Term::Expression { .. });
    if asked.condition.is_some() || asked.columns.iter().any(computes) {
        warnings.push(format!(
            "an application whose SQLite does not know a function of the index can no longer write `{table}`"
        ));
    }
    warnings
}
