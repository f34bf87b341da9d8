//! The engine: asks the schema and the ledger, makes plans, and runs them.

mod abort;
mod add_index;
mod backlog;
mod contract;
mod cost;
mod cutover;
mod deployments;
mod execution;
mod expand;
mod gate;
mod hold;
mod indexes;
mod instances;
mod lease;
mod migrate_data;
mod outcome;
mod pause;
mod rebuild;
mod reply;
mod room;
mod rows;
mod run;
mod standing;
mod status;
mod step;
mod undo;
mod verify;
mod verify_index;
mod who;

use std::path;
use std::time::Duration;

use rusqlite::Connection;

use crate::database::{Database, Durability, ForeignKeys, Interrupter};
use crate::error::{Error, Result};
use crate::event::{Observer, unobserved};
use crate::ledger::{self, Change, Entry, Expressions, Ledger};
use crate::name::Name;
use crate::phase::Phase;
use crate::plan::{Agreement, Mapping, Path, Plan};
use crate::request::{Contract, Request};
use crate::schema::{NewApps, Pair, Schema, Table, default_of};

use standing::{follow_indexes, follow_tables};

pub use rebuild::Rebuilds;
pub use reply::Reply;
pub use status::{ChangeStatus, IndexStatus, Status};
pub use verify::{Repaired, Verified};
pub use verify_index::VerifiedIndex;
pub use who::{Judged, Who};

/// How the engine goes about its work.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long to wait for a lock.
    pub busy_timeout: Duration,
    /// Rows in one transaction of the backfill at most; fewer where they would hold the lock for long.
    pub batch_rows: u32,
    /// How long a rebuild in one transaction may hold the write lock.
    pub max_hold: Duration,
    /// Whether tables are rebuilt in one transaction or in many.
    pub rebuilds: Rebuilds,
    /// The process that does the work.
    pub runner: Runner,
}

/// A process that works on changes, and what it knows of others.
#[derive(Clone, Debug)]
pub struct Runner {
    /// What tells it from all others, to people too: a host and a process, for instance.
    pub name: String,
    /// Whether the process of that name is known not to live any more.
    pub is_gone: fn(&str) -> bool,
}

impl Default for Runner {
    fn default() -> Self {
        Self {
            name: "a program without a name".to_owned(),
            is_gone: |_| false,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(5),
            batch_rows: 10_000,
            max_hold: Duration::from_millis(50),
            rebuilds: Rebuilds::default(),
            runner: Runner::default(),
        }
    }
}

/// A SQLite file and the changes on it.
pub struct Changeover {
    database: Database,
    options: Options,
    /// What tells our runs from those of others.
    token: String,
}

/// What a request comes to, judged in one snapshot of the file.
enum Asked {
    /// It is done already; this was the answer.
    Answered(Box<Entry>),
    /// It is to be done.
    Planned(Box<Planned>),
}

/// A plan, and the state of the file that it was made for.
struct Planned {
    plan: Plan,
    schema: Schema,
    version: i64,
    change: i64,
    /// Whether other work on the change is not waited for, which this puts an end to.
    supersedes: bool,
    /// The contract that has to pass the gate first, if it is one.
    gate: Option<Contract>,
}

impl Changeover {
    /// Opens an existing file. Nothing is created in it before a phase is applied.
    pub fn open(path: &path::Path, options: Options) -> Result<Self> {
        let database = Database::open(path, options.busy_timeout)?;
        Ok(Self {
            token: ledger::new_token(database.connection())?,
            database,
            options,
        })
    }

    /// Applies a phase and returns its record; one that is applied already returns the record of then.
    ///
    /// Everything that can be refused is refused before the file is touched. After any error the file is as it
    /// was, or in a data migration as the last batch left it: the same request goes on from there.
    pub fn apply(&mut self, request: &Request, observer: &mut Observer<'_>) -> Result<Entry> {
        if let Request::MigrateData(asked) = request
            // What refuses the data migration refuses both.
            && let Some((first, _)) = self.snapshot(|view| view.with_expand(asked))?
        {
            self.apply(&Request::Expand(first), observer)?;
        }
        if matches!(request, Request::Expand(_)) {
            self.clean(observer)?;
        }
        let settled = self.settle(|view| view.ask(request), observer);
        if let (Err(error), Request::AddIndex(asked)) = (&settled, request) {
            // Why there will be no index is what is told.
            let _ = self.call_off(error, asked);
        }
        let entry = settled?;
        if !matches!(request, Request::Expand(_) | Request::MigrateData(_)) {
            self.clean(observer)?;
        }
        Ok(entry)
    }

