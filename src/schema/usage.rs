//! What views, triggers and virtual tables make of the tables: asked of SQLite by preparing them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::error::Result;
use crate::name::Name;

use super::stand_in::with_stand_ins;
use super::{Kind, Object, Schema, table};

/// What one object uses.
#[derive(Clone, Debug, Default)]
pub(super) struct Usage {
    /// Why SQLite cannot make sense of it, if so.
    pub(super) failure: Option<String>,
    /// The columns of a view.
    pub(super) columns: Vec<Name>,
    /// Every column that the object's own text reads, as table or view and column.
    pub(super) reads: BTreeSet<(Name, Name)>,
}

/// The usage of every view, trigger and virtual table.
pub(super) type Usages = BTreeMap<(Kind, Name), Usage>;

/// A column read while a statement was prepared, and the view or trigger that reads it.
type Read = (Option<Name>, (Name, Name));

/// Prepares everything. The authorizer of the connection tells who reads what.
pub(super) fn usages(connection: &mut Connection, schema: &Schema) -> Result<Usages> {
    let reads = Arc::new(Mutex::new(Vec::<Read>::new()));
    let log = Arc::clone(&reads);
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        if let AuthAction::Read {
            table_name,
            column_name,
        } = context.action
        {
            let read = (table_name.into(), column_name.into());
            log.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((context.accessor.map(Name::from), read));
        }
        Authorization::Allow
    }))?;
    let probe = Probe { connection, reads };
    let mut usages = Usages::new();
    let outcome = probe.all(schema, &mut usages);
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    outcome.map(|()| usages)
}

struct Probe<'a> {
    connection: &'a Connection,
    reads: Arc<Mutex<Vec<Read>>>,
}

impl Probe<'_> {
    fn all(&self, schema: &Schema, usages: &mut Usages) -> Result<()> {
        let mut triggers = BTreeMap::<&Name, Vec<&Object>>::new();
        for object in &schema.objects {
            match object.kind {
                Kind::View => drop(usages.insert(object.id(), self.view(&object.name)?)),
                Kind::Table if object.is_virtual() => {
                    usages.insert(object.id(), self.virtual_table(&object.name)?);
                }
                Kind::Trigger => triggers.entry(&object.table).or_default().push(object),
                Kind::Table | Kind::Index => {}
            }
        }
        for (table, triggers) in triggers {
            usages.extend(self.triggers(schema, table, &triggers)?);
        }
        Ok(())
    }

    fn view(&self, view: &Name) -> Result<Usage> {
        let mut usage = self.prepare(&[format!("SELECT * FROM {view}")], view)?;
        if usage.failure.is_none() {
            let columns = table::columns(self.connection, view)?;
            usage.columns = columns.into_iter().map(|column| column.name).collect();
        }
        Ok(usage)
    }

    /// A virtual table may look at other tables, which shows when it is read: of a replica that costs nothing.
    fn virtual_table(&self, name: &Name) -> Result<Usage> {
        let mut usage = self.prepare(&[format!("SELECT * FROM {name}")], name)?;
        if usage.failure.is_none() {
            usage.failure = self
                .connection
                .prepare(&format!("SELECT * FROM {name}"))
                .and_then(|mut statement| statement.query([])?.next().map(drop))
                .err()
                .map(|error| error.to_string());
        }
        Ok(usage)
    }

    /// Every trigger on one table or view. Where one of them fails, the statement that fires them says
    /// nothing of the others, so each is then tried alone.
    fn triggers(&self, schema: &Schema, table: &Name, triggers: &[&Object]) -> Result<Usages> {
        let statements = self.firing(table);
        let together: Vec<_> = triggers
            .iter()
            .map(|trigger| Ok((trigger.id(), self.prepare(&statements, &trigger.name)?)))
            .collect::<Result<_>>()?;
        if together.iter().all(|(_, usage)| usage.failure.is_none()) {
            return Ok(together.into_iter().collect());
        }
        let mut usages = Usages::new();
        for trigger in triggers {
            self.connection.execute_batch("SAVEPOINT alone")?;
            for other in &schema.objects {
                if other.kind == Kind::Trigger && other.name != trigger.name {
                    self.connection
                        .execute_batch(&format!("DROP TRIGGER {}", other.name))?;
                }
            }
            let usage = self.prepare(&statements, &trigger.name);
            self.connection
                .execute_batch("ROLLBACK TO alone; RELEASE alone")?;
            usages.insert(trigger.id(), usage?);
        }
        Ok(usages)
    }

    /// The statements that fire every trigger on the table.
    fn firing(&self, table: &Name) -> Vec<String> {
        let mut statements = vec![
            format!("INSERT INTO {table} DEFAULT VALUES"),
            format!("DELETE FROM {table}"),
        ];
        // The columns of a view that is broken cannot be had; its triggers then fail by the other two.
        let columns = table::columns(self.connection, table).unwrap_or_default();
        let sets: Vec<String> = columns
            .iter()
            .filter(|column| !column.generated)
            .map(|column| format!("{0} = {0}", column.name))
            .collect();
        if !sets.is_empty() {
            statements.push(format!("UPDATE {table} SET {}", sets.join(", ")));
        }
        statements
    }

    /// Prepares the statements and keeps what `reader` itself reads.
    fn prepare(&self, statements: &[String], reader: &Name) -> Result<Usage> {
        let mut usage = Usage::default();
        for sql in statements {
            let outcome = with_stand_ins(self.connection, |connection| {
                self.log().clear();
                connection.prepare(sql).map(drop)
            })?;
            match outcome.map_err(|error| message(&error)) {
                Ok(()) => {}
                // A view takes the statements that it has an INSTEAD OF trigger for, and no others.
                Err(text) if text.ends_with("because it is a view") => continue,
                Err(text) => usage.failure = Some(text),
            }
            let own = self.log();
            let own = own
                .iter()
                .filter(|(accessor, _)| accessor.as_ref() == Some(reader));
            usage.reads.extend(own.map(|(_, read)| read.clone()));
        }
        Ok(usage)
    }

    fn log(&self) -> std::sync::MutexGuard<'_, Vec<Read>> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What SQLite says, without the statement that we made up to make it speak.
fn message(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(text))
        | rusqlite::Error::SqlInputError { msg: text, .. } => text.clone(),
        other => other.to_string(),
    }
}
