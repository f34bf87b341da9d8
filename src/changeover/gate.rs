//! The gate on the way of a contract: asked right before the plan runs, and waited for where that is wished.

use std::time::Duration;

use rusqlite::Connection;

use crate::census::{self, Process};
use crate::database::Wait;
use crate::error::{Error, Result};
use crate::event::{Event, Observer, Obstacle};
use crate::gate::{Facts, Migrated, Reason, Terms, Verdict, judge};
use crate::ledger::{self, Change};
use crate::phase::{Phase, State};
use crate::plan::Plan;
use crate::request::Contract;

use super::execution::tell;
use super::{Changeover, Planned, View};

/// How often somebody who waits for the gate is told of it, and how many times between two looks.
const TELL: Duration = Duration::from_millis(50);
const LOOK: u32 = 5;

impl Changeover {
    /// Passes the gate, or waits in front of it for as long as asked.
    ///
    /// Fails with [`Error::GateShut`] where it stays shut, and with [`Error::CalledOff`] where the observer does not want
    /// to wait any longer.
    pub(super) fn pass_gate(
        &self,
        change: i64,
        asked: &Contract,
        observer: &mut Observer<'_>,
    ) -> Result<()> {
        self.wait_at_gate(change, asked, observer)
            .map_err(|error| match error {
                Error::Stopped => Error::CalledOff,
                error => error,
            })
    }

    fn wait_at_gate(
        &self,
        change: i64,
        asked: &Contract,
        observer: &mut Observer<'_>,
    ) -> Result<()> {
        let mut wait = Wait::on(Obstacle::Gate);
        let mut told = Vec::new();
        loop {
            let (change, verdict) = self.verdict(change, &terms(asked))?;
            if !matches!(change.state, State::Migrated | State::Held) {
                // Somebody else has gone on with it meanwhile: the plan will be found stale, and made anew.
                return Ok(());
            }
            if asked.force || verdict.is_open() {
                let in_spite_of = spoken(verdict.reasons.iter().chain(&verdict.warnings));
                return match in_spite_of.as_slice() {
                    [] => Ok(()),
                    _ => tell(observer, &Event::GatePassed { in_spite_of }),
                };
            }
            let reasons = spoken(&verdict.reasons);
            if wait.so_far() >= asked.wait {
                return Err(Error::GateShut {
                    table: change.table,
                    old: asked.remove_column.clone(),
                    reasons,
                });
            }
            let findings: Vec<_> = verdict.reasons.iter().map(Reason::finding).collect();
            if told != findings {
                told = findings;
                tell(observer, &Event::GateShut { reasons })?;
            }
            for _ in 0..LOOK {
                wait.sleep(TELL, observer)?;
            }
        }
    }

    /// What the gate says of the change now.
    fn verdict(&self, change: i64, terms: &Terms) -> Result<(Change, Verdict)> {
        // Before the snapshot: nobody shall wait for us while we look at processes.
        let processes = self.processes();
        self.snapshot(|view| {
            let change = view.change(change)?;
            let verdict = view.verdict(change, processes.as_deref(), terms)?;
            Ok((change.clone(), verdict))
        })
    }

    /// The other processes that have the file open, where that can be told.
    pub(super) fn processes(&self) -> Option<Vec<Process>> {
        holders(self.database.connection())
    }
}

impl View<'_> {
    /// The plan of a phase; that of a contract with what the gate would say to it now.
    pub(super) fn with_verdict(&self, planned: Planned) -> Result<Plan> {
        let mut plan = planned.plan;
        if let Some(asked) = planned.gate {
            let processes = holders(self.connection);
            let change = self.change(planned.change)?;
            let verdict = self.verdict(change, processes.as_deref(), &terms(&asked))?;
            let what = if asked.force {
                "this would go past the gate in spite of it"
            } else {
                "the gate is shut"
            };
            let shut = verdict.reasons.iter().map(|it| format!("{what}: {it}"));
            plan.warnings.extend(shut);
            plan.warnings.extend(spoken(&verdict.warnings));
        }
        Ok(plan)
    }

    /// What the gate says of the change, given who has the file open.
    pub(super) fn verdict(
        &self,
        change: &Change,
        processes: Option<&[Process]>,
        terms: &Terms,
    ) -> Result<Verdict> {
        let migrated = match self.ledger.entry(change.id, Phase::MigrateData) {
            None => None,
            Some(entry) => Some(Migrated {
                version: entry.version,
                ago: ledger::since(self.connection, entry.version)?,
            }),
        };
        let facts = Facts {
            old: change.old.as_ref(),
            state: change.state,
            migrated,
            latest: self.ledger.version(),
            instances: &self.instances()?,
            old_write: ledger::last_old_write(self.connection, change.id)?,
            processes,
        };
        Ok(judge(&facts, terms))
    }
}

fn holders(connection: &Connection) -> Option<Vec<Process>> {
    census::holders(connection.path()?.as_ref())
}

/// The terms of a contract.
fn terms(asked: &Contract) -> Terms {
    Terms {
        quiet_for: asked.quiet_for,
        strict: asked.strict,
    }
}

fn spoken<'a>(reasons: impl IntoIterator<Item = &'a Reason>) -> Vec<String> {
    reasons.into_iter().map(ToString::to_string).collect()
}