    /// What can interrupt the work from another thread: a long transaction is rolled back at once, where an observer
    /// could only stop it behind its next step.
    #[must_use]
    pub fn interrupter(&self) -> Interrupter {
        self.database.interrupter()
    }

    /// What a request would do, phase by phase. Nothing is changed, not even a ledger made.
    pub fn plan(&self, request: &Request) -> Result<Vec<Plan>> {
        self.snapshot(|view| view.plans(request))
    }

    /// How far the changes of the file have come.
    pub fn status(&self) -> Result<Status> {
        self.snapshot(|view| view.status(&self.options.runner))
    }

    /// The phases that were applied, the oldest first.
    pub fn history(&self) -> Result<Vec<Entry>> {
        self.snapshot(|view| Ok(view.ledger.history.clone()))
    }

    /// Takes the ledger out of a file that has no open change.
    pub fn forget(&mut self) -> Result<()> {
        self.clean(&mut unobserved)?;
        self.database
            .write(ForeignKeys::Off, Durability::AtOnce, |connection| {
                for statement in Ledger::read(connection)?.forget(connection)? {
                    statement.run(connection)?;
                }
                Ok(())
            })
    }

    fn snapshot<T>(&self, judge: impl FnOnce(&View<'_>) -> Result<T>) -> Result<T> {
        self.database.snapshot(|connection| {
            let (schema, mut ledger) = (Schema::read(connection)?, Ledger::read(connection)?);
            follow_tables(&mut ledger, &schema)?;
            follow_indexes(&mut ledger, &schema);
            judge(&View {
                connection,
                options: &self.options,
                schema,
                ledger,
            })
        })
    }
}

/// The file as one snapshot shows it.
struct View<'a> {
    connection: &'a Connection,
    options: &'a Options,
    schema: Schema,
    ledger: Ledger,
}

