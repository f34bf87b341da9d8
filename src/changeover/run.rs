//! The one executor of plans.

use rusqlite::Connection;

use crate::database::Durability;
use crate::error::{Error, Result};
use crate::event::{Event, Observer};
use crate::ledger::{self, Entry, Ledger};
use crate::plan::{Stage, Transaction, shadow_name};

use super::backlog::Backlog;
use super::execution::{Execution, Ran, is_fresh, lease_is_held, tell};
use super::lease::Lease;
use super::outcome::{dangling, expect_outcome, expect_violations};
use super::step::perform;
use super::{Asked, Changeover, Planned, View};

/// How often a plan is made anew because the file changed before it could run.
pub(super) const ATTEMPTS: u32 = 10;

impl Changeover {
    /// Judges, plans and runs until the answer stands in the ledger.
    pub(super) fn settle(
        &mut self,
        judge: impl Fn(&View<'_>) -> Result<Asked>,
        observer: &mut Observer<'_>,
    ) -> Result<Entry> {
        for _ in 0..ATTEMPTS {
            let planned = match self.snapshot(&judge)? {
                Asked::Answered(entry) => return Ok(*entry),
                Asked::Planned(planned) => planned,
            };
            if let Some(asked) = &planned.gate {
                self.pass_gate(planned.change, asked, observer)?;
            }
            if self.carry_out(&planned, observer)? == Ran::Done {
                let ledger = Ledger::read(self.database.connection())?;
                let mut history = ledger.history.into_iter();
                let entry = history.find(|entry| entry.version == planned.version + 1);
                let entry = entry.ok_or_else(|| Error::Ledger("the record is gone".to_owned()))?;
                let done = Event::PhaseDone {
                    phase: entry.phase,
                    version: entry.version,
                };
                // The phase stands, so that a wish to stop comes too late.
                let _ = observer(&done);
                return Ok(entry);
            }
        }
        Err(Error::Unsettled)
    }

    /// Removes what rebuilds have left whose phases are done, if somebody stopped them there.
    pub(super) fn clean(&mut self, observer: &mut Observer<'_>) -> Result<()> {
        let cleaning = |view: &View<'_>| view.cleaning();
        let mut attempts = 0;
        while let Some(Asked::Planned(planned)) = self.snapshot(cleaning)? {
            if self.carry_out(&planned, observer)? == Ran::Stale {
                attempts += 1;
            }
            if attempts == ATTEMPTS {
                return Err(Error::Unsettled);
            }
        }
        Ok(())
    }

    /// Runs a plan, with a ledger in the file to record it.
    pub(super) fn carry_out(
        &mut self,
        planned: &Planned,
        observer: &mut Observer<'_>,
    ) -> Result<Ran> {
        if Ledger::prepare(&mut self.database)? {
            tell(observer, &Event::LedgerReady)?;
        }
        self.run(planned, observer)
    }

    fn run(&self, planned: &Planned, observer: &mut Observer<'_>) -> Result<Ran> {
        let mut stages = planned.plan.stages.iter();
        let is_long = stages.any(|it| {
            matches!(
                it,
                Stage::Batches(_) | Stage::Cutover(_) | Stage::Indexes(_)
            )
        });
        let ran = self.run_stages(planned, is_long, observer);
        match ran {
            Err(Error::Stopped) if !is_long => Err(Error::CalledOff),
            ran => ran,
        }
    }

    fn run_stages(
        &self,
        planned: &Planned,
        is_long: bool,
        observer: &mut Observer<'_>,
    ) -> Result<Ran> {
        let mut execution = Execution {
            database: &self.database,
            options: &self.options,
            planned,
            schema: planned.schema.clone(),
            version: planned.version,
            lease: None,
            backlog: Backlog::default(),
            rows: None,
            observer,
        };
        for stage in &planned.plan.stages {
            // A sweep that comes first may yet refuse, and then leaves the file as it was.
            if is_long && execution.lease.is_none() && !matches!(stage, Stage::Sweep(_)) {
                execution.lease = Some(Lease::await_free(
                    &self.database,
                    planned.change,
                    planned.supersedes,
                    &self.token,
                    &self.options,
                    execution.observer,
                )?);
            }
            if execution.stage(stage)? == Ran::Stale {
                return Ok(Ran::Stale);
            }
        }
        Ok(Ran::Done)
    }
}

impl Execution<'_> {
    pub(super) fn stage(&mut self, stage: &Stage) -> Result<Ran> {
        let outcome = match stage {
            Stage::SweepAgain(_) if self.database.is_untouched()? => Ok(Ran::Done),
            Stage::Sweep(sweep) | Stage::SweepAgain(sweep) => self.sweep(sweep),
            Stage::Once(transaction) => self.once(transaction),
            Stage::Batches(walk) => self.walk(walk),
            Stage::Cutover(cutover) => self.cut_over(cutover),
            Stage::Scratch(scratch) => self.scratch(scratch),
            Stage::Gather(gather) => self.gather(gather),
            Stage::Imposter(imposter) => self.database.impersonate(imposter).map(|()| Ran::Done),
            Stage::Indexes(build) => return self.build(build),
        };
        match outcome {
            // A table or a column that is read between two transactions may have another name by now.
            Err(Error::Sqlite(_)) if !self.is_fresh()? => Ok(Ran::Stale),
            outcome => outcome.map_err(|error| self.of_the_table(error)),
        }
    }

    /// A constraint that refuses a row of the shadow table speaks of the table that people know.
    fn of_the_table(&self, error: Error) -> Error {
        let shadow = shadow_name(self.planned.change);
        let table = self.planned.plan.table.as_str();
        match error {
            Error::Constraint(text) => Error::Constraint(text.replace(shadow.as_str(), table)),
            other => other,
        }
    }

    fn once(&mut self, transaction: &Transaction) -> Result<Ran> {
        let Transaction {
            foreign_keys,
            steps,
            outcome,
            ..
        } = transaction;
        let table = &self.planned.plan.table;
        let is_rebuilt = outcome.as_ref().is_some_and(|outcome| outcome.is_rebuilt);
        let mut version = self.version;
        let run = |connection: &Connection, observer: &mut Observer<'_>| {
            if !is_fresh(self.version, &self.schema, connection)?
                || !lease_is_held(&mut self.lease)?
            {
                return Ok(Ran::Stale);
            }
            let before = is_rebuilt
                .then(|| dangling(connection, table))
                .transpose()?;
            for (step, done) in steps.iter().zip(1..) {
                perform(step, connection)?;
                let steps = steps.len();
                tell(observer, &Event::StepDone { done, steps })?;
            }
            if let Some(outcome) = outcome {
                expect_outcome(outcome, connection)?;
            }
            if let Some(before) = before {
                expect_violations(&before, &dangling(connection, table)?)?;
            }
            version = ledger::version(connection)?;
            Ok(Ran::Done)
        };
        let durability = Durability::AtOnce;
        let ran = self
            .database
            .write_watched(*foreign_keys, durability, self.observer, run)?;
        if let Some(lease) = self.lease.as_mut().filter(|_| ran == Ran::Done) {
            lease.is_committed();
        }
        if ran == Ran::Done {
            self.version = version;
            if let Some(outcome) = outcome {
                self.schema = outcome.schema.clone();
            }
        }
        Ok(ran)
    }
}
