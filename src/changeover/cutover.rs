//! The end of work beside a table: the delta emptied, and the cutover.

use std::time::Duration;

use rusqlite::Connection;

use crate::database::{Durability, ForeignKeys, Turns};
use crate::error::Result;
use crate::event::Event;
use crate::ledger;
use crate::plan::{Cutover, Delta, Upto};

use super::backlog::{MOST_ENTRIES, drain, is_void};
use super::execution::{Execution, Ran, is_fresh_since, lease_is_held, tell};
use super::outcome::expect_outcome;
use super::step::perform_all;

/// How many the first turn brings up to date that does nothing else.
const ENTRIES_AT_FIRST: u32 = 64;

impl Execution<'_> {
    /// Empties the delta in turns, until one turn has time for what is left and for the transaction behind it.
    pub(super) fn cut_over(&mut self, cutover: &Cutover) -> Result<Ran> {
        let Cutover { delta, transaction } = cutover;
        let finish = |connection: &Connection| {
            perform_all(&transaction.steps, connection)?;
            match &transaction.outcome {
                Some(outcome) => expect_outcome(outcome, connection),
                None => Ok(()),
            }
        };
        let Some(held) = self.emptied(delta, transaction.foreign_keys, finish)? else {
            return Ok(Ran::Stale);
        };
        self.version = ledger::version(self.database.connection())?;
        if let Some(outcome) = &transaction.outcome {
            self.schema = outcome.schema.clone();
        }
        self.flush()?;
        tell(self.observer, &Event::CutOver { held })?;
        Ok(Ran::Done)
    }

    /// Empties the delta in turns, so that a long look behind that finds it short.
    pub(super) fn catch_up(&mut self, delta: &Delta) -> Result<Ran> {
        let emptied = self.emptied(delta, ForeignKeys::Off, |_| Ok(()))?;
        Ok(emptied.map_or(Ran::Stale, |_| Ran::Done))
    }

    /// Does so, and something in the same turn once nothing is left; returns how long that turn held the lock, or nothing where
    /// the file is not as the plan expects any more.
    fn emptied(
        &mut self,
        delta: &Delta,
        foreign_keys: ForeignKeys,
        finish: impl Fn(&Connection) -> Result<()>,
    ) -> Result<Option<Duration>> {
        let mut turns = Turns::new(self.database, ENTRIES_AT_FIRST, MOST_ENTRIES)?;
        let mut seen = None;
        loop {
            let most = turns.rows(self.backlog.doublings)?.min(MOST_ENTRIES);
            let (version, schema, change) = (self.version, &self.schema, self.planned.change);
            let (lease, backlog) = (&mut self.lease, &mut self.backlog);
            let taken = turns.take(foreign_keys, self.observer, |connection| {
                if !is_fresh_since(version, schema, &mut seen, connection)?
                    || is_void(delta, change, connection)?
                    || !lease_is_held(lease)?
                {
                    return Ok(None);
                }
                let is_empty = drain(delta, most, backlog, Some(Upto::End), connection)?;
                if is_empty {
                    finish(connection)?;
                }
                Ok(Some(is_empty))
            })?;
            match taken {
                None => return Ok(None),
                Some(false) => {}
                Some(true) => return Ok(Some(turns.last_hold())),
            }
        }
    }

    /// Has the disk take what is committed, which the cutover did not wait for under the lock.
    fn flush(&mut self) -> Result<()> {
        let lease = &mut self.lease;
        self.database
            .write(ForeignKeys::Off, Durability::AtOnce, |_| {
                lease_is_held(lease).map(drop)
            })
    }
}
