//! A file, the application that works on it, and a change of its schema, in the words of the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use changeover::changeover::{Changeover, Options, Rebuilds, Runner};
use changeover::event::{self, Event, Observer};
use changeover::request::{Abort, AddIndex, Contract, Expand, MigrateData, Request, Term, Undo};
use changeover::{Phase, Result};

pub(crate) use changeover::Error;
pub(crate) use changeover::error::Code;
pub(crate) use changeover::ledger::Entry;
pub(crate) use changeover::name::Name;

/// What an application tells SQLite of before it works: its own functions and collations.
pub(crate) type Knowledge = fn(&Connection);

/// A SQLite file in a folder of its own, which goes when the test is done with it.
pub(crate) struct File {
    folder: TempDir,
    knowledge: Knowledge,
}

impl File {
    /// A file as an application makes it with the SQL.
    pub(crate) fn of(sql: &str) -> Self {
        Self::known_to(|_| {}, sql)
    }

    /// The same, where the application has functions or collations of its own.
    pub(crate) fn known_to(knowledge: Knowledge, sql: &str) -> Self {
        let file = Self {
            folder: folder(),
            knowledge,
        };
        let application = file.application();
        application
            .pragma_update(None, "foreign_keys", false)
            .unwrap();
        if let Err(error) = application.execute_batch(sql) {
            panic!("the test's own SQL fails: {error}\n{sql}");
        }
        file
    }

    /// A file of its own with the same content.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self {
            folder: folder(),
            knowledge: self.knowledge,
        };
        fs::copy(self.path(), copy.path()).unwrap();
        copy
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("file.db")
    }

    /// A file of its own with what a power cut would leave of this one, while processes have it open.
    pub(crate) fn as_after_a_crash(&self) -> Self {
        let copy = Self {
            folder: folder(),
            knowledge: self.knowledge,
        };
        // What processes share in memory is gone. The rest is copied from outside, since a process that closes a file
        // loses its own locks on it.
        let lasting = |path: &PathBuf| !path.to_string_lossy().ends_with("-shm");
        let mut command = Command::new("cp");
        command.arg(self.path());
        command.args(self.neighbours().into_iter().filter(lasting));
        let status = command.arg(copy.folder.path()).status().unwrap();
        assert!(status.success());
        copy
    }

    /// Every byte of the file, as it lies on the disk.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    /// The files beside it, such as a journal that was left.
    pub(crate) fn neighbours(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| *path != self.path()).collect()
    }

    /// A connection of the application's own.
    pub(crate) fn application(&self) -> Connection {
        let connection = Connection::open(self.path()).unwrap();
        // A test survives no power cut, so that its own files need not be flushed.
        connection
            .pragma_update(None, "synchronous", "OFF")
            .unwrap();
        (self.knowledge)(&connection);
        connection
    }

    /// Runs SQL as the application would.
    pub(crate) fn execute(&self, sql: &str) {
        if let Err(error) = self.application().execute_batch(sql) {
            panic!("the application fails: {error}\n{sql}");
        }
    }

    /// The text of an object in the schema.
    pub(crate) fn text(&self, name: &str) -> String {
        let sql = "SELECT sql FROM sqlite_schema WHERE name = ?1";
        let row = self.application().query_row(sql, [name], |row| row.get(0));
        row.unwrap()
    }
}

/// A folder of the test's own; in memory where there is such a place, since waiting for a disk tells nothing here.
fn folder() -> TempDir {
    TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap())
}

/// One column of a table giving way to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'a> {
    pub(crate) table: &'a str,
    pub(crate) old: &'a str,
    pub(crate) new: &'a str,
    /// Whether expand is told the old column.
    pub(crate) told: bool,
    /// Whether expand goes on where old applications would break.
    pub(crate) allow_breaking: bool,
    /// Rows in one transaction of the backfill.
    pub(crate) batch_rows: u32,
    /// Whether new applications write both columns.
    pub(crate) write_both: bool,
    /// How the table is rebuilt: online wherever that can be, where it says [`Rebuilds::Auto`].
    pub(crate) rebuilds: Rebuilds,
}

/// The change of column `old` of `table` into `new`, in batches so small that even few rows make several.
pub(crate) fn change<'a>(table: &'a str, old: &'a str, new: &'a str) -> Change<'a> {
    Change {
        table,
        old,
        new,
        told: true,
        allow_breaking: false,
        batch_rows: 2,
        write_both: false,
        rebuilds: Rebuilds::AtOnce,
    }
}