impl View<'_> {
    fn ask(&self, request: &Request) -> Result<Asked> {
        match request {
            Request::Expand(asked) => self.expand(asked),
            Request::MigrateData(asked) => self.migrate_data(asked),
            Request::Contract(asked) => self.contract(asked),
            Request::AddIndex(asked) => self.add_index(asked),
            Request::Undo(asked) => self.undo(asked),
            Request::Abort(asked) => self.abort(asked),
        }
    }

    fn plans(&self, request: &Request) -> Result<Vec<Plan>> {
        if let Request::MigrateData(asked) = request
            && let Some((_, plans)) = self.with_expand(asked)?
        {
            return Ok(plans);
        }
        Ok(match self.ask(request)? {
            Asked::Planned(planned) => vec![self.with_verdict(*planned)?],
            Asked::Answered(entry) => vec![Plan {
                phase: Some(entry.phase),
                table: self.table_of(&entry),
                warnings: vec![format!(
                    "applied already, as version {}: there is nothing to do",
                    entry.version
                )],
                stages: Vec::new(),
            }],
        })
    }

    fn planned(&self, plan: Plan, change: i64) -> Asked {
        Asked::Planned(Box::new(self.made_for(plan, change)))
    }

    fn made_for(&self, plan: Plan, change: i64) -> Planned {
        Planned {
            plan,
            schema: self.schema.clone(),
            version: self.ledger.version(),
            change,
            supersedes: false,
            gate: None,
        }
    }

    fn answered(&self, change: i64, phase: Phase) -> Result<Asked> {
        let entry = self.ledger.entry(change, phase).cloned();
        entry
            .map(|entry| Asked::Answered(Box::new(entry)))
            .ok_or_else(|| Error::Ledger(format!("change {change} has no record of its {phase}")))
    }

    /// Fails where something in the file bears a name like changeover's own that it knows nothing of.
    fn expect_no_strangers(&self) -> Result<()> {
        match ledger::strangers(self.connection, &self.ledger)?.first() {
            None => Ok(()),
            Some(stranger) => Err(Error::NotSupported(format!(
                "`{}` is in the file and bears a name that begins like changeover's own",
                stranger.as_str()
            ))),
        }
    }

    /// Fails where the table is being given an index.
    fn expect_no_open_index(&self, table: &Name) -> Result<()> {
        match self.ledger.open_index_on(table) {
            None => Ok(()),
            Some(open) => Err(Error::IndexOpen {
                table: table.clone(),
                index: open.index.name.clone(),
            }),
        }
    }

    fn table(&self, name: &Name) -> Result<Table> {
        Table::read(self.connection, name).map_err(|error| match error {
            Error::NoSuchTable { table, nearest } => Error::NoSuchTable {
                nearest: self.name_now(&table).cloned().or(nearest),
                table,
            },
            other => other,
        })
    }

    /// What the table of an open change, or of an index that is being built, is called now, where that is something else than
    /// when it was begun.
    fn name_now(&self, table: &Name) -> Option<&Name> {
        let open = self.ledger.changes.iter().filter(|it| it.state.is_open());
        let open = open.map(|it| (&it.table, it.table_was.as_ref()));
        let indexes = self.ledger.indexes.iter();
        let indexes = indexes.filter(|it| it.state.is_open());
        let indexes = indexes.map(|it| (&it.index.table, it.table_was.as_ref()));
        let mut known = open.chain(indexes);
        let (now, _) = known.find(|(_, was)| *was == Some(table))?;
        Some(now)
    }

    fn table_text(&self, table: &Name) -> Result<&str> {
        self.schema
            .table_text(table)
            .ok_or_else(|| Error::NoSuchTable {
                table: table.clone(),
                nearest: None,
            })
    }

    /// Whether the table still shows what the change made of it.
    fn shows(&self, change: &Change) -> bool {
        use crate::phase::State;
        let Ok(table) = self.table(&change.table) else {
            return false;
        };
        let has_new = table.column(&change.new).is_some();
        let has_old = change
            .old
            .as_ref()
            .is_some_and(|old| table.column(old).is_some());
        match change.state {
            State::Contracted => has_new && !has_old,
            State::Aborted => !has_new,
            State::Expanded
            | State::Migrating
            | State::Migrated
            | State::Contracting
            | State::Held
            | State::Undoing
            | State::Aborting => has_new && (has_old || change.old.is_none()),
        }
    }

    /// When the rows of a change agree that has both columns in the file.
    fn agreement(&self, change: &Change, table: &Table, old: &Name) -> Result<Agreement> {
        let pair = Pair {
            table: table.name.clone(),
            old: table.expect_column(old)?.name.clone(),
            new: change.new.clone(),
        };
        let default = default_of(&self.schema, &table.name, &change.new)?;
        let mapping = mapping(table, &pair, change.expressions.as_ref())?;
        Ok(agreement(table, &pair, mapping, default))
    }

    fn table_of(&self, entry: &Entry) -> Name {
        let changes = self.ledger.changes.iter().map(|it| (it.id, &it.table));
        let indexes = self.ledger.indexes.iter();
        let mut tables = changes.chain(indexes.map(|it| (it.id, &it.index.table)));
        let table = tables.find(|(id, _)| *id == entry.change);
        table.map_or_else(|| Name::from(""), |(_, table)| table.clone())
    }
}

/// The agreement that the columns of a change come to.
fn agreement(table: &Table, pair: &Pair, mapping: Mapping, default: Option<String>) -> Agreement {
    Agreement {
        pair: pair.clone(),
        path: Path {
            table: table.name.clone(),
            key: table.key.clone(),
        },
        mapping,
        default,
    }
}

/// How values go from the one column of the table to the other.
fn mapping(table: &Table, pair: &Pair, expressions: Option<&Expressions>) -> Result<Mapping> {
    if let Some(Expressions { up, down }) = expressions.cloned() {
        return Ok(Mapping::Expressions { up, down });
    }
    let declared = |name| Ok::<_, Error>(&table.expect_column(name)?.declared_type);
    Ok(if same_type(declared(&pair.old)?, declared(&pair.new)?) {
        Mapping::Same
    } else {
        Mapping::Converted
    })
}

/// What new applications write while both columns are there.
fn new_apps(write_both: bool) -> NewApps {
    if write_both {
        NewApps::WriteBoth
    } else {
        NewApps::WriteNew
    }
}

/// Whether two declared types are one.
fn same_type(one: &str, other: &str) -> bool {
    let squeezed = |text: &str| {
        text.split_whitespace()
            .collect::<String>()
            .to_ascii_lowercase()
    };
    squeezed(one) == squeezed(other)
}

/// Whether the new column is another column rather than the old one under a new name.
fn replaces(change: &Change, table: &Table, old: &Name) -> Result<bool> {
    let old = table.expect_column(old)?;
    let asked = change.asked_type.as_deref();
    Ok(change.expressions.is_some()
        || asked.is_some_and(|asked| !same_type(asked, &old.declared_type)))
}
