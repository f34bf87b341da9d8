//! What SQLite makes of views, triggers and virtual tables: whether they work, and the program that each
//! compiles to.
//!
//! A NATURAL JOIN goes on working when a column changes its name, and means something else; so does a word in
//! double quotes. The compiled program shows both. In two schemas that differ in a name alone it is the same
//! to the last operand, unless the name means something.

use std::collections::BTreeMap;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension};

use crate::error::Result;
use crate::name::Name;

use super::stand_in::with_stand_ins;
use super::{Kind, Object, Schema, table};

/// What SQLite makes of one object.
#[derive(Clone, Debug, Default)]
pub(super) struct Usage {
    /// Why it cannot make sense of it, if so.
    pub(super) failure: Option<String>,
    /// The columns of a view.
    pub(super) columns: Vec<Name>,
    /// What it compiles to.
    pub(super) program: Program,
}

/// The usage of every view, trigger and virtual table.
pub(super) type Usages = BTreeMap<(Kind, Name), Usage>;

/// Operations with their operands; pages of the file by the name of what begins there.
type Program = Vec<(String, [i64; 4])>;

/// A program by the trigger that it is of; by none, the statement's own.
type Programs = BTreeMap<Option<Name>, Program>;

/// Compiles everything.
pub(super) fn usages(connection: &Connection, schema: &Schema) -> Result<Usages> {
    let mut usages = Usages::new();
    let mut triggers = BTreeMap::<&Name, Vec<&Object>>::new();
    for object in &schema.objects {
        match object.kind {
            Kind::View => drop(usages.insert(object.id(), view(connection, &object.name)?)),
            Kind::Table if object.is_virtual() => {
                usages.insert(object.id(), virtual_table(connection, &object.name)?);
            }
            Kind::Trigger => triggers.entry(&object.table).or_default().push(object),
            Kind::Table | Kind::Index => {}
        }
    }
    for (table, triggers) in triggers {
        usages.extend(of_triggers(connection, schema, table, &triggers)?);
    }
    Ok(usages)
}

/// The table itself with its CHECKs, its defaults and its indexes, as a statement that writes a row compiles them.
pub(super) fn of_table(connection: &Connection, table: &Name) -> Result<Usage> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    let usage = compile(connection, &writing(connection, table));
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
    let (failure, mut programs) = usage?;
    Ok(Usage {
        failure,
        columns: Vec::new(),
        program: programs.remove(&None).unwrap_or_default(),
    })
}

/// Whether a constraint of the column says ON CONFLICT: a statement that leaves it to the constraints what to do then
/// compiles to something else than one that says what constraints come to by themselves.
pub(super) fn says_on_conflict(
    connection: &Connection,
    table: &Name,
    column: &Name,
) -> Result<bool> {
    let program = |policy: &str| -> Result<_> {
        let update = format!("UPDATE{policy} {table} SET {column} = random()");
        let programs = with_stand_ins(connection, |connection| explain(connection, &update))?;
        Ok(programs?)
    };
    Ok(program("")? != program(" OR ABORT")?)
}

fn view(connection: &Connection, view: &Name) -> Result<Usage> {
    let (failure, mut programs) = compile(connection, &[format!("SELECT * FROM {view}")])?;
    let columns = match failure {
        None => table::columns(connection, view)?,
        Some(_) => Vec::new(),
    };
    Ok(Usage {
        failure,
        columns: columns.into_iter().map(|column| column.name).collect(),
        program: programs.remove(&None).unwrap_or_default(),
    })
}

/// A virtual table may look at other tables, which shows when it is read: of a replica that costs nothing.
fn virtual_table(connection: &Connection, name: &Name) -> Result<Usage> {
    let read = with_stand_ins(connection, |connection| {
        let mut statement = connection.prepare(&format!("SELECT * FROM {name}"))?;
        statement.query([])?.next().map(drop)
    })?;
    Ok(Usage {
        failure: read.err().map(|error| message(&error)),
        ..Usage::default()
    })
}

/// Every trigger on one table or view. Where one of them fails, the statement that fires them says nothing of
/// the others, so each is then tried alone.
fn of_triggers(
    connection: &Connection,
    schema: &Schema,
    table: &Name,
    triggers: &[&Object],
) -> Result<Usages> {
    let statements = writing(connection, table);
    let (failure, mut programs) = compile(connection, &statements)?;
    let usage = |failure, programs: &mut Programs, trigger: &Object| {
        let program = programs.remove(&Some(trigger.name.clone()));
        let usage = Usage {
            failure,
            columns: Vec::new(),
            program: program.unwrap_or_default(),
        };
        (trigger.id(), usage)
    };
    if failure.is_none() {
        let all = triggers
            .iter()
            .map(|trigger| usage(None, &mut programs, trigger));
        return Ok(all.collect());
    }
    let mut usages = Usages::new();
    for trigger in triggers {
        connection.execute_batch("SAVEPOINT alone")?;
        for other in &schema.objects {
            if other.kind == Kind::Trigger && other.name != trigger.name {
                connection.execute_batch(&format!("DROP TRIGGER {}", other.name))?;
            }
        }
        let compiled = compile(connection, &statements);
        connection.execute_batch("ROLLBACK TO alone; RELEASE alone")?;
        let (failure, mut programs) = compiled?;
        usages.extend([usage(failure, &mut programs, trigger)]);
    }
    Ok(usages)
}

