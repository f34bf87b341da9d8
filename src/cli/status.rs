//! The ledger in words.

use std::path::Path;

use crate::changeover::{ChangeStatus, IndexStatus, Status};
use crate::ledger::Entry;
use crate::name::Name;
use crate::phase::Phase;

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
        Phase::Undo => return Some(undo(change, db)),
        _ => (vec!["contract".to_owned()], [change.table.as_str(), old]),
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Some(command(db, &words, &names))
}

/// The command that brings the old column of a change back.
pub(super) fn undo(change: &ChangeStatus, db: &Path) -> String {
    command(db, &["undo"], &[change.table.as_str()])
}

/// A command on the file, to be typed into a shell.
pub(super) fn command(db: &Path, words: &[&str], names: &[&str]) -> String {
    let db = path(db);
    let mut command = vec!["changeover", "--db", &db];
    command.extend(words);
    // Behind this nothing is an option.
    command.extend(
        names
            .iter()
            .any(|name| name.starts_with('-'))
            .then_some("--"),
    );
    command.extend(names);
    let command: Vec<String> = command.into_iter().map(shell_word).collect();
    command.join(" ")
}

/// The command that this process was called with.
pub(super) fn same_again() -> String {
    let arguments = std::env::args_os().skip(1);
    let arguments = arguments.map(|it| shell_word(&it.to_string_lossy()));
    let words: Vec<String> = ["changeover".to_owned()]
        .into_iter()
        .chain(arguments)
        .collect();
    words.join(" ")
}

/// How to look at the file with SQLite's own shell.
pub(super) fn look(db: &Path) -> String {
    format!("sqlite3 {} .schema", shell_word(&path(db)))
}

/// A path that nothing takes for an option.
fn path(path: &Path) -> String {
    let path = path.display().to_string();
    if path.starts_with('-') {
        format!("./{path}")
    } else {
        path
    }
}

/// A word as a shell takes it.
fn shell_word(word: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "_-./".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_never_taken_for_options() {
        let command = |db: &str, names| command(Path::new(db), &["contract"], names);
        assert_eq!(
            command("-a.db", &["t", "a"]),
            "changeover --db ./-a.db contract t a"
        );
        assert_eq!(
            command("a b.db", &["t", "-a"]),
            "changeover --db 'a b.db' contract -- t -a"
        );
        assert_eq!(look(Path::new("it's")), r"sqlite3 'it'\''s' .schema");
    }

    #[test]
    fn words_reach_the_shell_as_they_are() {
        assert_eq!(shell_word("./my-app_2.db"), "./my-app_2.db");
        assert_eq!(shell_word("größe"), "größe");
        assert_eq!(shell_word("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(shell_word(""), "''");
    }
}
