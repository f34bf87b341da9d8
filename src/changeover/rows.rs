//! Work on all rows of a table: a walk in short transactions, a sweep in short reads.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::database::{Database, Statement, Turns, size};
use crate::error::Result;
use crate::event::Event;
use crate::ledger;
use crate::plan::{Gather, Path, Position, Scratch, Sweep, Upto, Walk};

use super::backlog::{drain, is_void, left_to_copy, most_entries};
use super::execution::{Execution, Ran, is_fresh_since, tell};
use super::lease::Lease;
use super::step::{Found, perform, perform_all, refuse};

/// How many rows are read at once: a few milliseconds' worth, since without a write-ahead log a read keeps
/// everybody from writing.
const READ: u32 = 10_000;

/// How many rows the first turn of a walk takes, if they are not larger than usual, and how many bytes of them.
const ROWS_AT_FIRST: u32 = 1024;
const BYTES_AT_FIRST: u64 = 1 << 20;

/// How often a table is walked over while rows are left, whose keys changed under the walk. What is left then is not for
/// a walk to settle.
const ROUNDS: u32 = 3;

impl Execution<'_> {
    /// Walks over all rows, from the cursor on.
    pub(super) fn walk(&mut self, walk: &Walk) -> Result<Ran> {
        if let Some(lease) = self.lease.as_mut().filter(|lease| !lease.is_held())
            && !lease.take()?
        {
            return Ok(Ran::Stale);
        }
        let at_first = self.rows_at_first()?;
        let mut turns = Turns::new(self.database, at_first, self.options.batch_rows)?;
        let cursor = self.cursor(walk)?;
        // A sweep has found no conflict, and the walk goes from the first row to the last.
        let whole = self.rows.filter(|_| cursor.is_none());
        for _ in 0..ROUNDS {
            if self.round(walk, &mut turns)? == Ran::Stale {
                return Ok(Ran::Stale);
            }
            if whole.is_some() && self.database.is_untouched()? {
                // The old content that the copy will have replaced.
                self.rows = whole.filter(|_| walk.brings_up_to_date());
                return self.walked(&turns);
            }
            let Some(left) = self.left(walk)? else {
                return Ok(Ran::Stale);
            };
            if left == 0 {
                return self.walked(&turns);
            }
            ledger::begin_anew(self.database, self.planned.change)?;
        }
        walk.left
            .iter()
            .try_fold(Ran::Done, |ran, sweep| match ran {
                Ran::Done => self.sweep(sweep),
                Ran::Stale => Ok(Ran::Stale),
            })
    }

    /// How many rows are not as they should be behind the walk; nothing that counts where somebody has changed the
    /// schema meanwhile.
    fn left(&mut self, walk: &Walk) -> Result<Option<u64>> {
        let mut count = 0;
        for sweep in &walk.left {
            match self.look_for(sweep)? {
                Some(found) => count += found.count,
                None => return Ok(None),
            }
        }
        Ok(Some(count))
    }

    /// How many rows the first turn takes: nothing is known of their size but that all of them are in the file.
    fn rows_at_first(&self) -> Result<u32> {
        let (size, _) = size(self.database.connection())?;
        let fitting = self.rows.map(|rows| rows * BYTES_AT_FIRST / size.max(1));
        let fitting = fitting.and_then(|it| u32::try_from(it).ok());
        Ok(fitting.unwrap_or(ROWS_AT_FIRST).clamp(1, ROWS_AT_FIRST))
    }

    fn walked(&mut self, turns: &Turns<'_>) -> Result<Ran> {
        let holds = turns.holds();
        tell(self.observer, &Event::BackfillDone { holds })?;
        Ok(Ran::Done)
    }

    /// The key up to which an earlier walk has come. An application may have given the table another key since: then the
    /// walk begins anew.
    fn cursor(&self, walk: &Walk) -> Result<Option<Position>> {
        if !walk.keeps_cursor {
            return Ok(None);
        }
        let cursor = ledger::cursor(self.database.connection(), self.planned.change)?;
        Ok(cursor.filter(|position| walk.path.fits(position)))
    }

    /// Walks once, from the cursor to the end of the table.
    fn round(&mut self, walk: &Walk, turns: &mut Turns<'_>) -> Result<Ran> {
        let (database, path, change) = (self.database, &walk.path, self.planned.change);
        let mut after = self.cursor(walk)?;
        let rows = match self.rows.take().filter(|_| after.is_none()) {
            Some(rows) => rows,
            None => count(database, path, after.as_ref())?,
        };
        tell(self.observer, &Event::BackfillStarted { rows })?;
        let (mut seen, mut passed, mut overtime) = (None, 0, 0);
        loop {
            // Rows that come at the end faster than they are passed would keep the walk from ever coming there.
            overtime = if passed < rows { 0 } else { overtime + 1 };
            let size = turns.rows(overtime)?;
            let draining = walk.delta.as_ref().filter(|_| walk.brings_up_to_date());
            let copied = match draining {
                Some(delta) => left_to_copy(delta, size, database.connection())?,
                None => size,
            };
            let boundary = walk.boundary(after.as_ref(), copied);
            let upto = first(boundary, database.connection())?;
            passed = match &upto {
                Some(_) => rows.min(passed + u64::from(copied)),
                None => rows,
            };
            let holds = turns.holds();
            let (version, schema, lease) = (self.version, &self.schema, &mut self.lease);
            let backlog = &mut self.backlog;
            let taken = turns.take(walk.foreign_keys, self.observer, |connection| {
                if !is_fresh_since(version, schema, &mut seen, connection)? {
                    return Ok(None);
                }
                if let Some(delta) = &walk.delta
                    && is_void(delta, change, connection)?
                {
                    return Ok(None);
                }
                if let Some(delta) = draining {
                    let upto = after.as_ref().map(Upto::Key);
                    let most = backlog.most(most_entries(size));
                    drain(delta, most, backlog, upto, connection)?;
                }
                perform_all(
                    &walk.batch(after.as_ref(), upto.as_ref(), copied),
                    connection,
                )?;
                for statement in cursor_moves(walk, change, upto.as_ref()) {
                    statement.run(connection)?;
                }
                match lease {
                    Some(lease) => lease.renew(passed, rows, holds).map(Some),
                    None => Ok(Some(false)),
                }
            })?;
            let Some(is_paused) = taken else {
                return Ok(Ran::Stale);
            };
            tell(self.observer, &Event::BatchDone { passed, rows })?;
            if upto.is_none() {
                return Ok(Ran::Done);
            }
            after = upto.filter(|_| !walk.takes_the_first());
            if let Some(lease) = self.lease.as_mut().filter(|_| is_paused) {
                lease.pause(turns.holds(), self.observer)?;
            }
        }
    }

    /// Looks at all rows, and fails where one is found that must not be.
    pub(super) fn sweep(&mut self, sweep: &Sweep) -> Result<Ran> {
        let Some(found) = self.look_for(sweep)? else {
            return Ok(Ran::Stale);
        };
        self.rows = Some(found.looked);
        refuse(&sweep.expect, found)?;
        Ok(Ran::Done)
    }

    /// Reads all rows into a temporary table.
    pub(super) fn gather(&mut self, gather: &Gather) -> Result<Ran> {
        let connection = self.database.connection();
        let (mut after, mut rows) = (None, 0);
        loop {
            let upto = next(gather.path(), after.as_ref(), READ, connection)?;
            let stretch = gather.path().stretch(after.as_ref(), upto.as_ref());
            rows += gather.step(&stretch).statement.run(connection)?;
            tell(self.observer, &Event::Looked { rows })?;
            self.keep_lease()?;
            if upto.is_none() {
                return Ok(Ran::Done);
            }
            after = upto;
            self.database.tend_log_between_reads()?;
        }
    }

    /// Works in temporary tables.
    pub(super) fn scratch(&mut self, scratch: &Scratch) -> Result<Ran> {
        for step in &scratch.steps {
            perform(step, self.database.connection())?;
            self.keep_lease()?;
        }
        Ok(Ran::Done)
    }

    fn keep_lease(&mut self) -> Result<()> {
        self.lease.as_mut().map_or(Ok(()), Lease::keep)
    }

    /// What a sweep finds; nothing that counts where somebody has changed the schema meanwhile.
    fn look_for(&mut self, sweep: &Sweep) -> Result<Option<Found>> {
        let (lease, observer) = (&mut self.lease, &mut *self.observer);
        let found = look_for(self.database, sweep, |rows| {
            tell(observer, &Event::Looked { rows })?;
            match lease {
                Some(lease) => lease.keep(),
                None => Ok(()),
            }
        })?;
        Ok((found.count == 0 || self.is_fresh()?).then_some(found))
    }
}