/// The statements that write every column of a table or view, and fire every trigger on it.
fn writing(connection: &Connection, table: &Name) -> Vec<String> {
    let mut statements = vec![
        format!("INSERT INTO {table} DEFAULT VALUES"),
        format!("DELETE FROM {table}"),
    ];
    // The columns of a view that is broken cannot be had; its triggers then fail by the other two.
    let columns = table::columns(connection, table).unwrap_or_default();
    let sets: Vec<String> = columns
        .iter()
        .filter(|column| column.generated.is_none())
        .map(|column| format!("{0} = {0}", column.name))
        .collect();
    if !sets.is_empty() {
        statements.push(format!("UPDATE {table} SET {}", sets.join(", ")));
    }
    statements
}

/// Compiles the statements, and returns why one of them cannot be, and the programs of those that can.
fn compile(connection: &Connection, statements: &[String]) -> Result<(Option<String>, Programs)> {
    let (mut failure, mut programs) = (None, Programs::new());
    for sql in statements {
        let outcome = with_stand_ins(connection, |connection| explain(connection, sql))?;
        match outcome.map_err(|error| message(&error)) {
            Ok(compiled) => {
                for (of, program) in compiled {
                    programs.entry(of).or_default().extend(program);
                }
            }
            // A view takes the statements that it has an INSTEAD OF trigger for, and no others.
            Err(text) if text.ends_with("because it is a view") => {}
            Err(text) => failure = Some(text),
        }
    }
    Ok((failure, programs))
}

/// The programs that one statement compiles to: its own, then one for each trigger that it fires, each
/// counted from address 0. A trigger's begins with its name.
fn explain(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<(Option<Name>, Program)>> {
    const TRIGGER: &str = "-- TRIGGER ";
    let mut statement = connection.prepare(&format!("EXPLAIN {sql}"))?;
    let mut rows = statement.query([])?;
    let mut programs: Vec<(Option<Name>, Program)> = Vec::new();
    while let Some(row) = rows.next()? {
        let mut operation: String = row.get("opcode")?;
        let [mut p1, mut p2, mut p3, p5] = [
            row.get("p1")?,
            row.get("p2")?,
            row.get("p3")?,
            row.get("p5")?,
        ];
        if row.get::<_, i64>("addr")? == 0 {
            // Further on the same words are a string of the trigger's own.
            let mark = row.get::<_, Option<String>>("p4").ok().flatten();
            let trigger = mark.as_deref().and_then(|it| it.strip_prefix(TRIGGER));
            programs.push((trigger.map(Name::from), Program::new()));
        }
        let Some((_, program)) = programs.last_mut() else {
            continue;
        };
        // What stands where in the file depends on how long the texts of the schema are.
        let page = match operation.as_str() {
            "OpenRead" | "OpenWrite" | "ReopenIdx" => Some(&mut p2),
            "Clear" => Some(&mut p1),
            _ => None,
        };
        if let Some(page) = page {
            operation = format!("{operation} {}", name_at(connection, *page)?);
            *page = 0;
        }
        if operation == "Transaction" {
            // The number of the schema's version.
            p3 = 0;
        }
        program.push((operation, [p1, p2, p3, p5]));
    }
    Ok(programs)
}

/// The table or index whose content begins at the page.
fn name_at(connection: &Connection, page: i64) -> rusqlite::Result<String> {
    let name = connection
        .prepare_cached("SELECT name FROM sqlite_schema WHERE rootpage = ?1")?
        .query_row([page], |row| row.get(0))
        .optional()?;
    Ok(name.unwrap_or_else(|| "sqlite_schema".to_owned()))
}

/// What SQLite says, without the statement that was made up to make it speak.
fn message(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(text))
        | rusqlite::Error::SqlInputError { msg: text, .. } => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trigger_has_its_own_program() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t(a); CREATE TABLE u(a);
                 CREATE TRIGGER \"one \"\"1\" AFTER UPDATE OF a ON t BEGIN SELECT 1; END;
                 CREATE TRIGGER two AFTER INSERT ON t BEGIN INSERT INTO u VALUES (NEW.a); END;
                 CREATE TRIGGER sly AFTER INSERT ON t BEGIN SELECT '-- TRIGGER two'; END;
                 CREATE TRIGGER deep AFTER INSERT ON u BEGIN SELECT 1, 2, 3; END;",
            )
            .unwrap();
        let usages = usages(&connection, &Schema::read(&connection).unwrap()).unwrap();
        let length = |name: &str| usages[&(Kind::Trigger, name.into())].program.len();
        for trigger in ["one \"1", "two", "sly", "deep"] {
            assert!(length(trigger) > 0, "{trigger}");
        }
    }
}
