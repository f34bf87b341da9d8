//! An index that a table is to get, tried out.

use crate::error::{Error, Result};
use crate::name::Name;
use crate::request::{AddIndex, Term};

use super::super::replica::Replica;
use super::super::{Column, Kind, Object, Schema, Table, text};

/// The index that is asked for, as somebody would write it. Its expressions and its condition must each be one, and nothing
/// more; whether the table has its columns is not looked at.
pub fn wanted_index(table: &Table, asked: &AddIndex) -> Result<Object> {
    if asked.columns.is_empty() {
        return Err(Error::Malformed("an index is over something".to_owned()));
    }
    let columns = asked.columns.iter().filter_map(column);
    for name in columns.chain(&asked.name) {
        if !name.is_usable() {
            return Err(Error::Malformed(
                "a name cannot be empty or hold a NUL".to_owned(),
            ));
        }
    }
    let terms = asked.columns.iter().map(|it| written(table, it));
    let terms = terms.collect::<Result<Vec<_>>>()?.join(", ");
    let condition = match &asked.condition {
        Some(condition) => format!(" WHERE {}", whole(condition)?),
        None => String::new(),
    };
    let name = asked.name.clone().unwrap_or_else(|| told(table, asked));
    let sql = format!(
        "CREATE {}INDEX {} ON {}({terms}){condition}",
        if asked.unique { "UNIQUE " } else { "" },
        name.as_written(),
        table.name.as_written(),
    );
    Ok(Object {
        kind: Kind::Index,
        name,
        table: table.name.clone(),
        sql: Some(sql),
    })
}

/// Fails with [`Error::NoSuchColumn`] where the table has not all columns that are asked for.
pub fn expect_columns(table: &Table, asked: &AddIndex) -> Result<()> {
    let mut columns = asked.columns.iter().filter_map(column);
    columns.try_for_each(|it| table.expect_column(it).map(drop))
}

/// The schema with the index, and the table in it.
///
/// Fails with [`Error::NotAnIndex`] where SQLite does not make it, or makes another one.
pub fn with_index(live: &Schema, index: &Object) -> Result<(Schema, Table)> {
    let sql = index.sql.clone().unwrap_or_default();
    let replica = Replica::of(&live.only_with_indexes(&index.table))?;
    let made = replica
        .execute_strictly(&sql)
        .and_then(|()| replica.text(Kind::Index, &index.name));
    match made {
        Ok(made) if made == sql => {}
        Ok(made) => {
            let reason = format!("SQLite takes it for `{made}`");
            return Err(Error::NotAnIndex { sql, reason });
        }
        Err(error) => {
            let reason = said(&error);
            return Err(Error::NotAnIndex { sql, reason });
        }
    }
    let mut schema = live.clone();
    schema.objects.push(index.clone());
    Ok((schema, replica.table(&index.table)?))
}

/// What SQLite says, without the statement.
fn said(error: &Error) -> String {
    match error {
        Error::Sqlite(rusqlite::Error::SqlInputError { msg, .. }) => msg.clone(),
        Error::Sqlite(error) => error.to_string(),
        error => error.to_string(),
    }
}

fn column(term: &Term) -> Option<&Name> {
    match term {
        Term::Plain(column) | Term::Column { column, .. } => Some(column),
        Term::Expression { .. } => None,
    }
}

fn written(table: &Table, term: &Term) -> Result<String> {
    let spelled = |column| {
        let found: Option<&Column> = table.column(column);
        found.map_or_else(|| column.as_written(), |it| it.name.as_written())
    };
    match term {
        Term::Plain(column) => Ok(spelled(column)),
        Term::Expression { expression } => Ok(whole(expression)?.to_owned()),
        Term::Column {
            column,
            collation,
            descending,
        } => {
            let mut words = vec![spelled(column)];
            let collation = collation
                .iter()
                .map(|it| format!("COLLATE {}", it.as_written()));
            words.extend(collation);
            words.extend(descending.then(|| "DESC".to_owned()));
            Ok(words.join(" "))
        }
    }
}

/// SQL of somebody's own, where it opens and closes nothing but its own parentheses.
fn whole(sql: &str) -> Result<&str> {
    let sql = sql.trim();
    if sql.is_empty() || !text::is_closed(sql) {
        return Err(Error::NotAnIndex {
            sql: sql.to_owned(),
            reason: "it is not a single expression".to_owned(),
        });
    }
    Ok(sql)
}

/// A name that tells what the index is over: `users_name_index`.
fn told(table: &Table, asked: &AddIndex) -> Name {
    let mut words = vec![table.name.as_str().to_owned()];
    words.extend(asked.columns.iter().map(|term| match term {
        Term::Plain(column) | Term::Column { column, .. } => column.as_str().to_owned(),
        Term::Expression { expression } => {
            let words = expression.split(|it: char| !it.is_alphanumeric() && it != '_');
            let words: Vec<&str> = words.filter(|it| !it.is_empty()).collect();
            words.join("_")
        }
    }));
    words.push("index".to_owned());
    Name::new(words.join("_"))
}
