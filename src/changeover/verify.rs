//! Verify: whether old and new agree in every row, and mending what does not.

use crate::error::{Error, Result};
use crate::event::{Event, Observer};
use crate::ledger::{self, Change};
use crate::name::Name;
use crate::phase::State;
use crate::plan::{self, Agreement, Plan, Repair, Stage, Sweep, SyncTriggers};
use crate::request::{Verify, Winner};
use crate::schema::{Kind, Object, synced};

use super::execution::{Ran, tell};
use super::rows::look_for;
use super::run::ATTEMPTS;
use super::step::refuse;
use super::{Changeover, Planned, View, new_apps, replaces};

/// A change in whose rows old and new agree.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The table.
    pub table: Name,
    /// The old column.
    pub old: Name,
    /// The new column.
    pub new: Name,
    /// How far the change has come. While its rows are copied, those that have no new value yet are not held against it.
    pub state: State,
    /// The rows that were looked at.
    pub rows: u64,
    /// What was mended first, where that was asked for.
    pub repaired: Option<Repaired>,
}

/// What was mended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Repaired {
    /// Triggers that were put back.
    pub triggers: usize,
    /// Rows that were brought to agree.
    pub rows: u64,
}

impl Changeover {
    /// Looks whether old and new agree, row by row, in reads that are short and without a lock that anyone feels; where
    /// that is asked for, mends first what does not.
    ///
    /// Fails with [`Error::OutOfStep`] where sync triggers are not as they were made, and with
    /// [`Error::Disagreement`] where rows disagree.
    pub fn verify(&mut self, asked: &Verify, observer: &mut Observer<'_>) -> Result<Vec<Verified>> {
        let changes = self.snapshot(|view| {
            let changes = view.comparable(asked)?;
            Ok(changes.into_iter().map(|it| it.id).collect::<Vec<_>>())
        })?;
        let mut verified = Vec::new();
        for change in changes {
            let mut repaired = None;
            if asked.repair {
                repaired = Some(self.repair(change, asked.winner, observer)?);
            }
            verified.push(Verified {
                repaired,
                ..self.compare(change, observer)?
            });
        }
        Ok(verified)
    }

    /// What a repair would do, change by change. Nothing is changed.
    pub fn plan_repair(&self, asked: &Verify) -> Result<Vec<Plan>> {
        self.snapshot(|view| {
            let changes = view.comparable(asked)?.into_iter();
            changes
                .map(|change| Ok(view.repair(change, asked.winner)?.planned.plan))
                .collect()
        })
    }

    fn compare(&self, change: i64, observer: &mut Observer<'_>) -> Result<Verified> {
        for _ in 0..ATTEMPTS {
            let (verified, sweep, schema) = self.snapshot(|view| {
                let (verified, sweep) = view.comparison(view.change(change)?)?;
                Ok((verified, sweep, view.schema.clone()))
            })?;
            let found = look_for(&self.database, &sweep, |rows| {
                tell(observer, &Event::Looked { rows })
            });
            // Of columns that somebody has taken away meanwhile nothing can be told.
            if self.snapshot(|view| Ok(view.schema == schema))? {
                let found = found?;
                let rows = found.looked;
                refuse(&sweep.expect, found)?;
                return Ok(Verified { rows, ..verified });
            }
        }
        Err(Error::Unsettled)
    }

    fn repair(
        &mut self,
        change: i64,
        winner: Option<Winner>,
        observer: &mut Observer<'_>,
    ) -> Result<Repaired> {
        for _ in 0..ATTEMPTS {
            let mending = self.snapshot(|view| view.repair(view.change(change)?, winner))?;
            let walks = mending.planned.plan.stages.iter();
            let walk = walks.flat_map(|stage| match stage {
                Stage::Batches(walk) => walk.left.clone(),
                _ => Vec::new(),
            });
            let mut repaired = mending.repaired;
            for left in walk {
                let found = look_for(&self.database, &left, |rows| {
                    tell(observer, &Event::Looked { rows })
                })?;
                repaired.rows += found.count;
            }
            if repaired == Repaired::default()
                || self.carry_out(&mending.planned, observer)? == Ran::Done
            {
                return Ok(repaired);
            }
        }
        Err(Error::Unsettled)
    }
}

/// A repair, and the triggers that it puts back.
struct Mending {
    planned: Planned,
    repaired: Repaired,
}