impl Change<'_> {
    /// The same, where only migrate data says which column is the old one.
    pub(crate) fn untold(self) -> Self {
        Self {
            told: false,
            ..self
        }
    }

    pub(crate) fn allowing_breaks(self) -> Self {
        Self {
            allow_breaking: true,
            ..self
        }
    }

    /// The same, where the table is rebuilt in many transactions rather than in one.
    pub(crate) fn online(self) -> Self {
        Self {
            rebuilds: Rebuilds::Online,
            ..self
        }
    }

    /// What is asked for in a phase.
    pub(crate) fn request(&self, phase: Phase) -> Request {
        let table = Name::from(self.table);
        match phase {
            Phase::Expand => Request::Expand(Expand {
                table,
                add_column: self.new.into(),
                column_type: None,
                from: self.told.then(|| self.old.into()),
                allow_breaking: self.allow_breaking,
            }),
            Phase::MigrateData => Request::MigrateData(MigrateData {
                from: self.old.into(),
                to: self.new.into(),
                table: Some(table),
                winner: None,
                up: None,
                down: None,
                write_both: self.write_both,
                expand: false,
            }),
            // The applications of the tests have just written.
            Phase::Hold => Request::Contract(Contract {
                quiet_for: Duration::ZERO,
                hold: Some(Duration::from_hours(1).try_into().unwrap()),
                ..Contract::of(table, self.old)
            }),
            Phase::AddIndex => Request::AddIndex(AddIndex {
                table,
                columns: vec![Term::Plain(self.old.into())],
                name: None,
                unique: false,
                condition: None,
            }),
            Phase::Contract => Request::Contract(Contract {
                quiet_for: Duration::ZERO,
                now: true,
                ..Contract::of(table, self.old)
            }),
            Phase::Undo => Request::Undo(Undo { table }),
            Phase::Abort => Request::Abort(Abort {
                table,
                winner: None,
            }),
        }
    }

    pub(crate) fn expand(&self, file: &File) -> Result<Entry> {
        self.apply(file, Phase::Expand)
    }

    /// Says that new applications write both columns where the table needs that.
    pub(crate) fn migrate_data(&self, file: &File) -> Result<Entry> {
        let writing_both = Self {
            write_both: true,
            ..*self
        };
        match self.apply(file, Phase::MigrateData) {
            Err(Error::NeedsBoth { .. }) => writing_both.apply(file, Phase::MigrateData),
            outcome => outcome,
        }
    }

    pub(crate) fn contract(&self, file: &File) -> Result<Entry> {
        self.apply(file, Phase::Contract)
    }

    pub(crate) fn abort(&self, file: &File) -> Result<Entry> {
        self.apply(file, Phase::Abort)
    }

    /// All three phases.
    pub(crate) fn run(&self, file: &File) -> Result<()> {
        self.expand(file)?;
        self.migrate_data(file)?;
        self.contract(file).map(drop)
    }

    pub(crate) fn apply(&self, file: &File, phase: Phase) -> Result<Entry> {
        self.observed(file, phase, &mut event::unobserved)
    }

    pub(crate) fn observed(
        &self,
        file: &File,
        phase: Phase,
        observer: &mut Observer<'_>,
    ) -> Result<Entry> {
        let mut changeover = open(&file.path(), self.batch_rows, self.rebuilds)?;
        changeover.apply(&self.request(phase), &mut |event| {
            // What goes wrong with an index that is built beside its table must not go unseen.
            assert!(!matches!(event, Event::IndexesAtOnce { .. }), "{event:?}");
            observer(event)
        })
    }
}

/// Takes the ledger out of the file.
pub(crate) fn forget(file: &File) -> Result<()> {
    open(&file.path(), 1, Rebuilds::Auto)?.forget()
}

/// What an expand warns of, by its plan.
pub(crate) fn warnings_of_expand(file: &File, change: Change<'_>) -> Vec<String> {
    let request = change.request(Phase::Expand);
    let plans = open(&file.path(), 1, Rebuilds::Auto)
        .unwrap()
        .plan(&request)
        .unwrap();
    plans.into_iter().flat_map(|plan| plan.warnings).collect()
}

fn open(path: &Path, batch_rows: u32, rebuilds: Rebuilds) -> Result<Changeover> {
    let options = Options {
        batch_rows,
        max_hold: Duration::ZERO,
        rebuilds,
        // Whoever was at work before is gone, as after a crash: no test here has two at work at a time.
        runner: Runner {
            name: "a test".to_owned(),
            is_gone: |_| true,
        },
        ..Options::default()
    };
    Changeover::open(path, options)
}
