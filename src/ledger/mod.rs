//! What changeover remembers in the file: its changes, how far they have come, and what was answered.
//!
//! This module alone names the `_changeover_*` tables. It reads them, and hands out the statements that
//! write them, for plans to carry.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use crate::database::{Database, Durability, ForeignKeys, Statement};
use crate::error::{Error, Result};
use crate::name::Name;
use crate::phase::{Phase, State};
use crate::plan::{Position, belongs_to};
use crate::schema::Object;

pub use deployments::{Deployment, deployments, note_deployment};
pub use holds::{Held, Rewritten, hold_left, rewritten};
pub use indexes::AddedIndex;
pub use instances::{heartbeat, instances, register, retire};
pub use records::{Migrating, begun_under, forget_cursor, move_cursor, note_old_write};
pub use runs::{Run, claim, last_old_write, new_token, pause, release, renew, resume, run};

mod deployments;
mod holds;
mod indexes;
mod instances;
mod records;
mod runs;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Where refinery keeps which migrations of the ledger itself have run.
const FORMAT: &str = "_changeover_ledger_format";

/// This moment in milliseconds since 1970, by SQLite's clock.
const NOW: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

/// The newest format that this program knows: the number of the last of its migrations. To ask refinery would
/// compile a regular expression for each.
const NEWEST: i64 = 7;

/// All tables of the ledger, those that refer to others first.
const TABLES: [&str; 9] = [
    "_changeover_texts",
    "_changeover_deployments",
    "_changeover_instances",
    "_changeover_runs",
    "_changeover_old_writes",
    "_changeover_cursor",
    "_changeover_history",
    "_changeover_changes",
    FORMAT,
];

/// A change: one old column giving way to one new one.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its number.
    pub id: i64,
    /// The table.
    pub table: Name,
    /// What the table was called when the change was last recorded, where that is something else.
    pub table_was: Option<Name>,
    /// The old column, once it is named.
    pub old: Option<Name>,
    /// The new column.
    pub new: Name,
    /// The type that the request asked for.
    pub asked_type: Option<String>,
    /// How far it has come.
    pub state: State,
    /// The text of the table before expand.
    pub text_before: String,
    /// The text of the table with the new column beside the old one.
    pub text_after: String,
    /// The text of the table while both columns are written; none before that.
    pub text_synced: Option<String>,
    /// The text of the table while the old column is held; none otherwise.
    pub text_held: Option<String>,
    /// How new values come from old ones and old from new, where they do not stay as they are.
    pub expressions: Option<Expressions>,
    /// Whether new applications have to write both columns.
    pub write_both: bool,
    /// The rows that the backfill gave a value.
    pub rows_migrated: i64,
    /// Why its contract went past the gate, where it was made to.
    pub forced: Option<String>,
}

/// SQL expressions, each over the other column.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expressions {
    /// The new value.
    pub up: String,
    /// The old value.
    pub down: String,
}

/// A phase that was applied, and what was answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Its number, counted from 1 over all changes of the file.
    pub version: i64,
    /// The change that it belongs to.
    pub change: i64,
    /// The phase.
    pub phase: Phase,
    /// The name of the migration: `add_full_name_column` …
    pub name: String,
    /// The table afterwards, in a line; none for a data migration.
    pub schema: Option<String>,
    /// Whether old applications go on as before; of expand alone.
    pub backward_compatible: Option<bool>,
    /// The rows that got a value; of a data migration alone.
    pub rows_migrated: Option<i64>,
    /// The index; of add index alone.
    pub index: Option<Object>,
    /// When, as UTC by the clock of SQLite.
    pub applied_at: String,
    /// Why it went past the gate, where it was made to; of a contract alone.
    pub forced: Option<String>,
}

/// Everything that the ledger of a file holds.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// The changes, the oldest first.
    pub changes: Vec<Change>,
    /// The indexes that tables were given, the oldest first; they are numbered with the changes.
    pub indexes: Vec<AddedIndex>,
    /// The phases that were applied, the oldest first.
    pub history: Vec<Entry>,
}

impl Ledger {
    /// Reads the ledger; an empty one where the file has none. Creates nothing.
    ///
    /// Fails with [`Error::LedgerTooNew`] where a later changeover wrote it.
    pub fn read(connection: &Connection) -> Result<Self> {
        let (found, known) = (format(connection)?.unwrap_or(0), NEWEST);
        if found == 0 {
            return Ok(Self::default());
        }
        if found > known {
            return Err(Error::LedgerTooNew { found, known });
        }
        let indexes = indexes::read(connection, found)?;
        Ok(Self {
            changes: read_changes(connection, found)?,
            history: read_history(connection, found, &indexes)?,
            indexes,
        })
    }

    /// Makes the ledger's tables, or brings older ones up to date. Returns whether there was anything to do.
    pub fn prepare(database: &mut Database) -> Result<bool> {
        if format(database.connection())? == Some(NEWEST) {
            return Ok(false);
        }
        let outcome = embedded::migrations::runner()
            // In one transaction with their record, or a process that is killed leaves tables of no format.
            .set_grouped(true)
            .set_migration_table_name(FORMAT)
            .run(database.connection_mut());
        match outcome {
            Ok(_) => Ok(true),
            // Another process was at it too, and was first.
            Err(_) if format(database.connection())? == Some(NEWEST) => Ok(false),
            Err(error) => Err(ledger_error(&error)),
        }
    }

