//! The delta: the keys of the rows that applications write while the table is copied.
//!
//! Triggers append the key of every row that comes, goes or changes to a table of our own, and nothing else: no
//! constraint there can fail, so that no conflict policy of the statement outside has any say, and the statement
//! costs hardly more than before. Whoever copies then brings those rows up to date, as often as there is something in it;
//! once nothing is, the copies are what the table is.
//!
//! A row that REPLACE removes fires no trigger. It is found before that, by the keys that it shares with the row to come.

use std::collections::BTreeMap;

use rusqlite::types::Value;

use crate::database::Statement;
use crate::name::Name;
use crate::schema::{Key, Kind, Object, Table, Unique};

use super::Step;
use super::copying::Copying;
use super::ours::{delta_name, drop_table, name, numbered};
use super::path::{Path, Position, Upto};
use super::sweep::Sweep;

/// The delta of a table, and how its rows are brought up to date in copies.
#[derive(Clone, Debug)]
pub struct Delta {
    /// Its own table.
    pub(super) table: Name,
    live: Path,
    copies: Vec<Copying>,
    is_void_after_vacuum: bool,
    /// What no row may be found to be, when it is copied for the last time.
    check: Option<Sweep>,
    uniques: Vec<Unique>,
    columns: Vec<Name>,
    /// What REPLACE puts in the place of a NULL, column by column.
    defaults: BTreeMap<String, String>,
    change: i64,
}

/// Whether it is a trigger by which the change notes which rows are written.
pub(super) fn notes(change: i64, object: &Object) -> bool {
    let noted = name(change, NOTED);
    object.kind == Kind::Trigger && object.name.as_str().starts_with(noted.as_str())
}

/// How the names of the triggers begin.
const NOTED: &str = "noted_";

/// What stands in the delta: the number of the entry, and the key of a row.
pub type Entry = (i64, Position);

/// What brings a row up to date, whichever row it is.
#[derive(Clone, Debug)]
pub struct Refresh {
    steps: Vec<Step>,
    /// How many values each binds before those of the key.
    others: usize,
}

impl Refresh {
    /// The steps for the row with the key.
    pub fn of(&mut self, key: &Position) -> &[Step] {
        for Step { statement, .. } in &mut self.steps {
            statement.params.truncate(self.others);
            statement.params.extend(key.iter().cloned());
        }
        &self.steps
    }
}

impl Delta {
    pub(super) fn new(
        change: i64,
        table: &Table,
        uniques: Vec<Unique>,
        copies: Vec<Copying>,
        check: Option<Sweep>,
    ) -> Self {
        Self {
            table: delta_name(change),
            live: Path {
                table: table.name.clone(),
                key: table.key.clone(),
            },
            copies,
            is_void_after_vacuum: matches!(table.key, Key::Rowid { hidden: true, .. }),
            check,
            uniques,
            columns: table.columns.iter().map(|it| it.name.clone()).collect(),
            defaults: table.replaced_nulls(),
            change,
        }
    }

