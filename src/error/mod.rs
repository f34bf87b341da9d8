//! How things fail: every refusal and every failure, with its code, its sentence and what to do next.

mod code;
mod hint;
mod sqlite;

use std::path::PathBuf;
use std::time::Duration;

use crate::instance::Label;
use crate::name::Name;
use crate::phase::State;
use crate::time::rounded;

pub use code::Code;

/// What every fallible function here returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something was not done. Whatever the variant, the file is as it was, or as the last batch left it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // The file.
    /// There is nothing at the path.
    #[error("no file `{}`", .0.display())]
    NoSuchFile(PathBuf),
    /// The path holds something else than a file.
    #[error("`{}` is not a file", .0.display())]
    NotAFile(PathBuf),
    /// `seed` found a file where it was to write one.
    #[error("`{}` exists already", .0.display())]
    FileExists(PathBuf),
    /// The file is no SQLite database, or an encrypted one.
    #[error("the file is not a SQLite database")]
    NotADatabase,
    /// SQLite met a page that makes no sense.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// The file or its folder cannot be written.
    #[error("the file cannot be written: {0}")]
    ReadOnly(String),
    /// The disk is used up.
    #[error("no room left on the disk")]
    DiskFull,
    /// The disk has no room for what stands beside a table while it is changed in many transactions.
    #[error("work beside table `{}` takes up to {} MiB of the disk, and {} are free", .table.as_str(), .needed.div_ceil(1 << 20), .free >> 20)]
    NoRoom {
        /// The table.
        table: Name,
        /// The bytes that it needs.
        needed: u64,
        /// The bytes that are free.
        free: u64,
    },
    /// Another connection held the lock for longer than the busy timeout.
    #[error("the file stayed locked by another connection")]
    Busy,
    /// Other programs kept changing the schema between the plan and its transaction.
    #[error("the schema or the ledger changed while the phase was being planned, again and again")]
    Unsettled,
    /// Any other failure that SQLite reports.
    #[error("SQLite failed: {0}")]
    Sqlite(#[source] rusqlite::Error),
    /// Any other failure of the operating system.
    #[error("{0}")]
    Io(#[from] std::io::Error),

    // What the request names.
    /// The request cannot be read as one.
    #[error("{0}")]
    Malformed(String),
    /// The request, or this kind of it, is unknown.
    #[error("{0}")]
    NotSupported(String),
    /// No table of that name.
    #[error("no table `{}`", .table.as_str())]
    NoSuchTable {
        /// The name asked for.
        table: Name,
        /// The name in the file that is most like it.
        nearest: Option<Name>,
    },
    /// No column of that name.
    #[error("table `{}` has no column `{}`", .table.as_str(), .column.as_str())]
    NoSuchColumn {
        /// The table.
        table: Name,
        /// The name asked for.
        column: Name,
        /// The column that is most like it.
        nearest: Option<Name>,
    },
    /// No table of the file has the column.
    #[error("no table has a column `{}`", .0.as_str())]
    NoTableHas(Name),
    /// Something bears the name, but it is no ordinary table.
    #[error("`{}` is {kind}, not an ordinary table", .name.as_str())]
    NotAnOrdinaryTable {
        /// The name asked for.
        name: Name,
        /// What it is: "a view", "a virtual table" …
        kind: &'static str,
    },
    /// The column to add is there already, and no change added it.
    #[error("table `{}` already has a column `{}`", .table.as_str(), .column.as_str())]
    ColumnExists {
        /// The table.
        table: Name,
        /// The column.
        column: Name,
    },
    /// The type asked for is not one that SQLite takes for a type.
    #[error("`{0}` is not a column type{1}")]
    NotAType(String, &'static str),
    /// The values of the old column are computed.
    #[error("column `{}` of table `{}` is generated", .column.as_str(), .table.as_str())]
    Generated {
        /// The table.
        table: Name,
        /// The column.
        column: Name,
    },
    /// SQLite as built here cannot write rows of the table.
    #[error("rows of table `{}` cannot be written here: {reason}", .table.as_str())]
    NotWritable {
        /// The table.
        table: Name,
        /// What SQLite says.
        reason: String,
    },

    /// Something in the file bears the name that an index is to get.
    #[error("there is {kind} `{}` already", .name.as_str())]
    NameTaken {
        /// The name.
        name: Name,
        /// What it is: "an index", "a table" …
        kind: &'static str,
    },
    /// No index of that name.
    #[error("no index `{}`", .index.as_str())]
    NoSuchIndex {
        /// The name asked for.
        index: Name,
        /// The name in the file that is most like it.
        nearest: Option<Name>,
    },
    /// SQLite makes no such index.
    #[error("`{sql}` makes no index: {reason}")]
    NotAnIndex {
        /// What it would be.
        sql: String,
        /// What SQLite says.
        reason: String,
    },
    /// The expression cannot stand in a trigger.
    #[error("`{expression}` cannot be used to keep the columns in step: {reason}")]
    NotAnExpression {
        /// What was given.
        expression: String,
        /// What SQLite says.
        reason: String,
    },
    /// An expression for one direction, and none for the other.
    #[error("`{given}` is given without `{missing}`")]
    OneWay {
        /// `up` or `down`.
        given: &'static str,
        /// The other one.
        missing: &'static str,
    },

    // The order of the phases.
    /// The table has a change that is neither contracted nor aborted.
    #[error("table `{}` has an open change: `{}` is {state}", .table.as_str(), .new.as_str())]
    ChangeOpen {
        /// The table.
        table: Name,
        /// The new column of the open change.
        new: Name,
        /// How far it has come.
        state: State,
    },
    /// An index of the table is being built.
    #[error("table `{}` is being given an index: `{}`", .table.as_str(), .index.as_str())]
    IndexOpen {
        /// The table.
        table: Name,
        /// The index.
        index: Name,
    },
    /// The ledger has changes that still wait for a phase.
    #[error("the file has an open change on table `{}`", .0.as_str())]
    ForgetOpen(Name),
    /// The file holds no ledger to forget.
    #[error("the file holds no ledger")]
    NoLedger,
    /// No expanded change waits for this data migration.
    #[error("no change waits for data to go from `{}` to `{}`", .old.as_str(), .new.as_str())]
    NothingToMigrate {
        /// The old column.
        old: Name,
        /// The new column.
        new: Name,
    },
    /// Several tables could be meant.
    #[error("`{}` and `{}` could mean {}", .old.as_str(), .new.as_str(), listed(.tables))]
    Ambiguous {
        /// The old column.
        old: Name,
        /// The new column.
        new: Name,
        /// The tables that have what was asked for.
        tables: Vec<Name>,
    },
    /// The change was expanded for another old column.
    #[error("column `{}` was added to replace `{}`, not `{}`", .new.as_str(), .expected.as_str(), .old.as_str())]
    OtherSource {
        /// The new column.
        new: Name,
        /// The old column that the change knows.
        expected: Name,
        /// The old column asked for.
        old: Name,
    },
    /// Contract before migrate data.
    #[error("the data of `{}` is not migrated: the change is {state}", .column.as_str())]
    NotMigrated {
        /// The old column.
        column: Name,
        /// How far the change has come.
        state: State,
    },
    /// The data migration was begun with other expressions.
    #[error("the data migration from `{}` to `{}` was begun otherwise", .old.as_str(), .new.as_str())]
    BegunOtherwise {
        /// The old column.
        old: Name,
        /// The new column.
        new: Name,
    },
    /// Somebody changed the table while both columns were kept in step.
    #[error("table `{}` was changed by someone else while `{}` was on its way", .table.as_str(), .new.as_str())]
    TableChanged {
        /// The table.
        table: Name,
        /// The new column.
        new: Name,
        /// The text that the table had.
        text: String,
    },
    /// Verify of a table where nothing is to be compared.
    #[error("table `{}` has no open change whose data migration has begun", .0.as_str())]
    NothingToVerify(Name),
    /// Contract of a column that nothing replaces.
    #[error("no change replaces column `{}` of table `{}`", .column.as_str(), .table.as_str())]
    NothingReplaces {
        /// The table.
        table: Name,
        /// The column.
        column: Name,
    },
    /// The old column is held for longer.
    #[error("column `{}` of table `{}` is held for {} more", .old.as_str(), .table.as_str(), rounded(*.left))]
    HeldYet {
        /// The table.
        table: Name,
        /// The old column.
        old: Name,
        /// For how long.
        left: Duration,
    },
    /// The change can go neither way until a hold is undone.
    #[error("the contract of table `{}` must be undone first: the change is {state}", .table.as_str())]
    NotUndone {
        /// The table.
        table: Name,
        /// How far the change has come.
        state: State,
    },
    /// No old column of the table can be brought back.
    #[error("table `{}` has no contract that holds the old column", .0.as_str())]
    NothingHeld(Name),
    /// Nothing is there to be undone, or to be paused.
    #[error("table `{}` has no open change", .0.as_str())]
    NoOpenChange(Name),
    /// No table has a change that is open.
    #[error("the file has no open change")]
    NothingOpen,

    // The instances.
    /// No live instance of that name.
    #[error("no live instance `{0}`: it never registered, it retired, or its lease has ended")]
    NoSuchInstance(Label),
    /// An instance says that it knows what there is not yet.
    #[error("instance `{name}` says version {version}, and the file has come to {latest}")]
    VersionAhead {
        /// The instance.
        name: Label,
        /// What it says.
        version: u32,
        /// The version of the latest phase.
        latest: i64,
    },

    // The checks.
    /// Somebody may still use the old column.
    #[error("the gate is shut, as `{}` of table `{}` may still be in use:\n{}", .old.as_str(), .table.as_str(), bullets(.reasons))]
    GateShut {
        /// The table.
        table: Name,
        /// The old column.
        old: Name,
        /// Each finding in words, and what would clear it.
        reasons: Vec<String>,
    },
    /// Views, triggers or tables would no longer work, or would mean something else.
    #[error("{phase} would break what is in the file:\n{}", bullets(.breaks))]
    WouldBreak {
        /// The phase that the breaks speak of.
        phase: &'static str,
        /// Each break in words.
        breaks: Vec<String>,
        /// What would clear the way.
        remedy: &'static str,
    },
    /// A row of the table cannot be without a value in the old column, not even for a moment.
    #[error("new applications cannot leave out `{}` in table `{}`: {reason}", .old.as_str(), .table.as_str())]
    NeedsBoth {
        /// The table.
        table: Name,
        /// The old column.
        old: Name,
        /// What a row that lacks it meets.
        reason: String,
    },
    /// Another process works on the change.
    #[error("another changeover is at work on this change: {0}")]
    Running(String),
    /// Another process has taken the work over, since this one was silent for too long.
    #[error("another changeover has taken over the work on this change")]
    TakenOver,
    /// Old and new column hold different values.
    #[error(
        "`{}` and `{}` hold different values in {count} {}, for instance where {}",
        .old.as_str(), .new.as_str(), if *.count == 1 { "row" } else { "rows" }, .examples.join("; ")
    )]
    Disagreement {
        /// The old column.
        old: Name,
        /// The new column.
        new: Name,
        /// How many rows.
        count: u64,
        /// The keys of the first of them.
        examples: Vec<String>,
    },
    /// Rows share the key of an index that is to be unique.
    #[error(
        "index `{}` cannot be unique: {count} {} its key with others: {}",
        .index.as_str(), if *.count == 1 { "row shares" } else { "rows share" }, .examples.join("; ")
    )]
    Duplicates {
        /// The index.
        index: Name,
        /// How many rows.
        count: u64,
        /// The keys of the first of them.
        examples: Vec<String>,
    },
    /// An index does not hold what its table does.
    #[error("index `{}` does not hold what table `{}` does:\n{}", .index.as_str(), .table.as_str(), bullets(.faults))]
    IndexDiffers {
        /// The table.
        table: Name,
        /// The index.
        index: Name,
        /// What differs, in words.
        faults: Vec<String>,
    },
    /// The sync triggers of a change are gone, or others than were made: rows written since may disagree.
    #[error("the triggers that keep `{}` and `{}` in step are not as they were made:\n{}", .old.as_str(), .new.as_str(), bullets(.faults))]
    OutOfStep {
        /// The old column.
        old: Name,
        /// The new column.
        new: Name,
        /// What is the matter with each of them.
        faults: Vec<String>,
    },
    /// Aborting would drop values that stand in the new column alone.
    #[error(
        "column `{}` holds values that are nowhere else, in {count} {}, for instance where {}",
        .new.as_str(), if *.count == 1 { "row" } else { "rows" }, .examples.join("; ")
    )]
    WouldLose {
        /// The new column.
        new: Name,
        /// How many rows.
        count: u64,
        /// The keys of the first of them.
        examples: Vec<String>,
    },
    /// A file that describes a rollout cannot be read as one.
    #[error("`{}`{}: {problem}", .path.display(), if .place.is_empty() { String::new() } else { format!(", {place}") })]
    BadRollout {
        /// The file.
        path: PathBuf,
        /// The place in it, as a JSON pointer; empty for all of it.
        place: String,
        /// What is the matter, with line and column where there are any.
        problem: String,
    },
    /// Instances of the application did not become healthy in the new version.
    #[error("the rollout stopped, since not every instance is healthy in the new version:\n{}", bullets(.0))]
    Unhealthy(Vec<String>),
    /// A row would violate a constraint of the table with the value that it is to get.
    #[error("the rows do not allow it: {0}")]
    Constraint(String),
    /// The rebuild came out otherwise than rehearsed, and was rolled back.
    #[error("the outcome is not the rehearsed one, so it was rolled back:\n{}", bullets(.0))]
    Unexpected(Vec<String>),
    /// The ledger was written by a later changeover.
    #[error("the ledger in the file is of format {found}, this changeover knows up to {known}")]
    LedgerTooNew {
        /// The format in the file.
        found: i64,
        /// The newest format that this program knows.
        known: i64,
    },
    /// The ledger could not be made or brought up to date.
    #[error("the ledger could not be brought up to date: {0}")]
    Ledger(String),
    /// The observer asked to stop.
    #[error("stopped as asked")]
    Stopped,
    /// The observer asked to stop before anything was committed.
    #[error("stopped as asked, and nothing was changed")]
    CalledOff,
}

fn bullets(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("  - {line}")).collect();
    lines.join("\n")
}

fn listed(names: &[Name]) -> String {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", name.as_str()))
        .collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}
