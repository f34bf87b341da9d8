//! A step of a plan, and what must come of it.

use rusqlite::Connection;

use crate::database::{Statement, literal};
use crate::error::{Error, Result};
use crate::plan::{Expect, Step};

/// How many rows a refusal names.
const EXAMPLES: usize = 5;

/// What a query found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// How many rows.
    pub(super) count: u64,
    /// How many rows were looked at, in a sweep.
    pub(super) looked: u64,
    /// The first of them in words.
    pub(super) examples: Vec<String>,
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

impl Found {
    /// Adds what the query finds.
    pub(super) fn add(&mut self, query: &Statement, connection: &Connection) -> Result<()> {
        let mut statement = connection.prepare_cached(&query.sql)?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query(rusqlite::params_from_iter(&query.params))?;
        while let Some(row) = rows.next()? {
            self.count += 1;
            if self.examples.len() < EXAMPLES {
                let values: Vec<String> = names
                    .iter()
                    .enumerate()
                    .map(|(at, name)| Ok(format!("{name} = {}", literal(&row.get(at)?))))
                    .collect::<Result<_>>()?;
                self.examples.push(values.join(" and "));
            }
        }
        Ok(())
    }
}

/// Fails where rows were found that must not be.
pub(super) fn refuse(expect: &Expect, found: Found) -> Result<()> {
    let Found {
        count, examples, ..
    } = found;
    match expect {
        _ if count == 0 => Ok(()),
        Expect::Agreement { old, new } => Err(Error::Disagreement {
            old: old.clone(),
            new: new.clone(),
            count,
            examples,
        }),
        Expect::Distinct { index } => Err(Error::Duplicates {
            index: index.clone(),
            count,
            examples,
        }),
        Expect::NothingLost { new } => Err(Error::WouldLose {
            new: new.clone(),
            count,
            examples,
        }),
        Expect::NoRow(meaning) => Err(Error::Unexpected(vec![(*meaning).to_owned()])),
        Expect::Success | Expect::Changes(_) => Ok(()),
    }
}
