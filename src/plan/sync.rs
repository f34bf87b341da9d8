//! The sync triggers: they keep both columns in step while old and new applications write.
//!
//! Which way a value goes is told by the statement that fired the trigger, by OLD and NEW; which value it is, by the
//! row as it stands, since triggers of the application may have changed it meanwhile. Every UPDATE asks whether
//! the columns still differ, which ends the recursion whether `recursive_triggers` is on or off, and leaves
//! the values of mappings that lose something alone.
//!
//! An UPDATE inside a trigger obeys the conflict policy of the statement outside, so that under OR IGNORE it may do
//! nothing. Nothing here relies on its success: what could not be brought to agree is refused at the end.
//!
//! The triggers run inside the applications, whose SQLite may be years old: nothing is called here that it
//! would not know.

use rusqlite::types::Value;

use crate::database::{Statement, literal};
use crate::name::Name;
use crate::schema::{Key, Kind, Object, Pair, Promise};

use super::agreement::other;
use super::ours::name;
use super::{Agreement, Mapping, Step};

/// The triggers of one change.
#[derive(Clone, Debug)]
pub struct SyncTriggers {
    insert: Object,
    update: Object,
}

impl SyncTriggers {
    /// The triggers by which the new column follows the old one. What a statement writes into the new one alone would be
    /// overwritten by that, and is refused. What comes along with a value of the old one is not: an old application that
    /// reads all columns may write them all back.
    #[must_use]
    pub fn following(change: i64, agreement: &Agreement) -> Self {
        let (up, differ) = (agreement.up(), agreement.differ());
        let Pair { table, old, new } = &agreement.pair;
        let row = this_row(&agreement.path.key);
        let failure = literal(&Value::Text(format!(
            "`{1}` follows `{0}` until the data is migrated: write `{0}`",
            old.as_str(),
            new.as_str()
        )));
        let refuse = |written: &str| {
            format!(
                "SELECT RAISE(ABORT, {failure}) FROM {table} \
                 WHERE {row} AND {differ} AND NEW.{new} IS NOT NULL{written}"
            )
        };
        let follow = format!("UPDATE {table} SET {new} = {up} WHERE {row} AND {differ}");
        let inserted = format!(" AND NEW.{old} IS NULL");
        let updated = format!(
            " AND {} AND NOT {}",
            other(&format!("NEW.{new}"), &format!("OLD.{new}")),
            other(&format!("NEW.{old}"), &format!("OLD.{old}"))
        );
        Self::written(
            change,
            agreement,
            &[refuse(&inserted), follow.clone()],
            &[refuse(&updated), follow],
        )
    }

    /// The triggers that keep both columns in step. `noted` is an UPDATE with a WHERE that notes an application
    /// which wrote the old column alone, if that is to be noted; a `promise` that a statement breaks is refused here.
    #[must_use]
    pub fn both_ways(
        change: i64,
        agreement: &Agreement,
        promises: &[Promise],
        noted: Option<&str>,
    ) -> Self {
        let Pair { old, new, .. } = &agreement.pair;
        let default = agreement.default.as_deref().unwrap_or("NULL");
        let (is_new, was_new) = (format!("NEW.{new}"), format!("OLD.{new}"));
        let (is_old, was_old) = (format!("NEW.{old}"), format!("OLD.{old}"));
        let inserted = Direction {
            by_new: other(&is_new, default),
            by_old: "TRUE".to_owned(),
        };
        let updated = Direction {
            by_new: other(&is_new, &was_new),
            by_old: other(&is_old, &was_old),
        };
        Self::written(
            change,
            agreement,
            &inserted.statements(agreement, promises, noted),
            &updated.statements(agreement, promises, noted),
        )
    }

    fn written(
        change: i64,
        agreement: &Agreement,
        inserted: &[String],
        updated: &[String],
    ) -> Self {
        let table = &agreement.pair.table;
        let when = match agreement.mapping {
            Mapping::Same | Mapping::Converted => agreement.differ_in("NEW."),
            // The values in NEW have no affinity, by which an expression may come to something else.
            Mapping::Expressions { .. } => format!(
                "EXISTS (SELECT 1 FROM {table} WHERE {} AND {})",
                this_row(&agreement.path.key),
                agreement.differ()
            ),
        };
        let trigger = |what: &str, event: &str, statements: &[String]| {
            let name = name(change, what);
            let body = statements.join(";\n  ");
            Object {
                kind: Kind::Trigger,
                table: table.clone(),
                sql: Some(format!(
                    "CREATE TRIGGER {name} AFTER {event} ON {table}\nWHEN {when}\nBEGIN\n  {body};\nEND"
                )),
                name,
            }
        };
        let columns = fired_by(&agreement.path.key, &agreement.pair);
        Self {
            insert: trigger("insert", "INSERT", inserted),
            update: trigger("update", &format!("UPDATE OF {columns}"), updated),
        }
    }

