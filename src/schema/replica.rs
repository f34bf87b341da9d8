//! An empty copy of a schema in memory, on which SQLite itself tries out what a change does.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::database::Statement;
use crate::error::{Error, Result};
use crate::name::Name;

use super::index::Stored;
use super::stand_in::with_stand_ins;
use super::usage::{self, Usage, Usages, usages};
use super::{Column, Key, Kind, Object, Schema, Table};

/// A schema without rows.
pub(super) struct Replica {
    connection: Connection,
    /// What its views, triggers and virtual tables compile to. Compiling them is also what tells SQLite of
    /// the application's functions, without which it would pass over the texts that call them.
    pub(super) usages: Usages,
}

/// What came of the INSERT of a row.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// It is in the table.
    Inserted,
    /// It is not, and that is no error.
    Ignored,
    /// This is why not.
    Refused(String),
}

impl Outcome {
    /// What stands against it that the same comes of it; nothing where it was refused before.
    pub(super) fn turned_into(&self, then: &Self) -> Option<String> {
        match (self, then) {
            (Self::Refused(_), _)
            | (Self::Inserted, Self::Inserted)
            | (Self::Ignored, Self::Ignored) => None,
            (_, Self::Refused(reason)) => Some(reason.clone()),
            (_, Self::Ignored) => Some("it would be passed over without a word".to_owned()),
            (_, Self::Inserted) => Some("it would no longer be passed over".to_owned()),
        }
    }
}

impl Replica {
    /// Builds the replica. A view or trigger that SQLite cannot make sense of is in it all the same.
    pub(super) fn of(schema: &Schema) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_in_memory_with_flags(flags)?;
        connection.pragma_update(None, "foreign_keys", false)?;
        // Old texts may have strings in double quotes.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, true)?;
        build(&connection, schema)?;
        // From here on a broken object does not stop an ALTER of another.
        connection.pragma_update(None, "writable_schema", true)?;
        let usages = usages(&connection, schema)?;
        Ok(Self { connection, usages })
    }

    /// What SQLite makes of the table itself.
    pub(super) fn table_usage(&self, table: &Name) -> Result<Usage> {
        usage::of_table(&self.connection, table)
    }

    /// Runs one `ALTER TABLE`.
    pub(super) fn alter(&self, table: &Name, action: &str) -> Result<()> {
        Ok(self
            .connection
            .execute(&format!("ALTER TABLE {table} {action}"), [])
            .map(drop)?)
    }

    /// Runs one `ALTER TABLE`, and fails where it would leave a text that SQLite cannot make sense of.
    pub(super) fn alter_soundly(&self, table: &Name, action: &str) -> Result<()> {
        self.connection
            .pragma_update(None, "writable_schema", false)?;
        let outcome = self.alter(table, action);
        self.connection
            .pragma_update(None, "writable_schema", true)?;
        outcome
    }

    /// Renames a column, everywhere that SQLite finds it.
    pub(super) fn rename_column(&self, table: &Name, old: &Name, new: &Name) -> Result<()> {
        let new = new.as_written();
        self.alter(table, &format!("RENAME COLUMN {old} TO {new}"))
    }

    /// The schema as the replica has it now, in an order of its own.
    pub(super) fn schema(&self) -> Result<Schema> {
        Schema::read(&self.connection)
    }

    /// The schema that the replica was made from, with the texts that it has now.
    pub(super) fn texts_of(&self, schema: &Schema) -> Result<Schema> {
        let now = self.schema()?;
        let mut schema = schema.clone();
        for object in &mut schema.objects {
            if let Some(twin) = now.find(object.kind, &object.name) {
                object.sql.clone_from(&twin.sql);
            }
        }
        Ok(schema)
    }

    /// The text of one object as the replica has it now. A name of changeover's own serves too.
    pub(super) fn text(&self, kind: Kind, name: &Name) -> Result<String> {
        Ok(self.connection.query_row(
            "SELECT sql FROM sqlite_schema WHERE type = ?1 AND lower(name) = lower(?2)",
            (kind.as_str(), name),
            |row| row.get(0),
        )?)
    }

    /// The table as the replica has it now.
    pub(super) fn table(&self, table: &Name) -> Result<Table> {
        Table::read(&self.connection, table)
    }

    /// The columns of a table or a view, whoever made it.
    pub(super) fn columns(&self, table: &Name) -> Result<Vec<Column>> {
        super::table::columns(&self.connection, table)
    }

    /// All that an index of the table stores of a row, whoever made it.
    pub(super) fn stored_in(&self, table: &Name, index: &Name) -> Result<Vec<Stored>> {
        let rowid = match self.table(table)?.key {
            Key::Rowid { name, .. } => Some(name),
            Key::Columns(_) | Key::None => None,
        };
        super::index::stored_in(&self.connection, index, rowid.as_ref())
    }

    /// Whether an index is a unique one, whoever made it.
    pub(super) fn is_unique(&self, index: &Name) -> Result<bool> {
        super::index::is_unique(&self.connection, index)
    }

    /// Whether a constraint of the column says ON CONFLICT.
    pub(super) fn says_on_conflict(&self, table: &Name, column: &Name) -> Result<bool> {
        usage::says_on_conflict(&self.connection, table, column)
    }

    /// Runs a statement that no ALTER is.
    pub(super) fn execute(&self, sql: &str) -> Result<()> {
        Ok(self.connection.execute_batch(sql)?)
    }

    /// The same, where a word in double quotes is a name and nothing else.
    pub(super) fn execute_strictly(&self, sql: &str) -> Result<()> {
        let quotes = |are_strings| {
            let option = DbConfig::SQLITE_DBCONFIG_DQS_DDL;
            self.connection.set_db_config(option, are_strings)
        };
        quotes(false)?;
        let outcome = self.execute(sql);
        quotes(true)?;
        outcome
    }

    /// Runs the INSERT of a row and takes it back.
    pub(super) fn try_out(&self, insert: &Statement) -> Result<Outcome> {
        let run = |sql: &str| self.connection.prepare_cached(sql)?.execute([]);
        run("SAVEPOINT trial")?;
        let outcome = with_stand_ins(&self.connection, |connection| {
            let params = rusqlite::params_from_iter(&insert.params);
            connection.prepare_cached(&insert.sql)?.execute(params)
        })?;
        // A ROLLBACK of the application's own may have ended it.
        if !self.connection.is_autocommit() {
            run("ROLLBACK TO trial")?;
            run("RELEASE trial")?;
        }
        Ok(match outcome {
            Ok(0) => Outcome::Ignored,
            Ok(_) => Outcome::Inserted,
            Err(error) => Outcome::Refused(error.to_string()),
        })
    }

    /// The collation of the column, where it is not BINARY.
    pub(super) fn collation(&self, table: &Name, column: &Name) -> Result<Option<Name>> {
        let (_, collation, ..) =
            self.connection
                .column_metadata(Some("main"), table.as_str(), column.as_str())?;
        let collation = collation.map(|it| Name::new(it.to_string_lossy()));
        Ok(collation.filter(|it| *it != Name::from("BINARY")))
    }

    /// The columns that the view would have with the text.
    pub(super) fn view_columns(&self, view: &Name, sql: &str) -> Result<Vec<Name>> {
        self.connection
            .execute_batch(&format!("SAVEPOINT trial; DROP VIEW {view}; {sql}"))?;
        let columns = super::table::columns(&self.connection, view);
        self.connection
            .execute_batch("ROLLBACK TO trial; RELEASE trial")?;
        Ok(columns?.into_iter().map(|column| column.name).collect())
    }
}

