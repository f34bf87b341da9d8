//! The end of an online rebuild: the rows that applications wrote meanwhile brought up to date, and the cutover.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::database::{Durability, ForeignKeys, Statement, Turns, schema_version};
use crate::error::Result;
use crate::event::Event;
use crate::ledger;
use crate::plan::{Cutover, Delta, Entry, Upto};

use super::run::{Execution, Ran, expect_outcome, is_fresh, lease_is_held, perform_all, tell};

/// As many rows are copied in one stretch in the time that one takes which is brought up to date by itself.
const ROWS_AN_ENTRY: u32 = 8;

/// How often the rows of a turn are doubled at most where applications write more than that between two turns, and how
/// many are brought up to date in one turn.
pub(super) const MOST_DOUBLINGS: u32 = 12;
const MOST: u32 = 4096;

/// What part of the delta a turn must take off it so that it counts as growing smaller.
const NOTICEABLE: u64 = 64;

impl Execution<'_> {
    /// Empties the delta in turns, until one turn has time for what is left and for the transaction behind it.
    pub(super) fn cut_over(&mut self, cutover: &Cutover) -> Result<Ran> {
        let Cutover { delta, transaction } = cutover;
        let mut turns = Turns::new(self.database, self.options.batch_rows)?;
        loop {
            let rows = turns.rows()?;
            let (version, schema, change) = (self.version, &self.schema, self.planned.change);
            let (lease, backlog) = (&mut self.lease, &mut self.backlog);
            let taken = turns.take(transaction.foreign_keys, self.observer, |connection| {
                if !is_fresh(version, schema, connection)?
                    || is_void(delta, change, connection)?
                    || !lease_is_held(lease)?
                {
                    return Ok(None);
                }
                if !drain(delta, rows, backlog, Some(Upto::End), connection)? {
                    return Ok(Some(false));
                }
                perform_all(&transaction.steps, connection)?;
                if let Some(outcome) = &transaction.outcome {
                    expect_outcome(outcome, connection)?;
                }
                Ok(Some(true))
            })?;
            match taken {
                None => return Ok(Ran::Stale),
                Some(false) => {}
                Some(true) => break,
            }
        }
        self.version = ledger::version(self.database.connection())?;
        if let Some(outcome) = &transaction.outcome {
            self.schema = outcome.schema.clone();
        }
        let held = turns.last_hold();
        drop(turns);
        self.flush()?;
        tell(self.observer, &Event::CutOver { held })?;
        Ok(Ran::Done)
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

/// How an execution keeps up with the applications that write meanwhile.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backlog {
    /// How many entries the last turn has left in the delta, or a little more.
    left: u64,
    /// How often the size of a turn is doubled until there are none.
    doublings: u32,
}

impl Backlog {
    /// How many entries to take where there is time for `most`.
    fn most(self, most: u32) -> u32 {
        most.saturating_mul(1 << self.doublings).min(MOST)
    }

    /// A turn has left so many. Where that is hardly less than the one before has, applications write about as much as is
    /// brought up to date: it takes more in a turn then, however long that holds the lock, as they would never be done
    /// otherwise.
    fn leaves(&mut self, left: u64) {
        self.doublings = match left {
            0 => 0,
            _ if left + self.left / NOTICEABLE < self.left => self.doublings,
            _ => (self.doublings + 1).min(MOST_DOUBLINGS),
        };
        self.left = left;
    }
}

/// Brings the rows up to date that stand in the delta, as many as there is time for in half a turn that could copy so many
/// rows. Returns whether none are left.
pub(super) fn drain(
    delta: &Delta,
    rows: u32,
    backlog: &mut Backlog,
    upto: Option<Upto<'_>>,
    connection: &Connection,
) -> Result<bool> {
    let most = backlog.most(most_entries(rows));
    let entries = entries(delta, most, connection)?;
    for (at, (_, key)) in entries.iter().enumerate() {
        // A statement of an application and the triggers that it fires write the same row one after the other.
        if entries.get(at + 1).is_none_or(|(_, next)| next != key) {
            perform_all(&delta.refresh(key, upto), connection)?;
        }
    }
    let Some((last, _)) = entries.last() else {
        backlog.leaves(0);
        return Ok(true);
    };
    let Statement { sql, .. } = delta.newest();
    let newest: i64 = connection
        .prepare_cached(&sql)?
        .query_row([], |row| row.get(0))?;
    perform_all(&[delta.forget(*last)], connection)?;
    let left = newest.abs_diff(*last);
    backlog.leaves(left);
    Ok(left == 0)
}

/// How many rows are left for the copy of a turn that could copy so many, and brings those of the delta up to date first.
pub(super) fn left_to_copy(delta: &Delta, rows: u32, connection: &Connection) -> Result<u32> {
    let waiting = entries(delta, most_entries(rows), connection)?.len();
    let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
    Ok(rows
        .saturating_sub(waiting.saturating_mul(ROWS_AN_ENTRY))
        .max(1))
}

fn most_entries(rows: u32) -> u32 {
    (rows / ROWS_AN_ENTRY / 2).max(1)
}

fn entries(delta: &Delta, most: u32, connection: &Connection) -> Result<Vec<Entry>> {
    let query = delta.entries(most);
    let mut statement = connection.prepare_cached(&query.sql)?;
    let width = statement.column_count();
    let entries = statement.query_map(rusqlite::params_from_iter(&query.params), |row| {
        let key = (1..width).map(|at| row.get::<_, Value>(at));
        Ok((row.get(0)?, key.collect::<rusqlite::Result<_>>()?))
    })?;
    Ok(entries.collect::<rusqlite::Result<_>>()?)
}

/// Whether the copies of the rows count for nothing any more, because somebody has run VACUUM since.
pub(super) fn is_void(delta: &Delta, change: i64, connection: &Connection) -> Result<bool> {
    Ok(delta.is_void_after_vacuum()
        && ledger::rebuilt_under(connection, change)? != Some(schema_version(connection)?))
}
