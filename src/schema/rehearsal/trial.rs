//! Rows written on a replica as old and new applications will write them.

use rusqlite::Connection;
use rusqlite::types::{Value, ValueRef};

use crate::database::{Statement, literal};
use crate::error::{Error, Result};
use crate::name::Name;

use super::super::replica::{Outcome, Replica};
use super::super::{Key, Schema, Table};
use super::{NewApps, Pair};

/// How many rows are taken from each end of the table.
const SAMPLES: usize = 10;

/// Values that programs stumble over.
const EDGES: [&str; 12] = [
    "NULL",
    "''",
    "' '",
    "'a'",
    "'1'",
    "'Ünïcödé'",
    "0",
    "-1",
    "9223372036854775807",
    "1.5",
    "-1e300",
    "x'00FF'",
];

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
        let Pair { old, new, .. } = self.pair;
        let table = control.table(&self.pair.table)?;
        for row in self.rows(file, &table)? {
            let today = control.try_out(&insert(&table, &row, new))?;
            let written = replica.try_out(&insert(&table, &row, new))?;
            if let Some(reason) = today.turned_into(&written) {
                return Ok(Some(format!("an old application's row: {reason}")));
            }
            if new_apps == NewApps::WriteBoth || today != Outcome::Inserted {
                continue;
            }
            let written = replica.try_out(&insert(&table, &self.raised(&row), old))?;
            if let Some(reason) = today.turned_into(&written) {
                return Ok(Some(reason));
            }
        }
        Ok(None)
    }

    /// The row with the value of the old column in the new one.
    fn raised(&self, row: &[(Name, String)]) -> Vec<(Name, String)> {
        let Pair { old, new, .. } = self.pair;
        let others = row.iter().filter(|(column, _)| column != new);
        let moved = |(column, value): &(Name, String)| {
            if column == old {
                let raised = format!("(SELECT {} FROM (SELECT {value} AS {old}))", self.up);
                (new.clone(), raised)
            } else {
                (column.clone(), value.clone())
            }
        };
        others.map(moved).collect()
    }

    /// Rows as columns and SQL values: some of the table's, and these with other values in the old column.
    fn rows(&self, file: &Connection, table: &Table) -> Result<Vec<Vec<(Name, String)>>> {
        let columns: Vec<Name> = table.stored().map(|it| it.name.clone()).collect();
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
                let values = columns
                    .iter()
                    .enumerate()
                    .map(|(at, column)| Ok((column.clone(), written(row.get_ref(at)?))));
                rows.push(values.collect::<Result<Vec<_>>>()?);
            }
        }
        let template = rows.first().cloned().unwrap_or_default();
        let Pair { old, .. } = self.pair;
        for edge in EDGES {
            let mut row: Vec<_> = template.iter().filter(|it| it.0 != *old).cloned().collect();
            row.push((old.clone(), edge.to_owned()));
            rows.push(row);
        }
        Ok(rows)
    }
}

/// A value as SQL, whatever bytes a text is made of.
fn written(value: ValueRef<'_>) -> String {
    match (value, Value::try_from(value)) {
        (_, Ok(value)) => literal(&value),
        (ValueRef::Text(bytes), Err(_)) => {
            format!("CAST({} AS TEXT)", literal(&Value::Blob(bytes.to_vec())))
        }
        (_, Err(_)) => "NULL".to_owned(),
    }
}

/// Inserts the row, but for one of its columns.
fn insert(table: &Table, row: &[(Name, String)], but: &Name) -> Statement {
    let written = row.iter().filter(|(column, _)| column != but);
    let (columns, values): (Vec<String>, Vec<&str>) = written
        .map(|(column, value)| (column.to_string(), value.as_str()))
        .unzip();
    Statement::new(format!(
        "INSERT INTO {} ({}) VALUES ({})",
        table.name,
        columns.join(", "),
        values.join(", ")
    ))
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
    // As a generated column it may be what a trigger needs it to be: deterministic, and without a query.
    let table = format!(
        "CREATE TABLE scratch({column} {declared_type}, _changeover_result AS ({expression}\n))"
    );
    match scratch.execute_batch(&table) {
        Ok(()) => {}
        Err(error) => return refuse(error.to_string()),
    }
    let columns = super::super::table::columns(&scratch, &Name::from("scratch"))?;
    if columns.len() != 2 {
        return refuse("it is more than an expression".to_owned());
    }
    Ok(())
}
