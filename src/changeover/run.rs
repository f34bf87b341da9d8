//! The one executor of plans.

use rusqlite::Connection;

use crate::database::{Database, Durability, schema_version};
use crate::error::{Error, Result};
use crate::event::{Event, Observer};
use crate::ledger::{self, Entry, Ledger};
use crate::name::Name;
use crate::plan::{Expect, Outcome, Stage, Step, Transaction, shadow_name};
use crate::schema::{Schema, Table, differences};

use super::cutover::Backlog;
use super::lease::Lease;
use super::rows::{Found, refuse};
use super::{Asked, Changeover, Options, Planned, View};

/// How often a plan is made anew because the file changed before it could run.
pub(super) const ATTEMPTS: u32 = 10;

/// Whether a transaction ran, or found the file otherwise than its plan expects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ran {
    Done,
    Stale,
}

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

/// A plan under way.
pub(super) struct Execution<'a> {
    pub(super) database: &'a Database,
    pub(super) options: &'a Options,
    pub(super) planned: &'a Planned,
    /// The schema that must stand in the file, after what has run so far.
    pub(super) schema: Schema,
    /// And the version of the latest phase.
    pub(super) version: i64,
    pub(super) lease: Option<Lease<'a>>,
    /// What stands in the delta.
    pub(super) backlog: Backlog,
    /// How many rows are next, where a sweep has just met them, or a copy beside nobody else.
    pub(super) rows: Option<u64>,
    pub(super) observer: &'a mut Observer<'a>,
}

impl Execution<'_> {
    /// Whether the file still is as it must be at this point of the plan.
    pub(super) fn is_fresh(&self) -> Result<bool> {
        self.database
            .snapshot(|connection| is_fresh(self.version, &self.schema, connection))
    }

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

/// Whether nobody else has the work, where it is such that one process alone may do it.
pub(super) fn lease_is_held(lease: &mut Option<Lease<'_>>) -> Result<bool> {
    match lease {
        Some(lease) => lease.hold(),
        None => Ok(true),
    }
}

/// Whether the file still is as it must be at this point of the plan.
pub(super) fn is_fresh(version: i64, schema: &Schema, connection: &Connection) -> Result<bool> {
    Ok(ledger::version(connection)? == version && Schema::read(connection)? == *schema)
}

/// The same with less reading, where it is asked again and again: `seen` keeps the number of the schema that
/// was last found fresh, and SQLite changes that number with every schema.
pub(super) fn is_fresh_since(
    version: i64,
    expected: &Schema,
    seen: &mut Option<i64>,
    connection: &Connection,
) -> Result<bool> {
    let schema = schema_version(connection)?;
    if *seen == Some(schema) {
        return Ok(ledger::version(connection)? == version);
    }
    let is_fresh = is_fresh(version, expected, connection)?;
    *seen = is_fresh.then_some(schema);
    Ok(is_fresh)
}

pub(super) fn tell(observer: &mut Observer<'_>, event: &Event) -> Result<()> {
    match observer(event) {
        std::ops::ControlFlow::Continue(()) => Ok(()),
        std::ops::ControlFlow::Break(()) => Err(Error::Stopped),
    }
}

pub(super) fn perform_all(steps: &[Step], connection: &Connection) -> Result<()> {
    steps.iter().try_for_each(|step| perform(step, connection))
}

pub(super) fn perform(step: &Step, connection: &Connection) -> Result<()> {
    match &step.expect {
        Expect::Success => step.statement.run(connection).map(drop),
        Expect::Changes(rows) => match step.statement.run(connection)? {
            changed if changed == *rows => Ok(()),
            changed => Err(Error::Unexpected(vec![format!(
                "{}: {changed} rows instead of {rows}",
                step.why
            )])),
        },
        Expect::NoRow(_)
        | Expect::Agreement { .. }
        | Expect::Distinct { .. }
        | Expect::NothingLost { .. } => {
            let mut found = Found::default();
            found.add(&step.statement, connection)?;
            refuse(&step.expect, found)
        }
    }
}

pub(super) fn expect_outcome(outcome: &Outcome, connection: &Connection) -> Result<()> {
    let mut differing = differences(&outcome.schema, &Schema::read(connection)?);
    if let Some(table) = outcome.table.as_ref().filter(|_| differing.is_empty())
        && Table::read(connection, &table.name)? != *table
    {
        let table = table.name.as_str();
        differing.push(format!("table `{table}` is described otherwise"));
    }
    if differing.is_empty() {
        Ok(())
    } else {
        Err(Error::Unexpected(differing))
    }
}

/// Refuses where other rows violate foreign keys than before: a rebuild does not run their actions.
fn expect_violations(before: &[(Name, String)], after: &[(Name, String)]) -> Result<()> {
    let mut only_after = after.iter().filter(|it| !before.contains(it));
    let mut only_before = before.iter().filter(|it| !after.contains(it));
    match only_after.next().or_else(|| only_before.next()) {
        None => Ok(()),
        Some((child, _)) => Err(Error::Constraint(format!(
            "foreign keys of `{}` would be violated otherwise than today",
            child.as_str()
        ))),
    }
}

/// The violated foreign keys from the table and to it: each table, the number of its key, and how many rows.
/// A key that SQLite cannot check stands with what SQLite says of it.
fn dangling(connection: &Connection, table: &Name) -> Result<Vec<(Name, String)>> {
    let mut statement = connection.prepare(
        "SELECT DISTINCT child.name FROM main.sqlite_schema AS child, pragma_foreign_key_list(child.name, 'main') AS key \
         WHERE child.type = 'table' AND (lower(key.\"table\") = lower(?1) OR lower(child.name) = lower(?1)) \
         ORDER BY child.name",
    )?;
    let children = statement.query_map([table], |row| row.get::<_, Name>(0))?;
    let mut violations = Vec::new();
    for child in children.collect::<rusqlite::Result<Vec<_>>>()? {
        let mut check = connection.prepare(
            "SELECT fkid || ': ' || count(*) FROM pragma_foreign_key_check(?1, 'main') GROUP BY fkid ORDER BY fkid",
        )?;
        let found = check
            .query_map([&child], |row| row.get::<_, String>(0))
            .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>);
        match found {
            Ok(found) => violations.extend(found.into_iter().map(|it| (child.clone(), it))),
            Err(error @ rusqlite::Error::SqliteFailure(..)) => {
                violations.push((child.clone(), error.to_string()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(violations)
}