    /// The statements that take the ledger out of the file. Fails with [`Error::ForgetOpen`] where a change is
    /// still open, and with [`Error::NoLedger`] where there is nothing to take out.
    pub fn forget(&self, connection: &Connection) -> Result<Vec<Statement>> {
        if format(connection)?.is_none() {
            return Err(Error::NoLedger);
        }
        if let Some((_, table)) = self.open().first() {
            return Err(Error::ForgetOpen((*table).clone()));
        }
        Ok(TABLES
            .map(|table| Statement::new(format!("DROP TABLE {table}")))
            .into())
    }

    /// The version of the latest phase; 0 where none was applied.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.history.last().map_or(0, |entry| entry.version)
    }

    /// The numbers and the tables of all changes that are open, and of all indexes that are being built.
    #[must_use]
    pub fn open(&self) -> Vec<(i64, &Name)> {
        let changes = self.changes.iter().filter(|it| it.state.is_open());
        let indexes = self.indexes.iter().filter(|it| it.state.is_open());
        let changes = changes.map(|it| (it.id, &it.table));
        changes
            .chain(indexes.map(|it| (it.id, &it.index.table)))
            .collect()
    }

    /// The open change of the table.
    #[must_use]
    pub fn open_on(&self, table: &Name) -> Option<&Change> {
        let mut changes = self.changes.iter();
        changes.find(|change| change.table == *table && change.state.is_open())
    }

    /// The latest change of the table that has to do with the column, as its old or its new one.
    #[must_use]
    pub fn latest_on(&self, table: &Name, column: &Name) -> Option<&Change> {
        self.changes.iter().rev().find(|change| {
            change.table == *table && (change.new == *column || change.old.as_ref() == Some(column))
        })
    }

    /// The latest record of a phase of the change of that number: what was undone may be done again.
    #[must_use]
    pub fn entry(&self, change: i64, phase: Phase) -> Option<&Entry> {
        let mut entries = self.history.iter().rev();
        entries.find(|entry| entry.change == change && entry.phase == phase)
    }

    /// The number that the next change gets.
    #[must_use]
    pub fn next_change(&self) -> i64 {
        let changes = self.changes.last().map_or(0, |it| it.id);
        let indexes = self.indexes.last().map_or(0, |it| it.id);
        changes.max(indexes) + 1
    }

    /// The ledger as it will be when the change has gone through the phase: for a plan of what comes behind.
    #[must_use]
    pub fn foresee(&self, change: &Change, phase: Phase) -> Self {
        let mut later = self.clone();
        later.changes.push(change.clone());
        later.history.push(Entry {
            version: self.version() + 1,
            change: change.id,
            phase,
            name: String::new(),
            schema: None,
            backward_compatible: None,
            rows_migrated: None,
            index: None,
            applied_at: String::new(),
            forced: None,
        });
        later
    }
}

/// What bears a name like changeover's own in the file, and is nothing that it knows of.
pub fn strangers(connection: &Connection, ledger: &Ledger) -> Result<Vec<Name>> {
    let mut statement = connection.prepare("SELECT name, tbl_name FROM main.sqlite_schema")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, Name>(0)?, row.get::<_, Name>(1)?))
    })?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let open = ledger.open();
    let known = |name: &Name, table: &Name| {
        let mut open = open.iter();
        TABLES.contains(&table.as_str()) || open.any(|(change, _)| belongs_to(*change, name))
    };
    let strange = rows
        .into_iter()
        .filter(|(name, table)| name.is_ours() && !known(name, table));
    Ok(strange.map(|(name, _)| name).collect())
}

/// All names like changeover's own in the file.
pub fn names(connection: &Connection) -> Result<Vec<Name>> {
    let mut statement = connection.prepare_cached("SELECT name FROM main.sqlite_schema")?;
    let names = statement.query_map([], |row| row.get::<_, Name>(0))?;
    let mut names = names.collect::<rusqlite::Result<Vec<_>>>()?;
    names.retain(Name::is_ours);
    Ok(names)
}

