//! What to do next after each error.

use super::Error;

impl Error {
    /// What to do next, where there is something to say.
    #[must_use]
    #[allow(clippy::too_many_lines)]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoSuchFile(_) => "check the path; `changeover seed PATH` writes a sample file",
            Self::FileExists(_) => "name a path that is free; no file is ever overwritten",
            Self::NotADatabase => "check the path; an encrypted database cannot be read either",
            Self::Damaged(_) => "`PRAGMA integrity_check` in sqlite3 tells more; restore a backup",
            Self::ReadOnly(_) => "make the file and its folder writable, or be its owner",
            Self::DiskFull | Self::NoRoom { .. } => {
                "nothing is lost: make room and run the same again"
            }
            Self::Sqlite(error) => {
                let on_disk = Some(rusqlite::ErrorCode::SystemIoFailure);
                if error.sqlite_error_code() != on_disk {
                    return None;
                }
                "the disk, or the limit on a file's size, stands in the way: nothing is lost, run the same again later"
            }
            Self::Busy => "run the same again, or wait longer with --busy-timeout",
            Self::Unsettled => "run the same again when nothing else changes the schema",
            Self::NoSuchTable {
                nearest: Some(near),
                ..
            }
            | Self::NoSuchColumn {
                nearest: Some(near),
                ..
            }
            | Self::NoSuchIndex {
                nearest: Some(near),
                ..
            } => {
                return Some(format!("did you mean `{}`?", near.as_str()));
            }
            Self::NotAnOrdinaryTable { .. } => "name the table that holds the rows",
            Self::ColumnExists { .. } => "name a column that is not there yet",
            Self::NameTaken { .. } => "name the index otherwise (--name)",
            Self::NotAnIndex { .. } => {
                "expressions and conditions may use the columns of the table and SQLite's own functions that always give \
                 the same; a word in single quotes is a text, one in double quotes a column"
            }
            Self::NotAType(..) => {
                "a type is its name alone, as in TEXT or VARCHAR(20): no constraint, no default"
            }
            Self::Generated { .. } => {
                "add the new column with its own expression instead, and drop this one later"
            }
            Self::NotWritable { .. } => {
                "functions and collations that an application defines are not known here"
            }
            Self::ChangeOpen { .. } => "finish it with contract, or undo it with abort, first",
            Self::IndexOpen { .. } => {
                "finish it with the same add-index, or call it off with abort, first"
            }
            Self::ForgetOpen(_) => "contract or abort it first",
            Self::NothingToMigrate { .. } => {
                "expand first (--expand does both), or name the old column and the table as expand did"
            }
            Self::Ambiguous { .. } => "name the table",
            Self::OtherSource { expected, .. } => {
                return Some(format!(
                    "migrate from `{}`, or abort and expand anew",
                    expected.as_str()
                ));
            }
            Self::NotMigrated { .. } => "run migrate data first",
            Self::NothingToVerify(_) => "`changeover status` shows what there is",
            Self::NotAnExpression { .. } => {
                "it may use the one column and SQLite's own functions that always give the same: no query, no \
                 random(), no current time"
            }
            Self::OneWay { .. } => {
                "say both (--up, --down): a value that stays as it is on its way is the name of its column"
            }
            Self::BegunOtherwise { .. } => {
                "run it as it was begun, or abort the change and begin anew"
            }
            Self::TableChanged { text, .. } => {
                return Some(format!(
                    "columns may be added, dropped and renamed meanwhile, but for the two; undo what was done to the table, whose \
                     text was: {text}"
                ));
            }
            Self::NeedsBoth { .. } => {
                "let new applications write both columns until contract, and say so with `write_both` (--write-both)"
            }
            Self::Running(_) => "`changeover status` shows it; run the same again when it is done",
            Self::TakenOver => "nothing is lost: `changeover status` shows who goes on",
            Self::NothingReplaces { .. } => "expand and migrate data first",
            Self::HeldYet { .. } => {
                "wait, or remove it in spite of that with `now` (--now), or bring it back with undo"
            }
            Self::NotUndone { .. } => "run undo first, which brings the old column back",
            Self::NothingHeld(_) => {
                "undo is for contract with `hold` (--hold); abort undoes a change that is not contracted"
            }
            Self::NoSuchInstance(_) => "register again, with the version that the instance knows",
            Self::VersionAhead { .. } => {
                "say the version that the last phase was answered with; `changeover history` lists them"
            }
            Self::GateShut { .. } => {
                "`changeover who` shows all that is known; wait for it with --wait, or go past it with --force --reason"
            }
            Self::WouldBreak { remedy, .. } => remedy,
            Self::Disagreement { .. } => {
                "mend the rows, or let one side win: winner `old` or `new` (--winner)"
            }
            Self::Duplicates { .. } => "mend the rows first, or do without UNIQUE",
            Self::IndexDiffers { .. } => {
                "`REINDEX` in sqlite3 makes it anew, and nobody else can write meanwhile; or drop it and add it again"
            }
            Self::OutOfStep { .. } => {
                "`changeover verify --repair` puts them back and looks at every row; or let one side win (--winner)"
            }
            Self::WouldLose { .. } => {
                "keep them with winner `new` (--winner new), or drop them with winner `old`"
            }
            Self::BadRollout { .. } => "`changeover rollout --schema` prints what it may say",
            Self::Unhealthy(_) => {
                "both versions can go on beside each other: mend it, and run the same again to go on"
            }
            Self::Constraint(_) => "mend the rows, and run the same again",
            Self::Unexpected(_) => "nothing was changed; please report this with the schema",
            Self::LedgerTooNew { .. } => {
                "use a changeover at least as new as the one that wrote it"
            }
            Self::CalledOff => "run the same again to do it",
            Self::Stopped => "what was done is kept: run the same again to go on",
            Self::NoSuchTable { nearest: None, .. }
            | Self::NoSuchColumn { nearest: None, .. }
            | Self::NoSuchIndex { nearest: None, .. }
            | Self::NoTableHas(_)
            | Self::NotAFile(_)
            | Self::Malformed(_)
            | Self::NotSupported(_)
            | Self::NoLedger
            | Self::NoOpenChange(_)
            | Self::NothingOpen
            | Self::Io(_)
            | Self::Ledger(_) => return None,
        };
        Some(hint.to_owned())
    }
}
