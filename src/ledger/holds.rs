//! Old columns that a contract holds: for how long, and what undo writes as it was.

use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};

use crate::database::Statement;
use crate::error::Result;
use crate::name::Name;
use crate::phase::{Phase, State};
use crate::plan::Step;

use super::records::{forced, forget_cursor, held_no_more, insert_entry, set_state};
use super::{Change, Ledger, NOW};

/// What a contract leaves behind that holds the old column.
#[derive(Debug)]
pub struct Held<'a> {
    /// For how long.
    pub time: Duration,
    /// The text of the table then.
    pub text_held: &'a str,
    /// The texts that it had before: without the new column, with both, and while both were written.
    pub texts: [&'a str; 3],
    /// The other objects that the contract writes anew.
    pub rewritten: &'a [Rewritten],
    /// The table in a line.
    pub schema: &'a str,
}

/// A view, a trigger, an index or another table that a contract writes anew.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// What it is, in the word of `sqlite_schema`.
    pub kind: String,
    /// Its name.
    pub name: Name,
    /// Its text before.
    pub before: String,
    /// And then.
    pub after: String,
}

impl Ledger {
    /// Records a contract that holds the old column.
    #[must_use]
    pub fn held(&self, change: &Change, held: &Held<'_>) -> Vec<Step> {
        let text = |text: &str| Value::Text(text.to_owned());
        let [before, after, synced] = held.texts;
        let time = i64::try_from(held.time.as_millis()).unwrap_or(i64::MAX);
        let begin = Statement::with(
            format!(
                "UPDATE _changeover_changes SET text_before = ?1, text_after = ?2, text_synced = ?3, text_held = ?4, \
                 held_until = {NOW} + ?5 WHERE id = ?6"
            ),
            [
                text(before),
                text(after),
                text(synced),
                text(held.text_held),
                Value::Integer(time),
                Value::Integer(change.id),
            ],
        );
        let mut steps = vec![
            forget_cursor(change.id),
            Step::run(
                "the ledger knows the texts of the table, and up to when",
                begin,
            ),
        ];
        steps.extend(held.rewritten.iter().map(|it| {
            let Rewritten {
                kind,
                name,
                before,
                after,
            } = it;
            let keep = Statement::with(
                "INSERT INTO _changeover_texts (change_id, type, name, text_before, text_after) VALUES (?1, ?2, ?3, ?4, ?5)",
                [
                    Value::Integer(change.id),
                    text(kind),
                    text(name.as_str()),
                    text(before),
                    text(after),
                ],
            );
            Step::run(format!("how {kind} `{}` was", name.as_str()), keep)
        }));
        steps.push(set_state(change, State::Held));
        steps.extend(forced(change, Phase::Hold));
        let old = change.old.as_ref().unwrap_or(&change.new);
        let name = format!("hold_{}_column", old.as_str());
        let mut entry = self.new_entry(change.id, Phase::Hold, &name);
        entry.push(("table_schema", text(held.schema)));
        steps.push(insert_entry(entry));
        steps
    }

    /// Records that a hold is undone, behind which the table has these texts: without the new column, with both, and
    /// while both are written; and is as `schema` says.
    #[must_use]
    pub fn undone(&self, change: &Change, texts: [&str; 3], schema: &str) -> Vec<Step> {
        let [before, after, synced] = texts.map(|it| Value::Text(it.to_owned()));
        let known = Statement::with(
            "UPDATE _changeover_changes SET text_before = ?1, text_after = ?2, text_synced = ?3 WHERE id = ?4",
            [before, after, synced, Value::Integer(change.id)],
        );
        let old = change.old.as_ref().unwrap_or(&change.new);
        let name = format!("restore_{}_column", old.as_str());
        let mut entry = self.new_entry(change.id, Phase::Undo, &name);
        entry.push(("table_schema", Value::Text(schema.to_owned())));
        let mut steps = vec![
            forget_cursor(change.id),
            Step::run("the ledger knows the texts of the table", known),
        ];
        steps.extend(held_no_more(change));
        steps.push(set_state(change, State::Migrated));
        steps.push(insert_entry(entry));
        steps
    }
}

/// For how long the old column of the change is held yet; none where that is over, or where none is held.
pub fn hold_left(connection: &Connection, change: &Change) -> Result<Option<Duration>> {
    if change.text_held.is_none() {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(&format!(
        "SELECT held_until - {NOW} FROM _changeover_changes WHERE id = ?1"
    ))?;
    let left: Option<i64> = statement
        .query_row([change.id], |row| row.get(0))
        .optional()?
        .flatten();
    let left = left.filter(|it| *it > 0);
    Ok(left.map(|it| Duration::from_millis(it.unsigned_abs())))
}

/// What the contract of the change has written anew, while it holds the old column.
pub fn rewritten(connection: &Connection, change: &Change) -> Result<Vec<Rewritten>> {
    if change.text_held.is_none() {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(
        "SELECT type, name, text_before, text_after FROM _changeover_texts WHERE change_id = ?1",
    )?;
    let texts = statement.query_map([change.id], |row| {
        Ok(Rewritten {
            kind: row.get(0)?,
            name: row.get(1)?,
            before: row.get(2)?,
            after: row.get(3)?,
        })
    })?;
    Ok(texts.collect::<rusqlite::Result<_>>()?)
}
