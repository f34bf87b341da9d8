//! A table that somebody altered meanwhile, recognised.

use crate::error::Result;
use crate::name::Name;

use super::super::replica::Replica;
use super::super::{Kind, Object, Schema, text};
use super::PROBE;

/// The `ALTER TABLE`s that have made the text of the table what it is since it was `then`; none where something else was
/// done to it. They rename, drop and add columns, and rename the table to and fro; none of them touches the columns
/// to `keep`.
pub fn alterations_since(
    live: &Schema,
    table: &Name,
    then: &str,
    keep: [&Name; 2],
) -> Result<Option<Vec<String>>> {
    let Some(now) = live.table_text(table) else {
        return Ok(None);
    };
    if now == then {
        return Ok(Some(Vec::new()));
    }
    let (was, is) = (columns(live, table, then)?, columns(live, table, now)?);
    if !keep.iter().all(|it| is.contains(it)) {
        return Ok(None);
    }
    for renames in [true, false] {
        for begun in [Vec::new(), to_and_fro(table)] {
            let guess = [begun, removals(table, &was, &is, renames)].concat();
            let Ok(text) = altered(live, table, then, &guess) else {
                continue;
            };
            for added in additions(table, &text, now) {
                let guess = [guess.clone(), added].concat();
                if altered(live, table, then, &guess).is_ok_and(|text| text == now) {
                    return Ok(Some(guess));
                }
            }
        }
    }
    Ok(None)
}

/// The text of the table once it is altered so.
pub fn altered(live: &Schema, table: &Name, text: &str, alterations: &[String]) -> Result<String> {
    let replica = Replica::of(&live.only(table).with_text(Kind::Table, table, text))?;
    for alteration in alterations {
        replica.execute(alteration)?;
    }
    replica.text(Kind::Table, table)
}

/// The text that SQLite gives the table when it gets another name.
pub fn text_under(name: &Name, table: &Name, text: &str) -> Result<String> {
    let object = Object {
        kind: Kind::Table,
        name: table.clone(),
        table: table.clone(),
        sql: Some(text.to_owned()),
    };
    let alone = Schema {
        objects: vec![object],
        ours: Vec::new(),
    };
    let replica = Replica::of(&alone)?;
    replica.alter(table, &format!("RENAME TO {}", name.as_written()))?;
    replica.text(Kind::Table, name)
}

fn columns(live: &Schema, table: &Name, text: &str) -> Result<Vec<Name>> {
    let replica = Replica::of(&live.only(table).with_text(Kind::Table, table, text))?;
    let columns = replica.table(table)?.columns.into_iter();
    Ok(columns.map(|column| column.name).collect())
}

/// Another name, and the first one again, which SQLite then writes in quotes.
fn to_and_fro(table: &Name) -> Vec<String> {
    let other = Name::from(PROBE[0]);
    [(table, &other), (&other, table)]
        .map(|(from, to)| format!("ALTER TABLE {from} RENAME TO {to}"))
        .into()
}

/// What may have become of the columns that are not there any more: where `renames`, each has the name of the unknown
/// one in its place, if there is one; otherwise it was dropped.
fn removals(table: &Name, was: &[Name], is: &[Name], renames: bool) -> Vec<String> {
    let mut alterations = Vec::new();
    let mut is = is.iter().peekable();
    for column in was {
        if is.next_if(|now| *now == column).is_some() {
            continue;
        }
        let other = is.next_if(|now| renames && !was.contains(now));
        alterations.push(match other {
            Some(now) => {
                let now = now.as_written();
                format!("ALTER TABLE {table} RENAME COLUMN {column} TO {now}")
            }
            None => format!("ALTER TABLE {table} DROP COLUMN {column}"),
        });
    }
    alterations
}

/// Each way in which columns may have been added to `then` to make it `now`.
fn additions(table: &Name, then: &str, now: &str) -> Vec<Vec<String>> {
    if then == now {
        return vec![Vec::new()];
    }
    let add = |definition: String| format!("ALTER TABLE {table} ADD COLUMN {definition}");
    let inserted = text::insertions(then, now).into_iter().flatten();
    inserted
        .map(|definitions| definitions.into_iter().map(add).collect())
        .collect()
}