    /// The same for copies whose b-trees our connection knows by their root pages.
    pub(super) fn of_imposters(self, copies: Vec<Copying>) -> Self {
        Self {
            copies,
            is_void_after_vacuum: true,
            ..self
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

    /// The number of the newest entry.
    #[must_use]
    pub fn newest(&self) -> Statement {
        Statement::new(format!("SELECT max(seq) FROM {}", self.table))
    }

    /// Whether the copies count for nothing once the number of the schema has changed. VACUUM changes it: it gives rows other
    /// rowids where no column shows them, and b-trees other root pages.
    #[must_use]
    pub fn is_void_after_vacuum(&self) -> bool {
        self.is_void_after_vacuum
    }

    /// Brings a row up to date in the copies, as far as rows are copied.
    #[must_use]
    pub fn refresh(&self, upto: Option<Upto<'_>>) -> Refresh {
        let check = upto.zip(self.check.as_ref());
        let check = check.map(|(upto, check)| check.step(&self.live.row(upto)));
        let refreshed = self.copies.iter().flat_map(|it| it.refresh(upto));
        Refresh {
            steps: check.into_iter().chain(refreshed).collect(),
            others: match upto {
                Some(Upto::Key(upto)) => upto.len(),
                Some(Upto::End) | None => 0,
            },
        }
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

    /// Notes all rows whose keys stand in a table of ours.
    pub(super) fn note_all(&self, keys: &Name) -> Step {
        let (table, columns) = (&self.table, self.keys().join(", "));
        Step::run(
            "they are noted",
            Statement::new(format!(
                "INSERT INTO {table} ({columns}) SELECT {columns} FROM {keys}"
            )),
        )
    }

    /// Drops the table, which is empty.
    pub(super) fn drop_table(&self) -> Step {
        drop_table("nor is the delta, which is empty", &self.table)
    }

    /// That a row with this key is not in the delta.
    ///
    /// SQLite collects the keys once for all rows that a statement asks this of. The delta has no index, since applications
    /// would have to keep it up, and grows for as long as such a statement takes.
    pub(super) fn lacks(&self, key: &[String]) -> String {
        let keys = self.keys();
        let known: Vec<String> = keys.iter().map(|it| format!("{it} IS NOT NULL")).collect();
        format!(
            "({}) NOT IN (SELECT {} FROM {} WHERE {})",
            key.join(", "),
            keys.join(", "),
            self.table,
            known.join(" AND ")
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
    ///
    /// What can be noted before a row is written is noted then: a trigger of the application that fires behind that may
    /// say RAISE(IGNORE), which leaves the row written and fires no other.
    pub(super) fn triggers(&self) -> Vec<Object> {
        let mut triggers = Vec::new();
        if !self.uniques.is_empty() {
            let replaced = self.uniques.iter().map(|it| self.replaced_by(it));
            triggers.push(self.trigger("BEFORE INSERT", &replaced.collect::<Vec<_>>()));
        }
        let (old, new) = (self.of_row("OLD"), self.of_row("NEW"));
        triggers.push(self.trigger("AFTER INSERT", &[self.noted(&new)]));
        let moved = self.noted_if(&self.to_come(), &unlike(&new, &old));
        let mut updated = vec![self.noted(&old), moved];
        updated.extend(self.uniques.iter().map(|it| self.replaced_in_update_by(it)));
        triggers.push(self.trigger("BEFORE UPDATE", &updated));
        triggers.push(self.trigger("BEFORE DELETE", &[self.noted(&old)]));
        triggers
    }

    fn trigger(&self, event: &str, statements: &[String]) -> Object {
        let what = event.to_lowercase().replace(' ', "_");
        let name = name(self.change, &format!("{NOTED}{what}"));
        let table = &self.live.table;
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

    /// Notes the row of that key.
    fn noted(&self, key: &[String]) -> String {
        let (table, keys) = (&self.table, self.keys().join(", "));
        format!("INSERT INTO {table} ({keys}) VALUES ({})", key.join(", "))
    }

    /// The same under a condition.
    fn noted_if(&self, key: &[String], condition: &str) -> String {
        let (table, keys) = (&self.table, self.keys().join(", "));
        format!(
            "INSERT INTO {table} ({keys}) SELECT {} WHERE {condition}",
            key.join(", ")
        )
    }

    /// Notes the rows that share a unique key with the row to come.
    fn replaced_by(&self, unique: &Unique) -> String {
        let live = &self.live;
        format!(
            "INSERT INTO {} ({}) SELECT {} FROM {} WHERE {}",
            self.table,
            self.keys().join(", "),
            names(live).join(", "),
            live.table,
            unique.shared_with_new(&self.columns, &self.defaults)
        )
    }

    /// The same in an UPDATE, which may leave that key as it is.
    fn replaced_in_update_by(&self, unique: &Unique) -> String {
        let noted = self.replaced_by(unique);
        let Some(columns) = unique.columns() else {
            return noted;
        };
        let of_row = |row| -> Vec<String> {
            let columns = columns.iter();
            columns.map(|column| format!("{row}.{column}")).collect()
        };
        format!("{noted} AND ({})", unlike(&of_row("NEW"), &of_row("OLD")))
    }

    /// The key that a row is about to get. REPLACE puts its default in the place of a NULL.
    fn to_come(&self) -> Vec<String> {
        let names = self.live.key_names().into_iter();
        let to_come = |name: &Name| match self.defaults.get(name.as_str()) {
            Some(default) => format!("ifnull(NEW.{name}, ({default}))"),
            None => format!("NEW.{name}"),
        };
        names.map(to_come).collect()
    }

    fn of_row(&self, row: &str) -> Vec<String> {
        let names = self.live.key_names();
        names.iter().map(|name| format!("{row}.{name}")).collect()
    }

    /// The columns of the delta that hold the key.
    fn keys(&self) -> Vec<String> {
        numbered("key", self.live.key_names().len()).collect()
    }
}

fn names(path: &Path) -> Vec<String> {
    path.key_names().iter().map(ToString::to_string).collect()
}

/// The condition under which two keys are not the same, to the byte.
fn unlike(one: &[String], other: &[String]) -> String {
    let pairs = one.iter().zip(other);
    let unlike: Vec<String> = pairs
        .map(|(one, other)| format!("{one} COLLATE BINARY IS NOT {other}"))
        .collect();
    unlike.join(" OR ")
}
