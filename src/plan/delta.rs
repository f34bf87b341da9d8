//! The delta: the keys of the rows that applications write while the table is copied.
//!
//! Triggers append the key of every row that comes, goes or changes to a table of our own, and nothing else: no
//! constraint there can fail, so that no conflict policy of the statement outside has any say, and the statement
//! costs hardly more than before. Whoever copies then brings those rows up to date, as often as there is something in it;
//! once nothing is, the copy is what the table is.
//!
//! A row that REPLACE removes fires no trigger. It is found before that, by the keys that it shares with the row to come.

use rusqlite::types::Value;

use crate::database::Statement;
use crate::name::Name;
use crate::schema::{Key, Kind, Object, Table, Unique};

use super::Step;
use super::ours::{delta_name, name};
use super::path::{Path, Position, Upto};
use super::rebuild::Copying;
use super::walk::Sweep;

/// The delta of a table, and how its rows are brought up to date in the shadow.
#[derive(Clone, Debug)]
pub struct Delta {
    /// Its own table.
    pub(super) table: Name,
    copying: Copying,
    /// What no row may be found to be, when it is copied for the last time.
    check: Option<Sweep>,
    uniques: Vec<Unique>,
    columns: Vec<Name>,
    change: i64,
}

/// Whether it is a trigger by which the change notes which rows are written.
pub(super) fn notes(change: i64, object: &Object) -> bool {
    let begins = |what| {
        object
            .name
            .as_str()
            .starts_with(name(change, what).as_str())
    };
    object.kind == Kind::Trigger && (begins(NOTED) || begins(REPLACED))
}

/// How the names of the triggers begin.
const NOTED: &str = "noted_";
const REPLACED: &str = "replaced_";

/// What stands in the delta: the number of the entry, and the key of a row.
pub type Entry = (i64, Position);

impl Delta {
    pub(super) fn new(
        change: i64,
        table: &Table,
        uniques: Vec<Unique>,
        copying: Copying,
        check: Option<Sweep>,
    ) -> Self {
        Self {
            table: delta_name(change),
            copying,
            check,
            uniques,
            columns: table.columns.iter().map(|it| it.name.clone()).collect(),
            change,
        }
    }

    /// The first entries, oldest first: each the number, and the key.
    #[must_use]
    pub fn entries(&self, most: u32) -> Statement {
        Statement::with(
            format!(
                "SELECT seq, {} FROM {} ORDER BY seq LIMIT ?1",
                self.keys().join(", "),
                self.table
            ),
            [Value::Integer(most.into())],
        )
    }

    /// Whether rows are found by rowids that no column shows.
    #[must_use]
    pub fn is_by_hidden_rowid(&self) -> bool {
        matches!(self.copying.live.key, Key::Rowid { hidden: true, .. })
    }

    /// Brings a row of the shadow up to date, as far as rows are copied.
    #[must_use]
    pub fn refresh(&self, key: &Position, upto: Option<Upto<'_>>) -> Vec<Step> {
        let Copying { live, shadow, .. } = &self.copying;
        let mut steps = vec![self.copying.remove(&shadow.row(key, Upto::End))];
        if let Some(upto) = upto {
            let row = live.row(key, upto);
            steps.extend(self.check.as_ref().map(|check| check.step(&row)));
            steps.push(self.copying.copy(&row));
        }
        steps
    }

    /// Forgets the entries up to that number.
    #[must_use]
    pub fn forget(&self, upto: i64) -> Step {
        Step::run(
            "these are up to date",
            Statement::with(
                format!("DELETE FROM {} WHERE seq <= ?1", self.table),
                [Value::Integer(upto)],
            ),
        )
    }

    /// That a row of the live table, called `live` in the statement, is not in the delta.
    pub(super) fn lacks(&self, key: &[String]) -> String {
        let equal: Vec<String> = self
            .keys()
            .iter()
            .zip(key)
            .map(|(here, there)| format!("{there} = delta.{here}"))
            .collect();
        format!(
            "NOT EXISTS (SELECT 1 FROM {} AS delta WHERE {})",
            self.table,
            equal.join(" AND ")
        )
    }

