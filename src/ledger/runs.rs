//! Who works on a change, and how that work gets on.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::Result;
use crate::event::Holds;

use super::NOW;

/// For how long a run keeps the work without a word.
const LEASE: Duration = Duration::from_secs(15);

/// The work on a change, as the run that has it tells of it.
#[derive(Clone, Debug)]
pub struct Run {
    /// Whether somebody has asked it to pause.
    pub is_paused: bool,
    /// The process that has the work; none while nobody works.
    pub runner: Option<String>,
    /// For how long it has had the work.
    pub age: Duration,
    /// For how long it has been silent.
    pub silence: Duration,
    /// The rows that it has passed.
    pub passed: u64,
    /// The rows that it has to pass, in all.
    pub rows: u64,
    /// How long it held the write lock.
    pub holds: Holds,
    token: Option<String>,
}

impl Run {
    /// Whether another run than the one of the token has the work.
    #[must_use]
    pub fn is_taken_by_other(&self, token: &str) -> bool {
        self.token.as_deref().is_some_and(|other| other != token)
    }

    /// Whether it has lost the work by its silence.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.silence > LEASE
    }

    /// How many rows it passed in a second, pauses included.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        // What it has passed was told at its last sign of life.
        let worked = self.age.saturating_sub(self.silence);
        (self.passed > 0 && !worked.is_zero()).then(|| about(self.passed) / worked.as_secs_f64())
    }

    /// For how long it still has to work at that rate.
    #[must_use]
    pub fn to_go(&self) -> Option<Duration> {
        let left = self.rows.saturating_sub(self.passed);
        Duration::try_from_secs_f64(about(left) / self.rate()?).ok()
    }
}

/// The run of the change, where one has ever begun.
pub fn run(connection: &Connection, change: i64) -> Result<Option<Run>> {
    if super::format(connection)?.unwrap_or(0) < 2 {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(&format!(
        "SELECT paused, CASE WHEN token IS NOT NULL THEN runner END, {NOW} - started_at, {NOW} - renewed_at, rows_passed, rows_total, \
         turns, hold_p50, hold_p99, hold_max, waited, token FROM _changeover_runs WHERE change_id = ?1"
    ))?;
    let run = statement.query_row([change], |row| {
        Ok(Run {
            is_paused: row.get(0)?,
            runner: row.get(1)?,
            age: milliseconds(row, 2)?,
            silence: milliseconds(row, 3)?,
            passed: count(row, 4)?,
            rows: count(row, 5)?,
            holds: Holds {
                turns: count(row, 6)?,
                p50: Duration::from_micros(count(row, 7)?),
                p99: Duration::from_micros(count(row, 8)?),
                max: Duration::from_micros(count(row, 9)?),
                waited: Duration::from_micros(count(row, 10)?),
            },
            token: row.get(11)?,
        })
    });
    Ok(run.optional()?)
}

/// How long ago an application last wrote the old column alone, to the second.
pub fn last_old_write(connection: &Connection, change: i64) -> Result<Option<Duration>> {
    if super::format(connection)?.unwrap_or(0) < 2 {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {NOW} / 1000 * 1000 - written_at * 1000 FROM _changeover_old_writes \
         WHERE change_id = ?1 AND written_at > 0"
    ))?;
    let ago = statement.query_row([change], |row| milliseconds(row, 0));
    Ok(ago.optional()?)
}

/// A word that no other run has.
pub fn new_token(connection: &Connection) -> Result<String> {
    Ok(connection.query_row("SELECT lower(hex(randomblob(16)))", [], |row| row.get(0))?)
}

/// Takes the work on the change: where nobody has it, or who has it is silent for too long, or is `given_up`.
/// Returns whether that went well.
pub fn claim(
    connection: &Connection,
    change: i64,
    token: &str,
    runner: &str,
    given_up: Option<&Run>,
) -> Result<bool> {
    let claimed = connection.execute(
        &format!(
            "INSERT INTO _changeover_runs (change_id, token, runner, started_at, renewed_at) \
             VALUES (?1, ?2, ?3, {NOW}, {NOW}) \
             ON CONFLICT DO UPDATE SET token = excluded.token, runner = excluded.runner, \
             started_at = excluded.started_at, renewed_at = excluded.renewed_at, rows_passed = 0, rows_total = 0, \
             turns = 0, hold_p50 = 0, hold_p99 = 0, hold_max = 0, waited = 0 \
             WHERE token IS NULL OR token IN (?2, ?4) OR renewed_at < {NOW} - ?5"
        ),
        params![
            change,
            token,
            runner,
            given_up.and_then(|run| run.token.as_deref()),
            i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX),
        ],
    )?;
    Ok(claimed == 1)
}

/// Tells how the work gets on. Returns whether it is to pause; none where another run has taken it over.
pub fn renew(
    connection: &Connection,
    change: i64,
    token: &str,
    (passed, rows): (u64, u64),
    holds: Holds,
) -> Result<Option<bool>> {
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&format!(
        "UPDATE _changeover_runs SET renewed_at = {NOW}, rows_passed = ?3, rows_total = ?4, \
         turns = ?5, hold_p50 = ?6, hold_p99 = ?7, hold_max = ?8, waited = ?9 \
         WHERE change_id = ?1 AND token = ?2 RETURNING paused"
    ))?;
    let wanted = statement.query_row(
        params![
            change,
            token,
            count(passed),
            count(rows),
            count(holds.turns),
            micros(holds.p50),
            micros(holds.p99),
            micros(holds.max),
            micros(holds.waited),
        ],
        |row| row.get(0),
    );
    Ok(wanted.optional()?)
}

/// Gives the work back.
pub fn release(connection: &Connection, change: i64, token: &str) -> Result<()> {
    connection.execute(
        "UPDATE _changeover_runs SET token = NULL WHERE change_id = ?1 AND token = ?2",
        params![change, token],
    )?;
    Ok(())
}

/// Asks whoever works on the change, now or later, to pause.
pub fn pause(connection: &Connection, change: i64) -> Result<()> {
    connection.execute(
        "INSERT INTO _changeover_runs (change_id, paused) VALUES (?1, 1) ON CONFLICT DO UPDATE SET paused = 1",
        [change],
    )?;
    Ok(())
}

/// Lets them go on.
pub fn resume(connection: &Connection, change: i64) -> Result<()> {
    connection.execute(
        "UPDATE _changeover_runs SET paused = 0 WHERE change_id = ?1",
        [change],
    )?;
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn about(rows: u64) -> f64 {
    rows as f64
}

fn milliseconds(row: &Row<'_>, at: usize) -> rusqlite::Result<Duration> {
    let past: Option<i64> = row.get(at)?;
    Ok(Duration::from_millis(
        past.unwrap_or(0).max(0).unsigned_abs(),
    ))
}

fn count(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(at)?.unsigned_abs())
}
