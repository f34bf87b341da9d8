//! The one executor of plans.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::database::{Durability, Statement, Turns, literal};
use crate::error::{Error, Result};
use crate::event::{Event, Observer};
use crate::ledger::{self, Entry, Ledger};
use crate::name::Name;
use crate::plan::{Expect, Outcome, Position, Stage, Step, Transaction, Walk};
use crate::schema::{SHADOW, Schema, Table, differences};

use super::{Asked, Changeover, Planned, View};

/// How often a plan is made anew because the file changed before it could run.
const ATTEMPTS: u32 = 10;

/// How many rows are counted in one read, where a read keeps others from writing: a millisecond's worth.
const COUNTED: u32 = 10_000;

/// How many rows a refusal names.
const EXAMPLES: usize = 5;

/// Whether a transaction ran, or found the file otherwise than its plan expects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ran {
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
                Asked::Answered(entry) => return Ok(entry),
                Asked::Planned(planned) => planned,
            };
            if Ledger::prepare(&mut self.database)? {
                tell(observer, &Event::LedgerReady)?;
            }
            if self.run(&planned, observer)? == Ran::Done {
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

    fn run(&self, planned: &Planned, observer: &mut Observer<'_>) -> Result<Ran> {
        for stage in &planned.plan.stages {
            let ran = match stage {
                Stage::Check(check) => self
                    .database
                    .snapshot(|connection| perform_all(&check.steps, connection))
                    .map(|()| Ran::Done)?,
                Stage::Once(transaction) => self.once(planned, transaction)?,
                Stage::Batches(walk) => self.batches(planned, walk, observer)?,
            };
            if ran == Ran::Stale {
                return Ok(Ran::Stale);
            }
        }
        Ok(Ran::Done)
    }

    fn once(&self, planned: &Planned, transaction: &Transaction) -> Result<Ran> {
        let Transaction {
            foreign_keys,
            steps,
            outcome,
            ..
        } = transaction;
        let table = &planned.plan.table;
        let is_rebuilt = outcome.as_ref().is_some_and(|outcome| outcome.is_rebuilt);
        let run = |connection: &Connection| {
            if !planned.is_fresh(connection)? {
                return Ok(Ran::Stale);
            }
            let before = is_rebuilt
                .then(|| dangling(connection, table))
                .transpose()?;
            perform_all(steps, connection).map_err(|error| of_the_table(error, table))?;
            if let Some(outcome) = outcome {
                expect_outcome(outcome, connection)?;
            }
            if let Some(before) = before {
                expect_violations(&before, &dangling(connection, table)?)?;
            }
            Ok(Ran::Done)
        };
        self.database.write(*foreign_keys, Durability::AtOnce, run)
    }

    fn batches(&self, planned: &Planned, walk: &Walk, observer: &mut Observer<'_>) -> Result<Ran> {
        let connection = self.database.connection();
        let rows = self.count(walk)?;
        tell(observer, &Event::BackfillStarted { rows })?;
        // An application may have given the table another key since: then the walk begins anew.
        let mut after =
            ledger::cursor(connection, planned.change)?.filter(|position| walk.fits(position));
        let mut turns = Turns::new(&self.database, self.options.batch_rows)?;
        let mut seen = None;
        let mut passed = 0;
        loop {
            let size = turns.rows()?;
            let upto = next(walk, after.as_ref(), size, connection)?;
            let ran = turns.take(walk.foreign_keys, observer, |connection| {
                if !planned.is_fresh_since(&mut seen, connection)? {
                    return Ok(None);
                }
                perform_all(&walk.batch(after.as_ref(), upto.as_ref()), connection)?;
                for statement in upto
                    .iter()
                    .flat_map(|it| ledger::move_cursor(planned.change, it))
                {
                    statement.run(connection)?;
                }
                Ok(Some(()))
            })?;
            if ran.is_none() {
                return Ok(Ran::Stale);
            }
            passed = if upto.is_some() {
                rows.min(passed + u64::from(size))
            } else {
                rows
            };
            tell(observer, &Event::BatchDone { passed, rows })?;
            if upto.is_none() {
                let holds = turns.holds();
                tell(observer, &Event::BackfillDone { holds })?;
                return Ok(Ran::Done);
            }
            after = upto;
        }
    }

    /// Counts the rows of the walk. Without a write-ahead log a read keeps everybody from writing, and is a short
    /// one therefore.
    fn count(&self, walk: &Walk) -> Result<u64> {
        let connection = self.database.connection();
        let mut after = None;
        let mut rows = 0;
        while !self.database.is_wal() {
            let Some(key) = next(walk, after.as_ref(), COUNTED, connection)? else {
                break;
            };
            after = Some(key);
            rows += u64::from(COUNTED);
        }
        let Statement { sql, params } = walk.count(after.as_ref());
        let params = rusqlite::params_from_iter(params);
        let rest: i64 = connection.query_row(&sql, params, |row| row.get(0))?;
        Ok(rows + rest.unsigned_abs())
    }
}