    /// Makes the table and the triggers.
    pub(super) fn create(&self) -> Vec<Step> {
        let table = format!(
            "CREATE TABLE {} (seq INTEGER PRIMARY KEY, {})",
            self.table,
            self.keys().join(", ")
        );
        let mut steps = vec![Step::run(
            "here the keys of the rows are kept that are written meanwhile",
            Statement::new(table),
        )];
        let trigger = |object: Object| {
            Step::run(
                format!("{} notes them", object.spoken()),
                Statement::new(object.sql.unwrap_or_default()),
            )
        };
        steps.extend(self.triggers().into_iter().map(trigger));
        steps
    }

    /// The triggers as the schema has them.
    pub(super) fn triggers(&self) -> Vec<Object> {
        let (new, old) = (self.noted("NEW"), self.noted("OLD"));
        let other = format!("{} WHERE {}", self.noted_as_query("NEW"), self.is_other());
        let mut triggers = Vec::new();
        if !self.uniques.is_empty() {
            let replaced: Vec<String> =
                self.uniques.iter().map(|it| self.replaced_by(it)).collect();
            triggers.push(self.trigger(REPLACED, "BEFORE INSERT", &replaced));
            triggers.push(self.trigger(REPLACED, &self.before_update(), &replaced));
        }
        triggers.push(self.trigger(NOTED, "AFTER INSERT", &[new]));
        triggers.push(self.trigger(NOTED, "AFTER UPDATE", &[old.clone(), other]));
        triggers.push(self.trigger(NOTED, "AFTER DELETE", &[old]));
        triggers
    }

    fn trigger(&self, what: &str, event: &str, statements: &[String]) -> Object {
        let statement = event.split(' ').nth(1).unwrap_or_default();
        let name = name(self.change, &format!("{what}{}", statement.to_lowercase()));
        let table = &self.copying.live.table;
        Object {
            kind: Kind::Trigger,
            table: table.clone(),
            sql: Some(format!(
                "CREATE TRIGGER {name} {event} ON {table}\nBEGIN\n  {};\nEND",
                statements.join(";\n  ")
            )),
            name,
        }
    }

    /// The event of an UPDATE that could make a row share a key with another.
    fn before_update(&self) -> String {
        let mut columns: Vec<String> = Vec::new();
        for unique in &self.uniques {
            let Some(named) = unique.columns() else {
                return "BEFORE UPDATE".to_owned();
            };
            columns.extend(named.iter().map(Name::to_string));
        }
        columns.sort_unstable();
        columns.dedup();
        format!("BEFORE UPDATE OF {}", columns.join(", "))
    }

    /// Notes the row that a trigger calls so.
    fn noted(&self, row: &str) -> String {
        format!(
            "INSERT INTO {} ({}) VALUES ({})",
            self.table,
            self.keys().join(", "),
            self.of_row(row).join(", ")
        )
    }

    fn noted_as_query(&self, row: &str) -> String {
        format!(
            "INSERT INTO {} ({}) SELECT {}",
            self.table,
            self.keys().join(", "),
            self.of_row(row).join(", ")
        )
    }

    /// Notes the rows that share a unique key with the row to come.
    fn replaced_by(&self, unique: &Unique) -> String {
        let live = &self.copying.live;
        format!(
            "INSERT INTO {} ({}) SELECT {} FROM {} WHERE {}",
            self.table,
            self.keys().join(", "),
            names(live).join(", "),
            live.table,
            unique.shared_with_new(&self.columns)
        )
    }

    /// Whether the row has another key than before.
    fn is_other(&self) -> String {
        let pairs = self.of_row("NEW").into_iter().zip(self.of_row("OLD"));
        let others: Vec<String> = pairs
            .map(|(new, old)| format!("{new} COLLATE BINARY IS NOT {old}"))
            .collect();
        others.join(" OR ")
    }

    fn of_row(&self, row: &str) -> Vec<String> {
        let names = self.copying.live.key_names();
        names.iter().map(|name| format!("{row}.{name}")).collect()
    }

    /// The columns of the delta that hold the key.
    fn keys(&self) -> Vec<String> {
        let width = self.copying.live.key_names().len();
        (1..=width).map(|at| format!("key_{at}")).collect()
    }
}

fn names(path: &Path) -> Vec<String> {
    path.key_names().iter().map(ToString::to_string).collect()
}
