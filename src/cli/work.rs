//! The work on a change, and what else goes on there, in words.

use std::path::Path;

use crate::changeover::{ChangeStatus, IndexStatus};
use crate::event::Holds;
use crate::ledger::Run;
use crate::name::Name;
use crate::phase::State;
use crate::time::rounded;

use super::shell::command;

/// What there is to say of the work on the change, a line each.
pub(super) fn lines(change: &ChangeStatus, db: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(run) = &change.work {
        if change.state.is_under_way() || change.is_worked_on {
            lines.extend(progress(run, change.is_worked_on));
        }
        lines.extend(paused(run, &change.table, db));
    }
    if change.state == State::Held {
        let left = match change.hold_left {
            Some(left) => format!("held for {} more", rounded(left)),
            None => "the hold has ended".to_owned(),
        };
        lines.push(format!("{left}, to bring it back: {}", undo(change, db)));
    }
    lines.extend(
        change
            .old_write
            .map(|ago| format!("old applications wrote {} ago", rounded(ago))),
    );
    lines
}

/// The same of an index that is being built.
pub(super) fn of_index(index: &IndexStatus, db: &Path) -> Vec<String> {
    let Some(run) = &index.work else {
        return Vec::new();
    };
    let mut lines = progress(run, index.is_worked_on);
    lines.extend(paused(run, &index.table, db));
    lines
}

fn paused(run: &Run, table: &Name, db: &Path) -> Option<String> {
    let resume = || command(db, &["resume"], &[table.as_str()]);
    run.is_paused
        .then(|| format!("paused, to go on: {}", resume()))
}

fn progress(run: &Run, is_alive: bool) -> Vec<String> {
    let rate = run.rate().map(|it| format!("{it:.0} rows/s"));
    let to_go = run.to_go().filter(|_| is_alive && !run.is_paused);
    let to_go = to_go.map(|it| format!("{} to go", rounded(it)));
    let passed = format!("{} of {} rows passed", run.passed, run.rows);
    let rows: Vec<String> = [Some(passed), rate, to_go].into_iter().flatten().collect();
    let silence = rounded(run.silence);
    let who = match &run.runner {
        None => "nobody is at work on it".to_owned(),
        Some(name) if is_alive => format!("at work: {name}, heard of {silence} ago"),
        Some(name) => format!("given up: {name}, heard of {silence} ago"),
    };
    let mut lines = vec![rows.join(", "), who];
    if run.holds.turns > 0 {
        let waited = run.holds.waited;
        lines.push(format!("{}; waited {waited:.1?} for it", locks(&run.holds)));
    }
    lines
}

/// How long the write lock was held.
pub(super) fn locks(holds: &Holds) -> String {
    let Holds { p50, p99, max, .. } = holds;
    format!("locks held: p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?}")
}

/// The command that brings the old column of a change back.
pub(super) fn undo(change: &ChangeStatus, db: &Path) -> String {
    command(db, &["undo"], &[change.table.as_str()])
}
