//! What verify has found, in words.

use crate::changeover::{Repaired, Verified, VerifiedIndex};
use crate::phase::State;

/// Each change in a line, behind what was mended of it.
pub(super) fn words(found: &[Verified]) -> String {
    if found.is_empty() {
        return "nothing to compare: no data migration has begun".to_owned();
    }
    let lines = found.iter().map(|it| {
        let table = it.table.as_str();
        let mended = it
            .repaired
            .map(|repaired| format!("{table}: {}\n", mended(repaired)));
        let pending = match it.state {
            State::Migrating => ", as far as they are copied",
            _ => "",
        };
        format!(
            "{}{table}: {} and {} agree in {}{pending}",
            mended.unwrap_or_default(),
            it.old.as_str(),
            it.new.as_str(),
            counted(it.rows, "row"),
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// An index that holds what its table does.
pub(super) fn index(found: &VerifiedIndex) -> String {
    format!(
        "{}: {} has an entry for each of {}, and no other",
        found.table.as_str(),
        found.index.as_str(),
        counted(found.rows, "row")
    )
}

fn mended(Repaired { triggers, rows }: Repaired) -> String {
    match (triggers as u64, rows) {
        (0, 0) => "nothing to mend".to_owned(),
        (0, rows) => format!("{} mended", counted(rows, "row")),
        (triggers, 0) => format!("{} put back", counted(triggers, "trigger")),
        (triggers, rows) => format!(
            "{} put back, {} mended",
            counted(triggers, "trigger"),
            counted(rows, "row")
        ),
    }
}

fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
