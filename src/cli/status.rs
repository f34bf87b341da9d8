//! The ledger in words.

use std::path::Path;

use crate::changeover::{ChangeStatus, IndexStatus, Status};
use crate::ledger::Entry;
use crate::name::Name;
use crate::phase::Phase;

use super::shell::command;
use super::work;

/// How far the changes have come, a line each, and what to type next.
pub(super) fn status(status: &Status, db: &Path) -> String {
    if status.changes.is_empty() && status.indexes.is_empty() {
        return "no change yet".to_owned();
    }
    let lines = status.changes.iter().map(|change| {
        let old = change.old.as_ref().map_or("(not named yet)", Name::as_str);
        let rows = match change.rows_migrated {
            0 => String::new(),
            rows => format!(", {rows} rows migrated"),
        };
        let line = format!(
            "{}: {old} -> {}  {}{rows}",
            change.table.as_str(),
            change.new.as_str(),
            change.state
        );
        let mut lines = vec![line];
        lines.extend(work::lines(change, db));
        let next = next(change, &status.changes, db);
        lines.extend(next.map(|it| format!("next: {it}")));
        lines.join("\n  ")
    });
    let indexes = status.indexes.iter().map(|it| index(it, db));
    lines.chain(indexes).collect::<Vec<_>>().join("\n")
}

/// An index that a table was given, or is being given.
fn index(index: &IndexStatus, db: &Path) -> String {
    let (table, name) = (index.table.as_str(), index.index.as_str());
    let mut lines = vec![format!("{table}: index {name}  {}", index.state)];
    if index.state.is_open() {
        lines.extend(work::of_index(index, db));
        let abort = command(db, &["abort"], &[table]);
        lines.push(format!(
            "next: the same add-index again, or to call it off: {abort}"
        ));
    }
    lines.join("\n  ")
}

/// Whose work pauses.
pub(super) fn paused(tables: &[Name]) -> String {
    each(tables, "the work pauses behind its next batch")
}

/// Whose work goes on.
pub(super) fn resumed(tables: &[Name]) -> String {
    each(tables, "the work goes on")
}

fn each(tables: &[Name], what: &str) -> String {
    let lines = tables.iter().map(|it| format!("{}: {what}", it.as_str()));
    lines.collect::<Vec<_>>().join("\n")
}

/// The phases that were applied, a line each.
pub(super) fn history(history: &[Entry]) -> String {
    if history.is_empty() {
        return "nothing was applied yet".to_owned();
    }
    history
        .iter()
        .map(entry_line)
        .collect::<Vec<_>>()
        .join("\n")
}

fn entry_line(entry: &Entry) -> String {
    format!(
        "{:>4}  {}  {}  {}",
        entry.version,
        entry.applied_at,
        entry.name,
        outcome(entry)
    )
}

/// A phase that was applied, in a line.
pub(super) fn applied(entry: &Entry) -> String {
    format!(
        "version {}  {}  {}",
        entry.version,
        entry.name,
        outcome(entry)
    )
}

fn outcome(entry: &Entry) -> String {
    let index = entry.index.as_ref().and_then(|it| it.sql.clone());
    let mut outcome = entry.schema.clone().or(index).unwrap_or_default();
    if let Some(rows) = entry.rows_migrated {
        outcome = format!("{rows} rows migrated");
    }
    if entry.backward_compatible == Some(false) {
        outcome += "  (breaks old applications)";
    }
    match &entry.forced {
        Some(reason) => format!("{outcome}  (forced: {reason})"),
        None => outcome,
    }
}

/// The command that takes a change, one of `all`, to its next phase.
pub(super) fn next(change: &ChangeStatus, all: &[ChangeStatus], db: &Path) -> Option<String> {
    let old = change.old.as_ref().map_or("OLD_COLUMN", Name::as_str);
    let phase = change.next?;
    let waits_too = |other: &&ChangeStatus| other.next == Some(phase) && other.new == change.new;
    let ambiguous = all.iter().filter(waits_too).count() > 1;
    let (words, names) = match phase {
        Phase::MigrateData if ambiguous => {
            // In one word, since a name may begin like an option.
            let table = format!("--table={}", change.table.as_str());
            (
                vec!["migrate-data".to_owned(), table],
                [old, change.new.as_str()],
            )
        }
        Phase::MigrateData => (vec!["migrate-data".to_owned()], [old, change.new.as_str()]),
        Phase::Undo => return Some(work::undo(change, db)),
        Phase::Abort => return Some(command(db, &["abort"], &[change.table.as_str()])),
        _ => (vec!["contract".to_owned()], [change.table.as_str(), old]),
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Some(command(db, &words, &names))
}
