//! Copying rows of a table into another beside it, under the same key.

use crate::database::Statement;
use crate::schema::Key;

use super::agreement::other;
use super::delta::Delta;
use super::path::{Path, Stretch, Upto};
use super::walk::Sweep;
use super::{Expect, Step};

/// Copying rows of the live table into a shadow of it.
#[derive(Clone, Debug)]
pub(super) struct Copying {
    /// The live table.
    pub(super) live: Path,
    /// The shadow, under whose key a row is found there.
    pub(super) shadow: Path,
    /// The columns of the shadow, a hidden rowid among them.
    pub(super) columns: Vec<String>,
    /// The values of each, over the live table.
    pub(super) values: Vec<String>,
    /// Which rows are copied, where that is not all.
    pub(super) condition: Option<String>,
}

impl Copying {
    /// Copies the rows of a stretch of the live table.
    pub(super) fn copy(&self, stretch: &Stretch) -> Step {
        let head = format!(
            "INSERT OR ABORT INTO {} ({}) SELECT {} FROM {}",
            self.shadow.table,
            self.columns.join(", "),
            self.values.join(", "),
            self.live.table
        );
        let mut statement = stretch.select(&head, self.condition());
        if let Key::Rowid { name, .. } = &self.live.key {
            let order = format!(" ORDER BY {name}");
            statement.sql.push_str(&order);
        }
        Step::run("every row, with its rowid", statement)
    }

    /// Removes the rows of a stretch of the shadow.
    pub(super) fn remove(&self, stretch: &Stretch) -> Step {
        let head = format!("DELETE FROM {}", self.shadow.table);
        Step::run(
            "what an earlier copy left there",
            stretch.select(&head, "TRUE"),
        )
    }

    /// Brings one row of the shadow to be what it is in the live table, where rows are copied as far as that. What is so already
    /// is not written. The values of the row's key are yet to come.
    pub(super) fn refresh(&self, upto: Option<Upto<'_>>) -> Vec<Step> {
        match upto.map(|upto| self.live.row(upto)) {
            Some(row) => vec![self.remove_gone(&row), self.put(&row)],
            None => vec![self.remove(&self.shadow.row(Upto::End))],
        }
    }

    /// Removes the row of the key from the shadow, where the live table does not have it.
    fn remove_gone(&self, row: &Stretch) -> Step {
        let there = format!("SELECT 1 FROM {}", self.live.table);
        let Statement { sql, params } = row.select(&there, self.condition());
        Step::run(
            "a row that is there no more",
            Statement::with(
                format!(
                    "DELETE FROM {} WHERE {} AND NOT EXISTS ({sql})",
                    self.shadow.table,
                    self.shadow.is_bound_behind(params.len())
                ),
                params,
            ),
        )
    }

    /// Copies the row of a stretch over the one that the shadow has under its key.
    fn put(&self, row: &Stretch) -> Step {
        let mut step = self.copy(row);
        let table = &self.shadow.table;
        let own = |column: &&String| match &self.shadow.key {
            Key::Rowid { name, .. } => **column != name.to_string(),
            Key::Columns(_) | Key::None => true,
        };
        let columns: Vec<&String> = self.columns.iter().filter(own).collect();
        let set = columns.iter().map(|it| format!("{it} = excluded.{it}"));
        let unlike = columns.iter().map(|it| {
            let (one, another) = (format!("{table}.{it}"), format!("excluded.{it}"));
            // SQLite takes 0.0 and -0.0 for the same.
            let sign = format!("typeof({one}) = 'real' AND {one} = 0");
            format!("{} OR {sign}", other(&one, &another))
        });
        let instead = if columns.is_empty() {
            "NOTHING".to_owned()
        } else {
            let set = set.collect::<Vec<_>>().join(", ");
            let unlike = unlike.collect::<Vec<_>>().join(" OR ");
            format!("UPDATE SET {set} WHERE {unlike}")
        };
        let sql = &mut step.statement.sql;
        *sql = format!("{sql} ON CONFLICT DO {instead}");
        step
    }

    fn condition(&self) -> &str {
        self.condition.as_deref().unwrap_or("TRUE")
    }

    /// Finds rows of the live table that the shadow does not hold, or holds otherwise.
    pub(super) fn unlike(&self, delta: &Delta) -> Sweep {
        let keys = self.live.key_names();
        let numbered = |what: &str, values: &[String]| -> Vec<String> {
            let values = values.iter().zip(1..);
            values
                .map(|(value, at)| format!("{value} AS {what}_{at}"))
                .collect()
        };
        let key_values: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let mut inner = numbered("key", &key_values);
        inner.extend(numbered("value", &self.values));
        let shadow = |column: &str| format!("shadow.{column}");
        let joined = self.shadow.compared().into_iter().zip(1..);
        let joined: Vec<String> = joined
            .map(|(column, at)| format!("{} = live.key_{at}", shadow(&column)))
            .collect();
        let unlike = self.columns.iter().zip(1..);
        let mut unlike: Vec<String> = unlike
            .map(|(column, at)| other(&shadow(column), &format!("live.value_{at}")))
            .collect();
        unlike.extend(
            self.shadow
                .key_names()
                .iter()
                .map(|it| format!("shadow.{it} IS NULL")),
        );
        let live_keys: Vec<String> = (1..=keys.len())
            .map(|at| format!("live.key_{at}"))
            .collect();
        let shown = keys.iter().zip(&live_keys);
        let shown: Vec<String> = shown
            .map(|(name, key)| format!("{key} AS {name}"))
            .collect();
        Sweep {
            purpose: "look for rows that the copy does not hold as they are".to_owned(),
            path: self.live.clone(),
            head: format!(
                "SELECT {} FROM (SELECT {} FROM {}",
                shown.join(", "),
                inner.join(", "),
                self.live.table
            ),
            condition: self.condition().to_owned(),
            tail: format!(
                ") AS live LEFT JOIN {} AS shadow ON {} WHERE ({}) AND {}",
                self.shadow.table,
                joined.join(" AND "),
                unlike.join(" OR "),
                delta.lacks(&live_keys)
            ),
            expect: Expect::NoRow("the copy does not hold the rows of the table"),
        }
    }

    /// Finds rows of the shadow that the live table does not have.
    pub(super) fn left_over(&self, delta: &Delta) -> Sweep {
        let names = self.shadow.key_names();
        let keys: Vec<String> = names
            .iter()
            .map(|it| format!("{}.{it}", self.shadow.table))
            .collect();
        let equal = self.live.compared().into_iter().zip(&keys);
        let live = &self.live.table;
        let mut equal: Vec<String> = equal
            .map(|(here, there)| format!("{live}.{here} = {there}"))
            .collect();
        equal.extend(self.condition.clone());
        let condition = format!(
            "NOT EXISTS (SELECT 1 FROM {live} WHERE {}) AND {}",
            equal.join(" AND "),
            delta.lacks(&keys)
        );
        Sweep::new(
            "look for rows that are in the copy alone",
            &self.shadow,
            condition,
            Expect::NoRow("the copy holds rows that the table does not have"),
        )
    }
}
