//! Contract: whether it may be, and the plan for it.

use crate::error::{Error, Result};
use crate::instance::Label;
use crate::ledger::Change;
use crate::phase::{Phase, State};
use crate::plan::{self, Contracting, Sweep};
use crate::request::Contract;
use crate::schema::{Table, Target};

use super::rebuild::Wanted;
use super::{Asked, View, replaces};

impl View<'_> {
    pub(super) fn contract(&self, asked: &Contract) -> Result<Asked> {
        let table = self.table(&asked.table)?;
        let old = &asked.remove_column;
        let latest = self.ledger.latest_on(&table.name, old);
        let replacing = latest.filter(|change| change.old.as_ref() == Some(old));
        match replacing.map(|change| (change, change.state)) {
            Some((change, State::Migrated | State::Contracting)) => {
                return self.contract_plan(&table, change, asked);
            }
            Some((change, State::Held)) => return self.release(&table, change, asked),
            Some((change, State::Undoing)) => Self::expect_not_held(change)?,
            Some((change, State::Contracted)) if self.shows(change) => {
                return self.answered(change.id, Phase::Contract);
            }
            _ => {}
        }
        table.expect_column(old)?;
        let waits = |change: &&Change| {
            change.state != State::Aborting && change.old.as_ref().is_none_or(|known| known == old)
        };
        match self.ledger.open_on(&table.name).filter(waits) {
            Some(change) if change.new != *old => Err(Error::NotMigrated {
                column: old.clone(),
                state: change.state,
            }),
            _ => Err(Error::NothingReplaces {
                table: table.name,
                column: old.clone(),
            }),
        }
    }

    fn contract_plan(&self, table: &Table, change: &Change, asked: &Contract) -> Result<Asked> {
        let reason = reason(asked)?.map(ToString::to_string);
        let change = &Change {
            forced: reason.or_else(|| change.forced.clone()),
            ..change.clone()
        };
        if asked.hold.is_some() && asked.now {
            return Err(Error::Malformed(
                "`hold` begins a hold, and `now` ends one (--hold, --now)".to_owned(),
            ));
        }
        let standing = self.standing(change)?;
        let agreement = self.agreement(change, table, &asked.remove_column)?;
        if asked.winner.is_none() {
            self.expect_in_step(change, &agreement)?;
        }
        let replaces = replaces(change, table, &asked.remove_column)?;
        let before = standing.before.as_deref();
        let pair = &agreement.pair;
        let target = plan::target(&standing.schema, before, pair, replaces)?;
        let (target, warnings) = if asked.hold.is_some() {
            let held = self.holding(change, &target, table, &agreement)?;
            (held.schema, held.warnings)
        } else {
            (target, Vec::new())
        };
        let renamed = (!replaces).then_some((&pair.old, &pair.new));
        let target = Target::of(target, table, renamed, &plan::shadow_name(change.id))?;
        let (phase, records) = match asked.hold {
            None => {
                let schema = target.table.summary();
                let records = self.ledger.ended(change, Phase::Contract, &schema);
                (Phase::Contract, records)
            }
            Some(hold) => (Phase::Hold, self.held(hold, change, &standing, &target)?),
        };
        let check = match (asked.winner, &change.text_synced) {
            (Some(_), _) => None,
            (None, Some(_)) => Some(Sweep::of_disagreement(&agreement)),
            // Before there were sync triggers, rows that only old applications had written were left for contract.
            (None, None) => Some(Sweep::of_conflicts(&agreement)),
        };
        let contracting = Contracting {
            change: change.id,
            phase,
            agreement: &agreement,
            check: check.as_ref(),
            winner: asked.winner,
            replaces,
            is_synced: change.text_synced.is_some(),
        };
        let obstacle =
            "its data were migrated by an older changeover, which did not keep the columns in step";
        let (way, said) = self.way(&Wanted {
            change,
            table,
            target: &target,
            phase,
            indexes: 0,
            obstacle: change.text_synced.is_none().then_some(obstacle),
        })?;
        let mut plan = plan::contract(&self.schema, table, &target, &contracting, way, records);
        plan.warnings.extend(warnings);
        plan.warnings.extend(said);
        let mut planned = self.made_for(plan, change.id);
        // One that is under way goes on: rows are being copied already, and it was let pass when it began.
        planned.gate = (change.state == State::Migrated).then(|| asked.clone());
        Ok(Asked::Planned(Box::new(planned)))
    }
}

/// Why the contract goes past the gate, where it is to.
fn reason(asked: &Contract) -> Result<Option<&Label>> {
    match (asked.force, &asked.reason) {
        (false, None) => Ok(None),
        (true, Some(reason)) => Ok(Some(reason)),
        (true, None) => Err(Error::Malformed(
            "`force` needs a `reason` (--force --reason), which the ledger keeps".to_owned(),
        )),
        (false, Some(_)) => Err(Error::Malformed(
            "a `reason` is for `force` alone (--force --reason)".to_owned(),
        )),
    }
}