/// Finds the rows that a sweep looks for, in reads that are short; behind each `between` hears how many rows were read.
pub(super) fn look_for(
    database: &Database,
    sweep: &Sweep,
    mut between: impl FnMut(u64) -> Result<()>,
) -> Result<Found> {
    let connection = database.connection();
    let (mut found, mut after) = (Found::default(), None);
    loop {
        let upto = next(&sweep.path, after.as_ref(), READ, connection)?;
        let stretch = sweep.path.stretch(after.as_ref(), upto.as_ref());
        found.add(&sweep.query(&stretch), connection)?;
        if upto.is_none() {
            found.looked += count_behind(&sweep.path, after.as_ref(), connection)?;
            between(found.looked)?;
            return Ok(found);
        }
        after = upto;
        found.looked += u64::from(READ);
        between(found.looked)?;
        database.tend_log_between_reads()?;
    }
}

/// Counts the rows behind a position. Without a write-ahead log a read keeps everybody from writing, and is a short
/// one therefore.
pub(super) fn count(database: &Database, path: &Path, after: Option<&Position>) -> Result<u64> {
    let connection = database.connection();
    let (mut after, mut rows) = (after.cloned(), 0);
    while !database.is_wal() {
        let Some(key) = next(path, after.as_ref(), READ, connection)? else {
            break;
        };
        after = Some(key);
        rows += u64::from(READ);
    }
    Ok(rows + count_behind(path, after.as_ref(), connection)?)
}

