//! What must stand before a commit: the rehearsed schema, and foreign keys as they were.

use rusqlite::Connection;

use crate::error::{Error, Result};
use crate::name::Name;
use crate::plan::Outcome;
use crate::schema::{Schema, Table, differences};

/// Refuses where the schema is not what the rehearsal has it, or the table is not as SQLite described it there.
pub(super) fn expect_outcome(outcome: &Outcome, connection: &Connection) -> Result<()> {
    let mut differing = differences(&outcome.schema, &Schema::read(connection)?);
    if let Some(table) = outcome.table.as_ref().filter(|_| differing.is_empty())
        && Table::read(connection, &table.name)? != *table
    {
        let table = table.name.as_str();
        differing.push(format!("table `{table}` is described otherwise"));
    }
    if differing.is_empty() {
        Ok(())
    } else {
        Err(Error::Unexpected(differing))
    }
}

/// Refuses where other rows violate foreign keys than before: a rebuild does not run their actions.
pub(super) fn expect_violations(before: &[(Name, String)], after: &[(Name, String)]) -> Result<()> {
    let mut only_after = after.iter().filter(|it| !before.contains(it));
    let mut only_before = before.iter().filter(|it| !after.contains(it));
    match only_after.next().or_else(|| only_before.next()) {
        None => Ok(()),
        Some((child, _)) => Err(Error::Constraint(format!(
            "foreign keys of `{}` would be violated otherwise than today",
            child.as_str()
        ))),
    }
}

/// The violated foreign keys from the table and to it: each table, the number of its key, and how many rows.
/// A key that SQLite cannot check stands with what SQLite says of it.
pub(super) fn dangling(connection: &Connection, table: &Name) -> Result<Vec<(Name, String)>> {
    let mut statement = connection.prepare(
        "SELECT DISTINCT child.name FROM main.sqlite_schema AS child, pragma_foreign_key_list(child.name, 'main') AS key \
         WHERE child.type = 'table' AND (lower(key.\"table\") = lower(?1) OR lower(child.name) = lower(?1)) \
         ORDER BY child.name",
    )?;
    let children = statement.query_map([table], |row| row.get::<_, Name>(0))?;
    let mut violations = Vec::new();
    for child in children.collect::<rusqlite::Result<Vec<_>>>()? {
        let mut check = connection.prepare(
            "SELECT fkid || ': ' || count(*) FROM pragma_foreign_key_check(?1, 'main') GROUP BY fkid ORDER BY fkid",
        )?;
        let found = check
            .query_map([&child], |row| row.get::<_, String>(0))
            .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>);
        match found {
            Ok(found) => violations.extend(found.into_iter().map(|it| (child.clone(), it))),
            Err(error @ rusqlite::Error::SqliteFailure(..)) => {
                violations.push((child.clone(), error.to_string()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(violations)
}
