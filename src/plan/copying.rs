//! Copying rows of a table into another beside it, under the same key.

use crate::schema::Key;

use super::agreement::other;
use super::delta::Delta;
use super::path::{Path, Stretch};
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
