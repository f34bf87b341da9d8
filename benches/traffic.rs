//! What an application feels of a data migration: processes write to the file, with and without one at work; and what
//! a migration costs that has the file for itself.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::file::{Copy, LARGEST_LOG, by_hand_on, log_size, prepare};
use super::ours::{expanded, migrated};
use super::table::{Table, counted};
use super::writers::{OLD, READER, Ranked, Writing, Written};
use super::{Outcome, Sizes};

/// What the lock may be held for by 99 turns of a hundred.
pub(super) const LONGEST_HOLD: Duration = Duration::from_millis(5);

/// How long all of it may take.
const LONGEST: Duration = Duration::from_secs(15);

/// How much later than without us a thousandth of the writes may come.
const FACTOR: f64 = 1.5;
const ALLOWANCE: Duration = Duration::from_millis(10);

/// How long the writers write with nobody else at work.
const IDLE: Duration = Duration::from_secs(10);
const IDLE_QUICKLY: Duration = Duration::from_secs(1);

/// How many seconds the writers wait for the lock.
const PATIENCE: u64 = 5;

/// A migration in the midst of writers: what they feel beside what they feel without it.
pub(super) fn under_traffic(sizes: &Sizes, folder: &Path, table: &mut Table) -> Outcome<()> {
    let prepared = folder.join("prepared.db");
    prepare(&prepared, sizes.rows)?;
    let file = Copy(prepared);
    let mut changeover = expanded(&file.0)?;
    eprintln!(
        "traffic: {} rows, nobody but the writers",
        counted(sizes.rows)
    );
    let idle = idle(sizes);
    let (without, ()) = written(&file.0, || {
        thread::sleep(idle);
        Ok(())
    })?;
    let log_without = log_size(&file.0)?;
    // From here on the log is ours too.
    Connection::open(&file.0)?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    eprintln!("traffic: {} rows, and a migration", counted(sizes.rows));
    let (with, (took, holds)) = written(&file.0, || {
        let started = Instant::now();
        let holds = migrated(&mut changeover)?;
        Ok((started.elapsed(), holds))
    })?;
    let head = format!("{} rows under traffic", counted(sizes.rows));
    for (with, without) in with.iter().zip(&without) {
        let ranked = [with, without].map(|it| Ranked::of(&it.writes));
        let head = format!("{head}, {}", with.writer.what);
        compare(table, &head, &ranked, [&with.errors, &without.errors]);
    }
    table.within(format!("{head}, locks held: p50"), holds.p50, None);
    table.within(
        format!("{head}, locks held: p99"),
        holds.p99,
        Some(LONGEST_HOLD),
    );
    table.within(format!("{head}, locks held: max"), holds.max, None);
    table.within(format!("{head}, all in all"), took, Some(LONGEST));
    table.size(
        format!("{head}, log at most"),
        log_size(&file.0)?,
        Some(log_without),
        Some(LARGEST_LOG),
    );
    Ok(())
}

/// How long the writers write with nobody else at work.
pub(super) fn idle(sizes: &Sizes) -> Duration {
    if sizes.quick { IDLE_QUICKLY } else { IDLE }
}

/// The rows of one writer, with us and without us.
pub(super) fn compare(
    table: &mut Table,
    head: &str,
    [with, without]: &[Ranked; 2],
    errors: [&[String]; 2],
) {
    for (name, per_mille) in [("p50", 500), ("p99", 990), ("p99.9", 999), ("max", 1000)] {
        let (with, without) = (with.rank(per_mille), without.rank(per_mille));
        let allowed = without.mul_f64(FACTOR).max(without + ALLOWANCE);
        let allowed = (per_mille == 999).then_some(allowed);
        table.beside(format!("{head}: {name}"), with, without, allowed);
    }
    let said = |it: &Ranked, failed: usize| format!("{failed} of {}", it.len() + failed);
    let row = [said(with, errors[0].len()), said(without, errors[1].len())];
    table.counts(format!("{head}: failed"), row, errors[0].is_empty());
    for error in errors.into_iter().flatten() {
        eprintln!("{head}: {error}");
    }
}

/// Does something while the writers write.
pub(super) fn written<T>(
    path: &Path,
    work: impl FnOnce() -> Outcome<T>,
) -> Outcome<(Vec<Written>, T)> {
    let writing = [OLD.start(path, PATIENCE)?, READER.start(path, PATIENCE)?];
    let outcome = work();
    let written: Outcome<Vec<Written>> = writing.into_iter().map(Writing::stop).collect();
    Ok((written?, outcome?))
}

/// A migration that has the file for itself, beside the one UPDATE that it comes to.
pub(super) fn alone(sizes: &Sizes, folder: &Path, table: &mut Table) -> Outcome<()> {
    let prepared = folder.join("prepared.db");
    prepare(&prepared, sizes.rows)?;
    // The index of the new column costs what an index costs.
    Connection::open(&prepared)?.execute_batch("DROP INDEX users_name")?;
    let mut pairs = Vec::new();
    for run in 0..sizes.runs {
        let ours = Copy::of(&prepared)?;
        let mut changeover = expanded(&ours.0)?;
        let started = Instant::now();
        migrated(&mut changeover)?;
        let ours = started.elapsed();
        drop(changeover);
        pairs.push((ours, one_update(&Copy::of(&prepared)?.0)?));
        eprintln!("alone: pair {} of {}", run + 1, sizes.runs);
    }
    let what = format!("{} rows alone, one UPDATE", counted(sizes.rows));
    table.times(what, &pairs, Some(1.2));
    std::fs::remove_file(prepared)?;
    Ok(())
}

fn one_update(path: &Path) -> Outcome<Duration> {
    let connection = by_hand_on(path)?;
    connection.execute_batch("ALTER TABLE users ADD COLUMN full_name TEXT")?;
    let started = Instant::now();
    connection.execute_batch("UPDATE users SET full_name = name")?;
    Ok(started.elapsed())
}