/// The version of the latest phase, where there is a ledger; 0 where none was applied.
pub fn version(connection: &Connection) -> Result<i64> {
    let mut statement =
        connection.prepare_cached("SELECT coalesce(max(version), 0) FROM _changeover_history")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// How long ago the phase of that version was applied.
pub fn since(connection: &Connection, version: i64) -> Result<Duration> {
    let mut statement = connection.prepare_cached(
        "SELECT unixepoch('subsec') - unixepoch(applied_at, 'subsec') FROM _changeover_history WHERE version = ?1",
    )?;
    let seconds: Option<f64> = statement.query_row([version], |row| row.get(0))?;
    Ok(Duration::try_from_secs_f64(seconds.unwrap_or_default()).unwrap_or_default())
}

/// The key up to which the backfill of the change is done.
pub fn cursor(connection: &Connection, change: i64) -> Result<Option<Position>> {
    let mut statement = connection.prepare_cached(
        "SELECT value FROM _changeover_cursor WHERE change_id = ?1 ORDER BY position",
    )?;
    let position = statement.query_map([change], |row| row.get(0))?;
    let position = position.collect::<rusqlite::Result<Position>>()?;
    Ok((!position.is_empty()).then_some(position))
}

/// SQLite's number of the schema under which the table of the change is rebuilt.
pub fn rebuilt_under(connection: &Connection, change: i64) -> Result<Option<i64>> {
    let mut statement =
        connection.prepare_cached("SELECT rebuilt_under FROM _changeover_changes WHERE id = ?1")?;
    Ok(statement
        .query_row([change], |row| row.get(0))
        .optional()?
        .flatten())
}

/// Forgets the cursor of the change, so that its backfill walks from the first row on.
pub fn begin_anew(database: &Database, change: i64) -> Result<()> {
    let forget = forget_cursor(change).statement;
    database.write(ForeignKeys::Off, Durability::Later, |connection| {
        forget.run(connection).map(drop)
    })
}

/// The format of the ledger in the file, if there is one; 0 while another process is about to make it.
fn format(connection: &Connection) -> Result<Option<i64>> {
    if !connection
        .prepare_cached("SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?1")?
        .exists([FORMAT])?
    {
        return Ok(None);
    }
    Ok(connection.query_row(
        &format!("SELECT coalesce(max(version), 0) FROM {FORMAT}"),
        [],
        |row| row.get(0),
    )?)
}

fn ledger_error(error: &refinery::Error) -> Error {
    let text = error.to_string();
    match std::error::Error::source(error).and_then(|it| it.downcast_ref::<rusqlite::Error>()) {
        Some(rusqlite::Error::SqliteFailure(code, message)) => {
            rusqlite::Error::SqliteFailure(*code, message.clone()).into()
        }
        _ => Error::Ledger(text),
    }
}

fn read_changes(connection: &Connection, format: i64) -> Result<Vec<Change>> {
    // A ledger of an older format is read as it is, and brought up to date by the first phase that is applied.
    let of_sync = if format < 2 {
        "NULL, NULL, NULL, 0"
    } else {
        "text_synced, up, down, write_both"
    };
    let forced = if format < 4 { "NULL" } else { "forced" };
    let columns_alone = if format < indexes::FORMAT {
        ""
    } else {
        "WHERE index_name IS NULL"
    };
    let text_held = if format < 7 { "NULL" } else { "text_held" };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id, table_name, old_column, new_column, asked_type, state, text_before, text_after, rows_migrated, \
         {of_sync}, {forced}, {text_held} FROM _changeover_changes {columns_alone} ORDER BY id"
    ))?;
    let changes = statement.query_map([], |row| {
        let (up, down): (Option<String>, Option<String>) = (row.get(10)?, row.get(11)?);
        Ok(Change {
            id: row.get(0)?,
            table: row.get(1)?,
            table_was: None,
            old: row.get(2)?,
            new: row.get(3)?,
            asked_type: row.get(4)?,
            state: row.get(5)?,
            text_before: row.get(6)?,
            text_after: row.get(7)?,
            rows_migrated: row.get(8)?,
            text_synced: row.get(9)?,
            expressions: up.zip(down).map(|(up, down)| Expressions { up, down }),
            write_both: row.get(12)?,
            forced: row.get(13)?,
            text_held: row.get(14)?,
        })
    })?;
    Ok(changes.collect::<rusqlite::Result<_>>()?)
}

fn read_history(
    connection: &Connection,
    format: i64,
    indexes: &[AddedIndex],
) -> Result<Vec<Entry>> {
    let forced = if format < 4 {
        "NULL"
    } else {
        "(SELECT forced FROM _changeover_changes WHERE id = change_id AND phase IN ('hold', 'contract'))"
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT version, change_id, phase, name, table_schema, backward_compatible, rows_migrated, applied_at, {forced} \
         FROM _changeover_history ORDER BY version",
    ))?;
    let index = |change, phase| {
        let mut indexes = indexes.iter();
        let index = indexes.find(|it| it.id == change && phase == Phase::AddIndex);
        index.map(|it| it.index.clone())
    };
    let entries = statement.query_map([], |row| {
        let (change, phase) = (row.get(1)?, row.get(2)?);
        Ok(Entry {
            version: row.get(0)?,
            change,
            phase,
            index: index(change, phase),
            name: row.get(3)?,
            schema: row.get(4)?,
            backward_compatible: row.get(5)?,
            rows_migrated: row.get(6)?,
            applied_at: row.get(7)?,
            forced: row.get(8)?,
        })
    })?;
    Ok(entries.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_format_is_that_of_the_last_migration() {
        let runner = embedded::migrations::runner();
        let versions = runner
            .get_migrations()
            .iter()
            .map(refinery::Migration::version);
        assert_eq!(versions.max().map(i64::from), Some(NEWEST));
    }
}
