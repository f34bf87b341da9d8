//! Abort: whether it may be, and the plan for it.

use crate::error::{Error, Result};
use crate::phase::{Phase, State};
use crate::plan;
use crate::request::Abort;
use crate::schema::remove_new;

use super::{Asked, View, agreement};

impl View<'_> {
    pub(super) fn abort(&self, asked: &Abort) -> Result<Asked> {
        let table = self.table(&asked.table)?;
        let Some(change) = self.ledger.open_on(&table.name) else {
            let mut changes = self.ledger.changes.iter().rev();
            let latest = changes.find(|change| change.table == table.name);
            return match latest {
                Some(change) if change.state == State::Aborted && self.shows(change) => {
                    self.answered(change, Phase::Abort)
                }
                _ => Err(Error::NothingToAbort(table.name)),
            };
        };
        table.expect_column(&change.new)?;
        let target = remove_new(
            &self.schema,
            self.text_before(change),
            &table.name,
            &change.new,
        )?;
        if !target.breaks.is_empty() {
            return Err(Error::WouldBreak {
                phase: "abort",
                breaks: target.breaks,
                remedy: "drop or change what is named here first",
            });
        }
        let agreement = match &change.old {
            Some(old) if table.column(old).is_some() => Some(agreement(&table, old, &change.new)?),
            _ => None,
        };
        let records = self
            .ledger
            .ended(change, Phase::Abort, &target.table.summary());
        let plan = plan::abort(
            &self.schema,
            &table,
            target,
            &change.new,
            agreement.as_ref(),
            asked.winner,
            records,
        );
        Ok(self.planned(plan, change.id))
    }
}