fn count_behind(path: &Path, after: Option<&Position>, connection: &Connection) -> Result<u64> {
    let Statement { sql, params } = path.count(after);
    let params = rusqlite::params_from_iter(params);
    let rows: i64 = connection.query_row(&sql, params, |row| row.get(0))?;
    Ok(rows.unsigned_abs())
}

/// Notes how far the walk has come, in the transaction of the batch.
fn cursor_moves(walk: &Walk, change: i64, upto: Option<&Position>) -> Vec<Statement> {
    let upto = upto.filter(|_| walk.keeps_cursor);
    upto.map(|it| ledger::move_cursor(change, it))
        .unwrap_or_default()
}

/// The key of the `size`th row behind `after`, if there are so many.
fn next(
    path: &Path,
    after: Option<&Position>,
    size: u32,
    connection: &Connection,
) -> Result<Option<Position>> {
    first(path.boundary(after, size), connection)
}

/// What the query finds first, if there is one.
fn first(query: Option<Statement>, connection: &Connection) -> Result<Option<Position>> {
    let Some(query) = query else {
        return Ok(None);
    };
    let mut statement = connection.prepare_cached(&query.sql)?;
    let width = statement.column_count();
    let mut rows = statement.query(rusqlite::params_from_iter(&query.params))?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let values = (0..width).map(|at| row.get::<_, Value>(at));
    Ok(Some(values.collect::<rusqlite::Result<_>>()?))
}
