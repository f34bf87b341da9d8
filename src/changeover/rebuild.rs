//! At once or online: how long a rebuild would hold the write lock, and what it needs.

use std::time::Duration;

use rusqlite::Connection;

use crate::database::schema_version;
use crate::error::{Error, Result};
use crate::ledger::{self, Change, Ledger};
use crate::name::Name;
use crate::phase::{Phase, State};
use crate::plan::{self, Leftovers, Online, Plan, Way};
use crate::schema::{FoundTable, Key, Shadow, Table, Target, Unique};

use super::cost::{Cost, estimate};
use super::indexes::obstacle;
use super::room::room_for;
use super::{Asked, View};

/// What a rebuild takes for each row, and for each page that they fill: measured, and rounded up.
const COST: Cost = Cost {
    row: Duration::from_nanos(400),
    page: Duration::from_micros(12),
};

/// Whether a table is rebuilt in one transaction or in many.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Rebuilds {
    /// In one, where that holds the write lock no longer than allowed.
    #[default]
    Auto,
    /// In many.
    Online,
    /// In one.
    AtOnce,
}

impl Rebuilds {
    /// Whether it is in many where that is called for, or not.
    pub(super) fn are_online(self, is_called_for: bool) -> bool {
        match self {
            Self::Online => true,
            Self::Auto => is_called_for,
            Self::AtOnce => false,
        }
    }
}

/// A rebuild that could be done online.
pub(super) struct Wanted<'a> {
    pub(super) change: &'a Change,
    pub(super) table: &'a Table,
    pub(super) target: &'a Target,
    pub(super) phase: Phase,
    /// How many indexes are built beside the table before that, and stay.
    pub(super) indexes: usize,
    /// Why it can be done in one transaction alone, if so.
    pub(super) obstacle: Option<&'a str>,
}

impl View<'_> {
    /// How to do it, and what there is to say of that.
    ///
    /// Fails with [`Error::NotSupported`] where it shall be done online and cannot, and with [`Error::NoRoom`] where the
    /// disk has no room for it.
    pub(super) fn way(&self, wanted: &Wanted<'_>) -> Result<(Way, Option<String>)> {
        let Wanted { change, table, .. } = *wanted;
        let found = self.leftovers(change.id)?;
        let is_begun = change.state.is_rebuilding();
        let hold = estimate(self.connection, table, COST, self.options.max_hold)?;
        let is_long = hold.is_none();
        if !self.options.rebuilds.are_online(is_begun || is_long) {
            return Ok((Way::AtOnce(found), None));
        }
        let name = table.name.as_str();
        let uniques = Unique::of(self.connection, table)?;
        if let Some(obstacle) = wanted.obstacle(&uniques) {
            if self.options.rebuilds == Rebuilds::Online {
                return Err(Error::NotSupported(format!(
                    "table `{name}` cannot be rebuilt online: {obstacle}"
                )));
            }
            let said = format!(
                "`{name}` is rebuilt in one transaction, during which nobody else can write, although that is long: {obstacle}"
            );
            return Ok((Way::AtOnce(found), Some(said)));
        }
        let room = if found.shadow.is_some() {
            None
        } else {
            Some(room_for(
                self.connection,
                table,
                1 + wanted.indexes,
                &found,
            )?)
        };
        let is_stale = matches!(table.key, Key::Rowid { hidden: true, .. })
            && ledger_knows(self.connection, change)? != Some(schema_version(self.connection)?);
        let online = Online {
            uniques,
            found,
            is_stale,
            text_after: Shadow::text_for(&self.schema, table, &plan::shadow_name(change.id))?,
            begun: Ledger::rebuilding(change, wanted.phase),
        };
        let said = format!(
            "`{name}` is rebuilt online, in transactions of a few milliseconds{}{}; its indexes stay as they are",
            if is_long {
                format!(
                    ": in one it would hold the write lock for more than {:?}",
                    self.options.max_hold
                )
            } else {
                String::new()
            },
            room.map(|it| format!("; {}", plan::takes(it)))
                .unwrap_or_default()
        );
        Ok((Way::Online(Box::new(online)), Some(said)))
    }

    /// What online work on the change has left in the file.
    pub(super) fn leftovers(&self, change: i64) -> Result<Leftovers> {
        let look_for = |name| FoundTable::look_for(self.connection, &name);
        let names = ledger::names(self.connection)?.into_iter();
        let holds_entries = names.filter(|it| plan::holds_entries(change, it));
        Ok(Leftovers {
            shadow: look_for(plan::shadow_name(change))?,
            delta: look_for(plan::delta_name(change))?,
            entries: holds_entries
                .filter_map(|name| look_for(name).transpose())
                .collect::<Result<_>>()?,
        })
    }

    /// What removes the old content that the rebuild of a change has left, whose phase is done; nothing where there is
    /// no such change.
    pub(super) fn cleaning(&self) -> Result<Option<Asked>> {
        let names = ledger::names(self.connection)?;
        let has_left = |it: &&Change| names.iter().any(|name| is_left(it, name));
        let Some(change) = self.ledger.changes.iter().find(has_left) else {
            return Ok(None);
        };
        let ours = self.schema.ours.iter();
        let ours = ours.filter(|it| is_left(change, &it.name));
        let ours: Vec<_> = ours.cloned().collect();
        let left = self.leftovers(change.id)?;
        let plan = Plan {
            phase: None,
            table: change.table.clone(),
            warnings: Vec::new(),
            stages: left.remove(&self.schema, &ours),
        };
        Ok(Some(self.planned(plan, change.id)))
    }
}

impl Wanted<'_> {
    fn obstacle(&self, uniques: &[Unique]) -> Option<String> {
        if let Some(obstacle) = obstacle(self.table, uniques) {
            return Some(obstacle);
        }
        if !self.target.keeps_indexes {
            return Some(
                "an index of the new column compares otherwise than it will then".to_owned(),
            );
        }
        self.obstacle.map(str::to_owned)
    }
}

/// Whether something of that name is there of a change without being of use to it any more.
fn is_left(change: &Change, name: &Name) -> bool {
    match change.state {
        // Behind an undo: what keeps the columns in step is of use.
        State::Migrated => *name == plan::shadow_name(change.id),
        state => (!state.is_open() || state == State::Held) && plan::belongs_to(change.id, name),
    }
}

/// SQLite's number of the schema under which rows were copied, where the ledger can know it.
fn ledger_knows(connection: &Connection, change: &Change) -> Result<Option<i64>> {
    match change.state {
        state if state.is_rebuilding() => ledger::rebuilt_under(connection, change.id),
        _ => Ok(None),
    }
}
