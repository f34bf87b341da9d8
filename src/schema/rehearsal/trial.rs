//! Rows written on a replica as old and new applications will write them.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::database::{Statement, literal};
use crate::error::{Error, Result};
use crate::name::Name;

use super::super::replica::Replica;
use super::super::{Key, Schema, Table};
use super::Pair;

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

/// What went wrong with a row that the table takes today.
#[derive(Debug)]
pub enum Failure {
    /// It cannot be written without the old column.
    WithoutOld(String),
    /// It cannot be written without the new column.
    WithoutNew(String),
}

impl Trial<'_> {
    /// Writes rows of the table, and such with values at the edges of what there is, without the one column and
    /// without the other. Only what the table takes today counts.
    pub fn run(&self, file: &Connection) -> Result<Option<Failure>> {
        let (control, replica) = (Replica::of(self.before)?, Replica::of(self.synced)?);
        for trigger in &self.triggers {
            replica.execute(trigger)?;
        }
        let table = control.table(&self.pair.table)?;
        for row in self.rows(file, &table)? {
            if control
                .try_out(&insert(&table, &row, &self.pair.new))?
                .is_err()
            {
                continue;
            }
            let Pair { old, new, .. } = self.pair;
            if let Err(reason) = replica.try_out(&insert(&table, &row, new))? {
                return Ok(Some(Failure::WithoutNew(reason)));
            }
            let Some((_, value)) = row.iter().find(|(column, _)| column == old) else {
                continue;
            };
            let raised = format!("(SELECT {} FROM (SELECT {value} AS {old}))", self.up);
            let without_old: Vec<(Name, String)> = row
                .iter()
                .filter(|(column, _)| column != new)
                .map(|(column, value)| {
                    if column == old {
                        (new.clone(), raised.clone())
                    } else {
                        (column.clone(), value.clone())
                    }
                })
                .collect();
            if let Err(reason) = replica.try_out(&insert(&table, &without_old, old))? {
                return Ok(Some(Failure::WithoutOld(reason)));
            }
        }
        Ok(None)
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
                    .map(|(at, column)| Ok((column.clone(), literal(&row.get::<_, Value>(at)?))));
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
