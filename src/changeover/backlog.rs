//! The rows that applications wrote meanwhile, brought up to date so many at a time.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::database::{Turns, schema_version};
use crate::error::Result;
use crate::ledger;
use crate::plan::{Delta, Entry, Upto};

use super::step::{perform, perform_all};

/// As many rows are copied in one stretch in the time that one takes which is brought up to date by itself.
const ROWS_AN_ENTRY: u32 = 8;

/// What part of the entries that a turn takes it has to be rid of at least, where as many come meanwhile.
const SLOWEST: u32 = 4;

/// How many are brought up to date in one turn at most.
pub(super) const MOST_ENTRIES: u32 = 4096;

/// How work on the delta gets on, beside applications that go on writing.
///
/// Where they write hardly less than a turn takes, turn for turn, it takes twice as many each time, however long that holds
/// the lock: it would never be done otherwise.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// How often the rows of a turn were doubled.
    pub(super) doublings: u32,
    /// How many entries the last turn has left.
    left: Option<i64>,
}

impl Backlog {
    /// How many a turn takes that has time for so many.
    pub(super) fn most(&self, entries: u32) -> u32 {
        entries
            .saturating_mul(1 << self.doublings)
            .min(MOST_ENTRIES)
    }

    /// A turn has taken so many entries and left so many.
    fn turned(&mut self, taken: u32, left: i64) {
        let progress = self.left.map(|before| before - left);
        let is_slow = progress.is_some_and(|it| it < i64::from(taken / SLOWEST).max(1));
        self.doublings = match left {
            0 => 0,
            _ => Turns::MOST_DOUBLINGS.min(self.doublings + u32::from(is_slow)),
        };
        self.left = Some(left);
    }
}

/// Brings so many rows up to date that stand in the delta, the oldest first. Returns whether none are left.
pub(super) fn drain(
    delta: &Delta,
    most: u32,
    backlog: &mut Backlog,
    upto: Option<Upto<'_>>,
    connection: &Connection,
) -> Result<bool> {
    let entries = entries(delta, most, connection)?;
    let mut refresh = delta.refresh(upto);
    for (at, (_, key)) in entries.iter().enumerate() {
        // A statement of an application and the triggers that it fires write the same row one after the other.
        if entries.get(at + 1).is_none_or(|(_, next)| next != key) {
            perform_all(refresh.of(key), connection)?;
        }
    }
    let left = match entries.last() {
        Some((last, _)) => {
            let newest: i64 = connection
                .prepare_cached(&delta.newest().sql)?
                .query_row([], |row| row.get(0))?;
            perform(&delta.forget(*last), connection)?;
            newest - last
        }
        None => 0,
    };
    backlog.turned(most, left);
    Ok(left == 0)
}

/// How many rows are left for the copy of a turn that could copy so many, and that brings those of the delta up to date first.
pub(super) fn left_to_copy(delta: &Delta, rows: u32, connection: &Connection) -> Result<u32> {
    let waiting = entries(delta, most_entries(rows), connection)?.len();
    let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
    Ok(rows
        .saturating_sub(waiting.saturating_mul(ROWS_AN_ENTRY))
        .max(1))
}

/// How many are brought up to date in half a turn that could copy so many rows.
pub(super) fn most_entries(rows: u32) -> u32 {
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
