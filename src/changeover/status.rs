//! How far the changes of a file have come.

use crate::name::Name;
use crate::phase::{Phase, State};

use super::View;

/// The changes of a file.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The version of the latest phase; 0 where none was applied.
    pub version: i64,
    /// Every change, the oldest first.
    pub changes: Vec<ChangeStatus>,
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
    /// The phase that comes next; none where the change has ended.
    pub next: Option<Phase>,
}

impl View<'_> {
    pub(super) fn status(&self) -> Status {
        let changes = self.ledger.changes.iter().map(|change| ChangeStatus {
            id: change.id,
            table: change.table.clone(),
            old: change.old.clone(),
            new: change.new.clone(),
            state: change.state,
            rows_migrated: change.rows_migrated,
            next: match change.state {
                State::Expanded | State::Migrating => Some(Phase::MigrateData),
                State::Migrated => Some(Phase::Contract),
                State::Contracted | State::Aborted => None,
            },
        });
        Status {
            version: self.ledger.version(),
            changes: changes.collect(),
        }
    }
}