impl View<'_> {
    /// The changes that have both columns and whose data migration has begun.
    fn comparable(&self, asked: &Verify) -> Result<Vec<&Change>> {
        if asked.winner.is_some() && !asked.repair {
            return Err(Error::Malformed(
                "a winner is for a repair alone".to_owned(),
            ));
        }
        let mut changes: Vec<&Change> = self.ledger.changes.iter().collect();
        changes.retain(|change| {
            let is_repairable = matches!(change.state, State::Migrating | State::Migrated);
            let is_comparable =
                is_repairable || change.state == State::Contracting && !asked.repair;
            is_comparable && self.shows(change)
        });
        if let Some(table) = &asked.table {
            let table = self.table(table)?.name;
            changes.retain(|change| change.table == table);
            if changes.is_empty() {
                return Err(Error::NothingToVerify(table));
            }
        }
        Ok(changes)
    }

    pub(super) fn change(&self, id: i64) -> Result<&Change> {
        let mut changes = self.ledger.changes.iter();
        changes.find(|it| it.id == id).ok_or(Error::Unsettled)
    }

    /// When the rows of a change agree that has both columns.
    fn agreement_of(&self, change: &Change) -> Result<Agreement> {
        let Some(old) = &change.old else {
            return Err(Error::NothingToVerify(change.table.clone()));
        };
        let table = self.table(&change.table)?;
        table.expect_column(&change.new)?;
        self.agreement(change, &table, &table.expect_column(old)?.name)
    }

    fn comparison(&self, change: &Change) -> Result<(Verified, Sweep)> {
        let sweep: fn(&Agreement) -> Sweep = match change.state {
            State::Migrated | State::Contracting => Sweep::of_disagreement,
            State::Migrating => Sweep::of_conflicts,
            State::Expanded
            | State::Held
            | State::Undoing
            | State::Aborting
            | State::Contracted
            | State::Aborted => {
                return Err(Error::NothingToVerify(change.table.clone()));
            }
        };
        let agreement = self.agreement_of(change)?;
        self.expect_in_step(change, &agreement)?;
        let sweep = sweep(&agreement);
        let verified = Verified {
            table: agreement.pair.table,
            old: agreement.pair.old,
            new: agreement.pair.new,
            state: change.state,
            rows: 0,
            repaired: None,
        };
        Ok((verified, sweep))
    }

    fn repair(&self, change: &Change, winner: Option<Winner>) -> Result<Mending> {
        let agreement = self.agreement_of(change)?;
        let live = &self.schema.ours;
        let mut triggers = self.sync_triggers(change, &agreement)?;
        triggers.retain(|made| !live.contains(made));
        let is_copied = change.state == State::Migrated;
        let plan = plan::repair(Repair {
            live: &self.schema,
            table: &self.table(&change.table)?,
            agreement: &agreement,
            triggers: &triggers,
            winner,
            walked: is_copied.then(|| ledger::forget_cursor(change.id)),
        });
        Ok(Mending {
            planned: self.made_for(plan, change.id),
            repaired: Repaired {
                triggers: triggers.len(),
                rows: 0,
            },
        })
    }

    /// Fails where a trigger that keeps the columns in step is gone, or another than was made.
    pub(super) fn expect_in_step(&self, change: &Change, agreement: &Agreement) -> Result<()> {
        let live = &self.schema.ours;
        let triggers = self.sync_triggers(change, agreement)?;
        // Whoever renames something that a trigger names has SQLite write the trigger anew.
        let text = match change.state {
            State::Migrating => Some(change.text_after.as_str()),
            _ => change.text_synced.as_deref(),
        };
        let is_as_made =
            change.table_was.is_none() && self.schema.table_text(&change.table) == text;
        let fault = |made: Object| {
            let found = live.iter().find(|it| it.is(Kind::Trigger, &made.name));
            match found {
                None => Some(format!("{} is missing", made.spoken())),
                Some(found) if *found != made && is_as_made => {
                    Some(format!("{} was altered", made.spoken()))
                }
                Some(_) => None,
            }
        };
        let faults: Vec<String> = triggers.into_iter().filter_map(fault).collect();
        if faults.is_empty() {
            return Ok(());
        }
        Err(Error::OutOfStep {
            old: agreement.pair.old.clone(),
            new: agreement.pair.new.clone(),
            faults,
        })
    }

    /// The triggers that the change made; none before the copy has begun, or where an older changeover made none.
    fn sync_triggers(&self, change: &Change, agreement: &Agreement) -> Result<Vec<Object>> {
        Ok(match (change.state, &change.text_synced) {
            (State::Migrating, _) => SyncTriggers::following(change.id, agreement).objects(),
            (State::Migrated | State::Contracting | State::Aborting, Some(_)) => {
                let table = self.table(&change.table)?;
                let standing = self.standing(change)?;
                let synced = synced(
                    &standing.schema,
                    standing.before.as_deref(),
                    &agreement.pair,
                    replaces(change, &table, &agreement.pair.old)?,
                    new_apps(change.write_both),
                )?;
                let noted = ledger::note_old_write(change.id);
                let noted = Some(noted.as_str());
                SyncTriggers::both_ways(change.id, agreement, &synced.promises, noted).objects()
            }
            _ => Vec::new(),
        })
    }
}
