//! What a larger table takes more of: memory, log, and time of a row.

use std::path::Path;
use std::time::Duration;

use super::file::{Copy, LARGEST_LOG, check, log_size, prepare};
use super::ours::{Conversation, MESSAGES};
use super::table::{Table, counted};
use super::{Outcome, Sizes};

/// What phases in a process of their own took.
struct Grown {
    /// The last phase, for a million rows.
    million: Duration,
    memory: f64,
    log: f64,
}

impl Grown {
    /// Runs so many phases on a table of so many rows.
    fn of(rows: u32, phases: usize, folder: &Path) -> Outcome<Self> {
        let file = Copy(folder.join("prepared.db"));
        prepare(&file.0, rows)?;
        let mut node = Conversation::with_node(&file.0)?;
        let mut last = Duration::ZERO;
        for message in MESSAGES.lines().take(phases) {
            (_, last) = node.ask(message)?;
        }
        let grown = Self {
            million: last.mul_f64(1e6 / f64::from(rows)),
            memory: node.peak()?,
            log: log_size(&file.0)?,
        };
        drop(node);
        match phases {
            3 => check(&file.0, rows, &["id", "full_name", "mail"])?,
            _ => check(&file.0, rows, &["id", "name", "mail", "full_name"])?,
        }
        Ok(grown)
    }

    /// The same on a small table and on a large one.
    fn few_and_many(sizes: &Sizes, phases: usize, folder: &Path) -> Outcome<(Self, Self)> {
        let of = |rows| {
            eprintln!("{phases} phases: {} rows", counted(rows));
            Self::of(rows, phases, folder)
        };
        Ok((of(sizes.few_rows)?, of(sizes.many_rows)?))
    }
}

/// The most memory that our program takes.
pub(super) fn peak_memory(sizes: &Sizes, folder: &Path, table: &mut Table) -> Outcome<()> {
    let what = format!(
        "peak memory, {} rows and {} rows",
        counted(sizes.many_rows),
        counted(sizes.few_rows)
    );
    if !cfg!(target_os = "linux") {
        table.skipped(what, "not available");
        return Ok(());
    }
    let (few, many) = Grown::few_and_many(sizes, 3, folder)?;
    table.memory(what, many.memory, few.memory);
    Ok(())
}

/// A migration of many rows beside one of few: time, memory and log.
pub(super) fn growth(sizes: &Sizes, folder: &Path, table: &mut Table) -> Outcome<()> {
    let head = format!(
        "migration of {} rows and of {}",
        counted(sizes.many_rows),
        counted(sizes.few_rows)
    );
    if !cfg!(target_os = "linux") {
        table.skipped(head, "not available");
        return Ok(());
    }
    let (few, many) = Grown::few_and_many(sizes, 2, folder)?;
    table.memory(format!("{head}: memory"), many.memory, few.memory);
    table.size(
        format!("{head}: log"),
        many.log,
        Some(few.log),
        Some(LARGEST_LOG),
    );
    table.beside(
        format!("{head}: time of a million rows"),
        many.million,
        few.million,
        Some(few.million.mul_f64(1.25)),
    );
    Ok(())
}