impl Planned {
    /// Whether the file still is as the plan was made for.
    fn is_fresh(&self, connection: &Connection) -> Result<bool> {
        Ok(Ledger::read(connection)?.version() == self.version
            && Schema::read(connection)? == self.schema)
    }

    /// The same with less reading, where it is asked again and again: `seen` keeps the number of the schema that
    /// was last found fresh, and SQLite changes that number with every schema.
    fn is_fresh_since(&self, seen: &mut Option<i64>, connection: &Connection) -> Result<bool> {
        let schema: i64 = connection
            .prepare_cached("PRAGMA main.schema_version")?
            .query_row([], |row| row.get(0))?;
        if *seen == Some(schema) {
            return Ok(ledger::version(connection)? == self.version);
        }
        let is_fresh = self.is_fresh(connection)?;
        *seen = is_fresh.then_some(schema);
        Ok(is_fresh)
    }
}

fn tell(observer: &mut Observer<'_>, event: &Event) -> Result<()> {
    match observer(event) {
        std::ops::ControlFlow::Continue(()) => Ok(()),
        std::ops::ControlFlow::Break(()) => Err(Error::Stopped),
    }
}

/// A constraint that refuses a row of the shadow table speaks of the table that people know.
fn of_the_table(error: Error, table: &Name) -> Error {
    match error {
        Error::Constraint(text) => Error::Constraint(text.replace(SHADOW, table.as_str())),
        other => other,
    }
}

fn perform_all(steps: &[Step], connection: &Connection) -> Result<()> {
    steps.iter().try_for_each(|step| perform(step, connection))
}

fn perform(step: &Step, connection: &Connection) -> Result<()> {
    match &step.expect {
        Expect::Success => step.statement.run(connection).map(drop),
        Expect::Changes(rows) => match step.statement.run(connection)? {
            changed if changed == *rows => Ok(()),
            changed => Err(Error::Unexpected(vec![format!(
                "{}: {changed} rows instead of {rows}",
                step.why
            )])),
        },
        Expect::NoRow(meaning) => match found(&step.statement, connection)? {
            (0, _) => Ok(()),
            _ => Err(Error::Unexpected(vec![(*meaning).to_owned()])),
        },
        Expect::Agreement { old, new } => match found(&step.statement, connection)? {
            (0, _) => Ok(()),
            (count, examples) => Err(Error::Disagreement {
                old: old.clone(),
                new: new.clone(),
                count,
                examples,
            }),
        },
        Expect::NothingLost { new } => match found(&step.statement, connection)? {
            (0, _) => Ok(()),
            (count, examples) => Err(Error::WouldLose {
                new: new.clone(),
                count,
                examples,
            }),
        },
    }
}

/// How many rows the query finds, and the first of them in words.
fn found(query: &Statement, connection: &Connection) -> Result<(u64, Vec<String>)> {
    let mut statement = connection.prepare(&query.sql)?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut rows = statement.query(rusqlite::params_from_iter(&query.params))?;
    let (mut count, mut examples) = (0, Vec::new());
    while let Some(row) = rows.next()? {
        count += 1;
        if examples.len() < EXAMPLES {
            let values: Vec<String> = names
                .iter()
                .enumerate()
                .map(|(at, name)| Ok(format!("{name} = {}", literal(&row.get(at)?))))
                .collect::<Result<_>>()?;
            examples.push(values.join(" and "));
        }
    }
    Ok((count, examples))
}

/// The key of the `size`th row behind `after`, if there are so many.
fn next(
    walk: &Walk,
    after: Option<&Position>,
    size: u32,
    connection: &Connection,
) -> Result<Option<Position>> {
    match walk.boundary(after, size) {
        Some(boundary) => position(&boundary, connection),
        None => Ok(None),
    }
}

/// The first row of the query, as a position in the table.
fn position(query: &Statement, connection: &Connection) -> Result<Option<Position>> {
    let mut statement = connection.prepare_cached(&query.sql)?;
    let width = statement.column_count();
    let mut rows = statement.query(rusqlite::params_from_iter(&query.params))?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let values = (0..width).map(|at| row.get::<_, Value>(at));
    Ok(Some(values.collect::<rusqlite::Result<_>>()?))
}

fn expect_outcome(outcome: &Outcome, connection: &Connection) -> Result<()> {
    let mut differing = differences(&outcome.schema, &Schema::read(connection)?);
    if differing.is_empty() && Table::read(connection, &outcome.table.name)? != outcome.table {
        differing.push(format!(
            "table `{}` is described otherwise",
            outcome.table.name.as_str()
        ));
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
