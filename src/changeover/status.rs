//! How far the changes of a file have come, and who is at work on them.

use std::time::Duration;

use crate::error::Result;
use crate::ledger::{self, AddedIndex, Change, Run};
use crate::name::Name;
use crate::phase::{IndexState, Phase, State};

use super::{Runner, View};

/// The changes of a file.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The version of the latest phase; 0 where none was applied.
    pub version: i64,
    /// Every change, the oldest first.
    pub changes: Vec<ChangeStatus>,
    /// Every index that a table was given, the oldest first.
    pub indexes: Vec<IndexStatus>,
}

/// How far an index has come.
#[derive(Clone, Debug)]
pub struct IndexStatus {
    /// Its number, counted with the changes.
    pub id: i64,
    /// The table.
    pub table: Name,
    /// The index.
    pub index: Name,
    /// The state.
    pub state: IndexState,
    /// The work on it, as the run that has it, or had it last, tells of it; while it is being built.
    pub work: Option<Run>,
    /// Whether the process that has the work still tells that it lives.
    pub is_worked_on: bool,
}

/// How far one change has come.
#[derive(Clone, Debug)]
pub struct ChangeStatus {
    /// Its number.
    pub id: i64,
    /// The table.
    pub table: Name,
    /// The old column, once it is named.
    pub old: Option<Name>,
    /// The new column.
    pub new: Name,
    /// The state.
    pub state: State,
    /// The rows that the backfill gave a value so far.
    pub rows_migrated: i64,
    /// For how long the old column is held yet; none where it is not, or may go.
    pub hold_left: Option<Duration>,
    /// The phase that comes next; none where the change has ended.
    pub next: Option<Phase>,
    /// The work on it, as the run that has it, or had it last, tells of it; of an open change alone.
    pub work: Option<Run>,
    /// Whether the process that has the work still tells that it lives.
    pub is_worked_on: bool,
    /// How long ago an application last wrote the old column alone; of an open change alone.
    pub old_write: Option<Duration>,
}

impl Status {
    /// Whether data are being migrated, or some other work is being done.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        let (mut changes, mut indexes) = (self.changes.iter(), self.indexes.iter());
        changes.any(|change| change.state.is_under_way() || change.is_worked_on)
            || indexes.any(|index| index.state.is_open())
    }
}

impl View<'_> {
    pub(super) fn status(&self, runner: &Runner) -> Result<Status> {
        let changes = self.ledger.changes.iter();
        let indexes = self.ledger.indexes.iter();
        Ok(Status {
            version: self.ledger.version(),
            indexes: indexes
                .map(|added| self.index_status(added, runner))
                .collect::<Result<_>>()?,
            changes: changes
                .map(|change| self.change_status(change, runner))
                .collect::<Result<_>>()?,
        })
    }

    fn index_status(&self, added: &AddedIndex, runner: &Runner) -> Result<IndexStatus> {
        let work = if added.state.is_open() {
            ledger::run(self.connection, added.id)?
        } else {
            None
        };
        Ok(IndexStatus {
            id: added.id,
            table: added.index.table.clone(),
            index: added.index.name.clone(),
            state: added.state,
            is_worked_on: work.as_ref().is_some_and(|run| lives(run, runner)),
            work,
        })
    }

    fn change_status(&self, change: &Change, runner: &Runner) -> Result<ChangeStatus> {
        let (mut work, mut old_write) = (None, None);
        if change.state.is_open() {
            work = ledger::run(self.connection, change.id)?;
            old_write = ledger::last_old_write(self.connection, change.id)?;
        }
        Ok(ChangeStatus {
            id: change.id,
            table: change.table.clone(),
            old: change.old.clone(),
            new: change.new.clone(),
            state: change.state,
            rows_migrated: change.rows_migrated,
            hold_left: ledger::hold_left(self.connection, change)?,
            next: match change.state {
                State::Expanded | State::Migrating => Some(Phase::MigrateData),
                State::Migrated | State::Contracting | State::Held => Some(Phase::Contract),
                State::Undoing => Some(Phase::Undo),
                State::Aborting => Some(Phase::Abort),
                State::Contracted | State::Aborted => None,
            },
            is_worked_on: work.as_ref().is_some_and(|run| lives(run, runner)),
            work,
            old_write,
        })
    }
}

/// Whether the process that has the work still tells that it lives.
fn lives(run: &Run, runner: &Runner) -> bool {
    let name = run.runner.as_deref();
    name.is_some_and(|name| !run.is_silent() && !(runner.is_gone)(name))
}
