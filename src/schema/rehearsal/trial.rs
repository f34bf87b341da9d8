//! Rows written on a replica as old and new applications will write them.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::database::Statement;
use crate::error::{Error, Result};
use crate::name::Name;

use super::super::replica::{Outcome, Replica};
use super::super::{Key, Schema, Table, text};
use super::{NewApps, Pair};

/// How many rows are taken from each end of the table.
const SAMPLES: usize = 10;

/// Values that programs stumble over.
fn edges() -> [Value; 12] {
    let text = |text: &str| Value::Text(text.to_owned());
    [
        Value::Null,
        text(""),
        text(" "),
        text("a"),
        text("1"),
        text("Ünïcödé"),
        Value::Integer(0),
        Value::Integer(-1),
        Value::Integer(i64::MAX),
        Value::Real(1.5),
        Value::Real(-1e300),
        Value::Blob(vec![0, 255]),
    ]
}

/// A table in which both columns are written, to be tried out.
#[derive(Debug)]
pub struct Trial<'a> {
    /// The schema before the columns are kept in step.
    pub before: &'a Schema,
    /// The schema while they are.
    pub synced: &'a Schema,
    /// What keeps them in step.
    pub triggers: Vec<&'a str>,
    /// The table and its columns.
    pub pair: &'a Pair,
    /// The new value, over the old column.
    pub up: String,
}

impl Trial<'_> {
    /// Writes rows of the table, and such with values at the edges of what there is, as old and as new applications
    /// will write them. Returns what stands against the first that would not come to the same as today.
    pub fn run(&self, file: &Connection, new_apps: NewApps) -> Result<Option<String>> {
        let (control, replica) = (Replica::of(self.before)?, Replica::of(self.synced)?);
        for trigger in &self.triggers {
            replica.execute(trigger)?;
        }
        let table = control.table(&self.pair.table)?;
        for row in self.rows(file, &table)? {
            let today = control.try_out(&self.as_old(&row))?;
            let written = replica.try_out(&self.as_old(&row))?;
            if let Some(reason) = today.turned_into(&written) {
                return Ok(Some(format!("an old application's row: {reason}")));
            }
            if new_apps == NewApps::WriteBoth || today != Outcome::Inserted {
                continue;
            }
            let written = replica.try_out(&self.as_new(&row))?;
            if let Some(reason) = today.turned_into(&written) {
                return Ok(Some(reason));
            }
        }
        Ok(None)
    }

    /// The INSERT of the row by an application that knows the old column alone.
    fn as_old(&self, row: &[(Name, Value)]) -> Statement {
        self.insert(row, &self.pair.old, |value| value)
    }

    /// The INSERT of the row by an application that knows the new column alone.
    fn as_new(&self, row: &[(Name, Value)]) -> Statement {
        let (up, old) = (&self.up, &self.pair.old);
        let raised = |value| format!("(SELECT {up} FROM (SELECT {value} AS {old}))");
        self.insert(row, &self.pair.new, raised)
    }

    /// Inserts the row, with what comes of the value of the old column in the column `into`.
    fn insert(
        &self,
        row: &[(Name, Value)],
        into: &Name,
        mapped: impl Fn(String) -> String,
    ) -> Statement {
        let Pair { table, old, new } = self.pair;
        let (mut columns, mut values, mut params) = (Vec::new(), Vec::new(), Vec::new());
        for (column, value) in row.iter().filter(|(column, _)| column != new) {
            params.push(value.clone());
            let parameter = format!("?{}", params.len());
            if column == old {
                columns.push(into.to_string());
                values.push(mapped(parameter));
            } else {
                columns.push(column.to_string());
                values.push(parameter);
            }
        }
        let (columns, values) = (columns.join(", "), values.join(", "));
        Statement::with(
            format!("INSERT INTO {table} ({columns}) VALUES ({values})"),
            params,
        )
    }

    /// Some of the table's rows, and the first of them with other values in the old column. A row whose text is no
    /// text is not among them.
    fn rows(&self, file: &Connection, table: &Table) -> Result<Vec<Vec<(Name, Value)>>> {
        // In a plan of both phases the new column is not in the file yet; and what it holds is never written here.
        let stored = table.stored().map(|it| &it.name);
        let columns: Vec<Name> = stored.filter(|it| **it != self.pair.new).cloned().collect();
        let listed: Vec<String> = columns.iter().map(Name::to_string).collect();
        let select = format!("SELECT {} FROM {}", listed.join(", "), table.name);
        let mut queries = vec![format!("{select} LIMIT {SAMPLES}")];
        if let Key::Rowid { name, .. } = &table.key {
            queries.push(format!("{select} ORDER BY {name} DESC LIMIT {SAMPLES}"));
        }
        let mut rows = Vec::new();
        for query in queries {
            let mut statement = file.prepare(&query)?;
            let mut found = statement.query([])?;
            while let Some(row) = found.next()? {
                let values: rusqlite::Result<Vec<_>> = columns
                    .iter()
                    .enumerate()
                    .map(|(at, column)| Ok((column.clone(), row.get(at)?)))
                    .collect();
                rows.extend(values.ok());
            }
        }
        let old = &self.pair.old;
        let template: Vec<_> = rows.first().into_iter().flatten().cloned().collect();
        let others: Vec<_> = template.into_iter().filter(|it| it.0 != *old).collect();
        for edge in edges() {
            let mut row = others.clone();
            row.push((old.clone(), edge));
            rows.push(row);
        }
        Ok(rows)
    }
}

/// Fails with what SQLite says of an expression that cannot stand in a trigger: one that is not a function of the
/// one column alone, or that calls what SQLite does not build in.
pub fn check_expression(expression: &str, column: &Name, declared_type: &str) -> Result<()> {
    let refuse = |reason: String| {
        Err(Error::NotAnExpression {
            expression: expression.to_owned(),
            reason,
        })
    };
    let scratch = Connection::open_in_memory()?;
    scratch.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    let declared_type = match declared_type {
        "" => String::new(),
        declared => Name::from(declared).to_string(),
    };
    if !text::is_closed(expression) {
        return refuse("it is more than an expression".to_owned());
    }
    // As a generated column it may be what a trigger needs it to be: deterministic, and without a query. In parentheses
    // and nothing else, as the trigger has it.
    let table = format!(
        "CREATE TABLE _changeover_scratch({column} {declared_type}, _changeover_result AS ({expression}))"
    );
    if let Err(error) = scratch.execute_batch(&table) {
        return refuse(error.to_string());
    }
    match tells_time(&scratch, column) {
        Some(reason) => refuse(reason),
        None => Ok(()),
    }
}

/// What SQLite says of an expression that depends on the moment, which it notices only when it computes it. That some
/// value cannot be computed is the concern of the row that holds it.
fn tells_time(scratch: &Connection, column: &Name) -> Option<String> {
    let insert = format!("INSERT INTO _changeover_scratch({column}) VALUES (?1)");
    let computed = |edge: Value| {
        scratch.execute("DELETE FROM _changeover_scratch", [])?;
        scratch.execute(&insert, [edge])?;
        let result = "SELECT _changeover_result FROM _changeover_scratch";
        scratch.query_row(result, [], |_| Ok(()))
    };
    let failures = edges().into_iter().filter_map(|edge| computed(edge).err());
    let mut failures = failures.map(|error| error.to_string());
    failures.find(|failure| failure.contains("non-deterministic"))
}
