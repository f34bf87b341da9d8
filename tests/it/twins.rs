//! A file on which a change runs, and its twin on which nothing runs: the application does the same on both, so that in
//! the end one must be what SQLite's own rename makes of the other, or the same as it.

use std::cell::Cell;
use std::ops::ControlFlow;

use changeover::event::{self, Event, Observer};
use changeover::{Phase, Result, State};

use super::oracle::{Portrait, differences_from_sqlites, differences_since};
use super::support::{Change, Entry, Error, File, change};

/// What old and new applications write, one after the other: `{name}` is the column by the name that they know, and
/// `{n}` a number that no other statement got.
const WRITES: [&str; 6] = [
    "INSERT INTO people(k, {name}) VALUES (1000 + {n}, 'came as ' || {n})",
    "UPDATE people SET {name} = {name} || ' ' || {n} WHERE k % 3 = {n} % 3",
    "DELETE FROM people WHERE k = {n} % 12",
    "UPDATE people SET k = 2000 + {n} WHERE k = {n} % 12",
    "INSERT OR REPLACE INTO people(k, {name}) VALUES (7, 'anew ' || {n})",
    "UPDATE people SET age = {n}, {name} = upper({name}) WHERE k > 1000",
];

/// The change of these tests.
pub(crate) fn renaming() -> Change<'static> {
    change("people", "name", "full_name")
}

/// Both files.
pub(crate) struct Twins {
    pub(crate) file: File,
    untouched: File,
    pub(crate) change: Change<'static>,
    writes: &'static [&'static str],
    written: Cell<usize>,
}

impl Twins {
    /// Two files with a table `people` that has the columns `k`, `name` and `age`.
    pub(crate) fn of(sql: &str) -> Self {
        let file = File::of(sql);
        Self {
            untouched: file.copy(),
            file,
            change: renaming(),
            writes: &WRITES,
            written: Cell::new(0),
        }
    }

    /// The same, where the applications write otherwise.
    pub(crate) fn writing(self, writes: &'static [&'static str]) -> Self {
        Self { writes, ..self }
    }

    /// The same, where the table is rebuilt online.
    pub(crate) fn online(mut self) -> Self {
        self.change = self.change.online();
        self
    }

    /// Both once more.
    pub(crate) fn copy(&self) -> Self {
        self.as_after_a_crash()
    }

    /// Both as a power cut would leave them at this moment.
    pub(crate) fn as_after_a_crash(&self) -> Self {
        Self {
            file: self.file.as_after_a_crash(),
            untouched: self.untouched.copy(),
            change: self.change,
            writes: self.writes,
            written: self.written.clone(),
        }
    }

    /// Every application that may run now writes the next statements.
    pub(crate) fn write(&self) {
        for _ in 0..2 {
            for column in self.columns() {
                let n = self.written.get();
                let statement = self.writes[n % self.writes.len()].replace("{n}", &n.to_string());
                self.execute(column, &statement);
                self.written.set(n + 1);
            }
        }
    }

    /// A statement of an application that knows the column by that name.
    pub(crate) fn execute(&self, column: &str, statement: &str) {
        self.file.execute(&statement.replace("{name}", column));
        self.untouched
            .execute(&statement.replace("{name}", self.change.old));
    }

    /// The names under which applications that run now know the column.
    fn columns(&self) -> &'static [&'static str] {
        match self.state() {
            None | Some(State::Expanded | State::Migrating | State::Aborted) => &["name"],
            Some(State::Migrated | State::Contracting | State::Aborting) => &["name", "full_name"],
            Some(State::Held | State::Undoing | State::Contracted) => &["full_name"],
        }
    }

    /// What somebody does to the schema of both.
    pub(crate) fn alter(&self, sql: &str) {
        self.execute(self.change.old, sql);
    }

    /// How far the change has come.
    pub(crate) fn state(&self) -> Option<State> {
        let sql = "SELECT state FROM _changeover_changes ORDER BY id DESC LIMIT 1";
        let application = self.file.application();
        let state = application.query_row(sql, [], |row| row.get(0));
        state.ok()
    }

    /// Applies a phase.
    pub(crate) fn apply(&self, phase: Phase) -> Result<Entry> {
        self.observed(phase, &mut event::unobserved)
    }

    pub(crate) fn observed(&self, phase: Phase, observer: &mut Observer<'_>) -> Result<Entry> {
        self.change
            .observed(&self.file, phase, &mut |event: &Event| match event {
                // In the midst of a transaction nobody else can write.
                Event::StepDone { .. } => ControlFlow::Continue(()),
                event => observer(event),
            })
    }

    /// Applies the phase while applications write between any two commits.
    #[track_caller]
    pub(crate) fn apply_under_writes(&self, phase: Phase) {
        self.write();
        let outcome = self.observed(phase, &mut |_: &Event| {
            self.write();
            ControlFlow::Continue(())
        });
        if let Err(error) = outcome {
            panic!("{phase}: {error}");
        }
    }

    /// Goes on to the end from wherever the change stands, and compares with what SQLite itself makes of the twin.
    #[track_caller]
    pub(crate) fn finish(&self) {
        for phase in [Phase::Expand, Phase::MigrateData, Phase::Contract] {
            self.apply_under_writes(phase);
        }
        self.expect_contracted();
    }

    /// Aborts from wherever the change stands, and compares with the twin. Returns false for what is contracted, and
    /// stays so.
    #[track_caller]
    pub(crate) fn undo(&self) -> bool {
        self.write();
        let state = self.state();
        match (state, self.apply(Phase::Abort)) {
            (Some(State::Contracted), Err(Error::NoOpenChange(_))) => {
                // What was left of the old content goes now, if it has not gone yet.
                self.apply(Phase::Contract).unwrap();
                self.expect_contracted();
                return false;
            }
            (None, Err(Error::NoOpenChange(_))) | (Some(_), Ok(_)) => self.expect_aborted(),
            (_, outcome) => panic!("abort from {state:?}: {outcome:?}"),
        }
        true
    }

    /// The file is what SQLite's own rename makes of the twin.
    #[track_caller]
    pub(crate) fn expect_contracted(&self) {
        self.expect_sound();
        let differences = differences_from_sqlites(&self.untouched, &self.file, self.change);
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }

    /// The file is what the twin is, but for the ledger.
    #[track_caller]
    pub(crate) fn expect_aborted(&self) {
        self.expect_sound();
        let differences = differences_since(&Portrait::of(&self.untouched), &self.file);
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }

    #[track_caller]
    fn expect_sound(&self) {
        let application = self.file.application();
        for (check, sound) in [("integrity_check", Some("ok")), ("foreign_key_check", None)] {
            let mut statement = application.prepare(&format!("PRAGMA {check}")).unwrap();
            let mut rows = statement.query([]).unwrap();
            let first = rows
                .next()
                .unwrap()
                .map(|row| row.get::<_, String>(0).unwrap());
            assert_eq!(first.as_deref(), sound, "{check}");
        }
    }
}
