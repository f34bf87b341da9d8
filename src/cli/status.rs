//! The ledger in words.

use std::path::Path;

use crate::changeover::{ChangeStatus, Status};
use crate::ledger::Entry;
use crate::name::Name;
use crate::phase::Phase;

/// How far the changes have come, a line each, and what to type next.
pub(super) fn status(status: &Status, db: &Path) -> String {
    if status.changes.is_empty() {
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
        match next(change, db) {
            Some(next) => format!("{line}\n  next: {next}"),
            None => line,
        }
    });
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
    let mut outcome = entry.schema.clone().unwrap_or_default();
    if let Some(rows) = entry.rows_migrated {
        outcome = format!("{rows} rows migrated");
    }
    if entry.backward_compatible == Some(false) {
        outcome += "  (breaks old applications)";
    }
    outcome
}

/// The command that takes a change to its next phase.
pub(super) fn next(change: &ChangeStatus, db: &Path) -> Option<String> {
    let old = change.old.as_ref().map_or("OLD_COLUMN", Name::as_str);
    let words = match change.next? {
        Phase::MigrateData => ["migrate-data", old, change.new.as_str()],
        _ => ["contract", change.table.as_str(), old],
    };
    let db = db.display().to_string();
    let command = ["changeover", "--db", &db].into_iter().chain(words);
    Some(command.map(shell_word).collect::<Vec<_>>().join(" "))
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
    fn words_reach_the_shell_as_they_are() {
        assert_eq!(shell_word("./my-app_2.db"), "./my-app_2.db");
        assert_eq!(shell_word("größe"), "größe");
        assert_eq!(shell_word("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(shell_word(""), "''");
    }
}
