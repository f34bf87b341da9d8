//! Who uses the file, in words.

use crate::census::Process;
use crate::changeover::{Judged, Who};
use crate::gate::Reason;
use crate::instance::{Instance, Label};
use crate::name::Name;
use crate::phase::State;
use crate::time::rounded;

use super::table::table;

/// What nothing in the file or around it can show.
const UNSEEN: &str = "who only reads the old column leaves no trace: what is told here is who writes it, \
who has registered, and who has the file open";

/// The instances, the processes, and each open change with what keeps its gate shut.
pub(super) fn who(who: &Who) -> String {
    let mut parts = vec![registered(&who.instances), open(who.processes.as_deref())];
    parts.extend(who.changes.iter().map(judged));
    if who.changes.is_empty() {
        parts.push("no change is open".to_owned());
    }
    parts.push(UNSEEN.to_owned());
    parts.join("\n\n")
}

/// Who has registered, a line each.
pub(super) fn registered(instances: &[Instance]) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let rows = instances.iter().map(|it| {
        let left = it.left.map(|left| format!("{} left", rounded(left)));
        [
            it.name.to_string(),
            it.version.to_string(),
            or_dash(it.app_version.as_ref().map(Label::to_string)),
            or_dash(it.pid.map(|pid| pid.to_string())),
            left.unwrap_or_else(|| "ended".to_owned()),
            format!("{} ago", rounded(it.silence)),
        ]
    });
    let head = ["instance", "version", "app", "process", "lease", "seen"];
    or_else(&table(head, rows.collect()), "no instance is registered")
}

/// Who has retired.
pub(super) fn retired(name: &Label, was_there: bool) -> String {
    if was_there {
        format!("{name} is retired")
    } else {
        format!("{name} was not registered")
    }
}

fn open(processes: Option<&[Process]>) -> String {
    let Some(processes) = processes else {
        return "which processes have the file open cannot be told on this system".to_owned();
    };
    let rows = processes
        .iter()
        .map(|it| [it.pid.to_string(), rounded(it.age), it.command.to_string()]);
    let head = ["process", "runs for", "command"];
    or_else(
        &table(head, rows.collect()),
        "no other process has the file open",
    )
}

fn or_else(lines: &[String], nothing: &str) -> String {
    if lines.is_empty() {
        nothing.to_owned()
    } else {
        lines.join("\n")
    }
}

fn judged(change: &Judged) -> String {
    let old = change.old.as_ref().map_or("(not named yet)", Name::as_str);
    let table = change.table.as_str();
    let mut lines = vec![format!(
        "{table}: {old} -> {}  {}",
        change.new.as_str(),
        change.state
    )];
    if let Some(ago) = change.old_write {
        lines.push(format!(
            "  `{old}` was last written alone {} ago",
            rounded(ago)
        ));
    }
    let verdict = &change.verdict;
    lines.push(match change.state {
        State::Contracting => "  the gate was passed: contract is under way".to_owned(),
        State::Held if verdict.is_open() => {
            "  the gate is open: contract may be, when the hold has ended".to_owned()
        }
        _ if verdict.is_open() => {
            "  the gate is open: contract may be, if every row agrees".to_owned()
        }
        _ => "  the gate is shut:".to_owned(),
    });
    lines.extend(verdict.reasons.iter().map(|it| bullet("", it)));
    lines.extend(verdict.warnings.iter().map(|it| bullet("warning: ", it)));
    lines.join("\n")
}

/// The finding, and what would clear it in a line of its own.
fn bullet(kind: &str, reason: &Reason) -> String {
    format!("  - {kind}{}\n    {}", reason.finding(), reason.remedy())
}