fn build(connection: &Connection, schema: &Schema) -> Result<()> {
    let texts = |wanted: fn(&Object) -> bool| {
        schema
            .objects
            .iter()
            .filter(move |object| !object.name.is_sqlites() && wanted(object))
            .filter_map(|object| Some((object, object.sql.as_deref()?)))
    };
    // A module makes its own tables, so that the schema's rows for these come too late.
    for (object, sql) in texts(|object| object.kind == Kind::Table && object.is_virtual()) {
        if connection.execute_batch(sql).is_err() {
            insert_unloaded(connection, object)?;
        }
    }
    let has_modules = schema.objects.iter().any(Object::is_virtual);
    for (object, sql) in texts(|object| object.kind == Kind::Table && !object.is_virtual()) {
        if !(has_modules && exists(connection, &object.name)?) {
            create(connection, object, sql)?;
        }
    }
    let analyzed = Name::from("sqlite_stat1");
    if schema.find(Kind::Table, &analyzed).is_some() {
        connection.execute_batch("ANALYZE")?;
    }
    for (object, sql) in texts(|object| object.kind == Kind::Index) {
        if !(has_modules && exists(connection, &object.name)?) {
            create(connection, object, sql)?;
        }
    }
    for (object, sql) in texts(|object| object.kind == Kind::View) {
        create(connection, object, sql)?;
    }
    for (object, sql) in texts(|object| object.kind == Kind::Trigger) {
        create(connection, object, sql)?;
    }
    Ok(())
}

fn create(connection: &Connection, object: &Object, sql: &str) -> Result<()> {
    with_stand_ins(connection, |connection| connection.execute_batch(sql))?.map_err(|error| {
        Error::NotSupported(format!("{} cannot be rehearsed: {error}", object.spoken()))
    })
}

/// A virtual table whose module is not loaded stands in the schema, and fails whoever uses it, as in the file.
fn insert_unloaded(connection: &Connection, object: &Object) -> Result<()> {
    connection.pragma_update(None, "writable_schema", true)?;
    connection.execute(
        "INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES ('table', ?1, ?1, 0, ?2)",
        (&object.name, &object.sql),
    )?;
    connection.execute_batch("PRAGMA writable_schema = RESET")?;
    Ok(())
}

fn exists(connection: &Connection, name: &Name) -> Result<bool> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM sqlite_schema WHERE lower(name) = lower(?1)")?
        .exists([name])?)
}
