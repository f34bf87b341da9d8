//! Copying rows of a table into another beside it, under the same key.

use crate::database::Statement;
use crate::schema::Key;

use super::Step;
use super::agreement::other;
use super::path::{Path, Stretch, Upto};

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

    /// Which rows of the live table are copied.
    pub(super) fn condition(&self) -> &str {
        self.condition.as_deref().unwrap_or("TRUE")
    }
}
