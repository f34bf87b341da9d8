//! Abort: whether it may be, and the plan for it.

use crate::error::{Error, Result};
use crate::ledger::Change;
use crate::phase::{IndexState, Phase, State};
use crate::plan::{self, Undoing};
use crate::request::{Abort, Winner};
use crate::schema::{Table, Target, remove_new};

use super::rebuild::Wanted;
use super::{Asked, View};

impl View<'_> {
    pub(super) fn abort(&self, asked: &Abort) -> Result<Asked> {
        let name = self.name_now(&asked.table).unwrap_or(&asked.table);
        let table = match (self.table(name), self.ledger.open_on(name)) {
            (Err(Error::NoSuchTable { .. }), Some(change)) => {
                return Ok(self.record_gone(change, &format!("{} ()", change.table.as_str())));
            }
            (table, _) => table,
        };
        if let Some(added) = self.ledger.open_index_on(name) {
            let gone = |_| format!("{} ()", name.as_str());
            let schema = table.map_or_else(gone, |table| table.summary());
            return self.abort_index(added, &schema);
        }
        let table = table?;
        let Some(change) = self.ledger.open_on(&table.name) else {
            return match self.latest_undone(&table) {
                Some(change) => self.answered(change, Phase::Abort),
                None => Err(Error::NoOpenChange(table.name)),
            };
        };
        Self::expect_not_held(change)?;
        self.expect_no_other_names(change, &table)?;
        if table.column(&change.new).is_none() {
            return Ok(self.record_gone(change, &table.summary()));
        }
        let standing = self.standing(change)?;
        let rehearsed = remove_new(
            &standing.schema,
            standing.before.as_deref(),
            &table.name,
            &change.new,
        )?;
        if !rehearsed.breaks.is_empty() {
            return Err(Error::WouldBreak {
                phase: "abort",
                breaks: rehearsed.breaks,
                remedy: "drop or change what is named here first",
            });
        }
        let target = Target::of(
            rehearsed.schema,
            &table,
            None,
            &plan::shadow_name(change.id),
        )?;
        let agreement = match &change.old {
            Some(old) if table.column(old).is_some() => Some(self.agreement(change, &table, old)?),
            _ => None,
        };
        if let (Some(agreement), Some(_), None) = (&agreement, &change.text_synced, asked.winner) {
            self.expect_in_step(change, agreement)?;
        }
        let records = self
            .ledger
            .ended(change, Phase::Abort, &target.table.summary());
        let undoing = Undoing {
            change: change.id,
            new: &change.new,
            agreement: agreement.as_ref(),
            winner: asked.winner,
        };
        let is_settled = asked.winner == Some(Winner::New) && change.text_synced.is_none();
        let obstacle =
            "the columns are not kept in step yet, so that nothing can be settled for good before";
        let (way, said) = self.way(&Wanted {
            change,
            table: &table,
            target: &target,
            phase: Phase::Abort,
            indexes: 0,
            obstacle: is_settled.then_some(obstacle),
        })?;
        let mut plan = plan::abort(&self.schema, &table, &target, &undoing, way, records);
        plan.warnings.extend(said);
        let mut planned = self.made_for(plan, change.id);
        planned.supersedes = matches!(change.state, State::Migrating | State::Contracting);
        Ok(Asked::Planned(Box::new(planned)))
    }

    /// The latest change of the table, or index, where it is undone and the table shows that.
    fn latest_undone(&self, table: &Table) -> Option<i64> {
        let mut changes = self.ledger.changes.iter().rev();
        let change = changes.find(|change| change.table == table.name);
        let mut indexes = self.ledger.indexes.iter().rev();
        let added = indexes.find(|it| it.index.table == table.name);
        let last_change = change.map_or(0, |it| it.id);
        if let Some(added) = added.filter(|it| it.id > last_change)
            && added.state == IndexState::Aborted
        {
            return Some(added.id);
        }
        let undone = change.filter(|it| it.state == State::Aborted && self.shows(it));
        undone.map(|it| it.id)
    }

    /// Someone else took the new column out of the file: all that is left of the change is its record.
    fn record_gone(&self, change: &Change, schema: &str) -> Asked {
        let records = self.ledger.ended(change, Phase::Abort, schema);
        self.planned(
            plan::record_gone(&self.schema, change.id, &change.table, records),
            change.id,
        )
    }
}