    /// The triggers as the schema has them.
    #[must_use]
    pub fn objects(&self) -> Vec<Object> {
        vec![self.insert.clone(), self.update.clone()]
    }

    /// Makes them.
    pub(super) fn create(&self) -> Vec<Step> {
        let made = |object: Object, why: &str| {
            Step::run(why, Statement::new(object.sql.unwrap_or_default()))
        };
        vec![
            made(self.insert.clone(), "a row that comes holds both values"),
            made(self.update.clone(), "and a row that changes"),
        ]
    }
}

/// What tells, in a trigger, which of the columns a statement wrote.
struct Direction {
    /// Whether it was the new one.
    by_new: String,
    /// Whether it was the old one, where it was not the new one.
    by_old: String,
}

impl Direction {
    /// One column follows the other, and again where a trigger of the application has changed one meanwhile. What an
    /// UPDATE in here fails to do, under a policy of the statement outside, is never undone in silence: it is refused.
    fn statements(
        &self,
        agreement: &Agreement,
        promises: &[Promise],
        noted: Option<&str>,
    ) -> Vec<String> {
        let Self { by_new, by_old } = self;
        let Pair { table, old, new } = &agreement.pair;
        let (up, down, differ) = (agreement.up(), agreement.down(), agreement.differ());
        let row = this_row(&agreement.path.key);
        let text = |text: String| literal(&Value::Text(text));
        let mut statements = Vec::new();
        statements.extend(noted.map(|noted| format!("{noted} AND {by_old} AND NOT {by_new}")));
        statements.extend(promises.iter().map(|promise| {
            let Promise {
                failure,
                broken_by_old,
                broken_by_new,
            } = promise;
            let failure = text(failure.clone());
            format!(
                "SELECT RAISE(ABORT, {failure}) FROM {table} WHERE {row} AND \
                 CASE WHEN {by_new} THEN {broken_by_new} ELSE {broken_by_old} END"
            )
        }));
        let refused = text(format!(
            "`{}` and `{}` cannot be brought to agree",
            old.as_str(),
            new.as_str()
        ));
        statements.extend([
            format!("UPDATE {table} SET {old} = {down} WHERE {row} AND {by_new} AND {differ}"),
            format!(
                "UPDATE {table} SET {new} = {up} WHERE {row} AND {differ} AND (NOT {by_new} OR changes() > 0)"
            ),
            format!("UPDATE {table} SET {old} = {down} WHERE {row} AND {differ} AND changes() > 0"),
            format!("SELECT RAISE(ABORT, {refused}) FROM {table} WHERE {row} AND {differ}"),
        ]);
        statements
    }
}

/// The row that fired the trigger.
fn this_row(key: &Key) -> String {
    let equal = |name: &Name| format!("{name} = NEW.{name}");
    match key {
        Key::Rowid { name, .. } => equal(name),
        Key::Columns(columns) => {
            let all: Vec<String> = columns
                .iter()
                .map(|column| match &column.collation {
                    Some(collation) => format!("{0} COLLATE {collation} = NEW.{0}", column.name),
                    None => equal(&column.name),
                })
                .collect();
            all.join(" AND ")
        }
        Key::None => "FALSE".to_owned(),
    }
}

/// Both columns, and those of the key: a row that gets another key may be one that the backfill has yet to meet under
/// the one, and has passed under the other.
fn fired_by(key: &Key, pair: &Pair) -> String {
    let mut columns = vec![pair.old.clone(), pair.new.clone()];
    match key {
        Key::Rowid { name, .. } => {
            columns.push(name.clone());
            columns.extend(["rowid", "_rowid_", "oid"].map(Name::from));
        }
        Key::Columns(key) => columns.extend(key.iter().map(|column| column.name.clone())),
        Key::None => {}
    }
    let mut written: Vec<String> = Vec::new();
    for column in columns {
        let column = column.to_string();
        if !written.iter().any(|it| it.eq_ignore_ascii_case(&column)) {
            written.push(column);
        }
    }
    written.join(", ")
}
