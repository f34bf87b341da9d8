//! A walk over all rows of a table, which changes them.

use rusqlite::types::Value;

use crate::database::{ForeignKeys, Statement};
use crate::name::Name;

use super::Step;
use super::backfill::Backfill;
use super::copying::Copying;
use super::delta::Delta;
use super::path::{Path, Position, Stretch};
use super::sweep::Sweep;

/// A walk over all rows in the order of their key, a short transaction at a time.
#[derive(Clone, Debug)]
pub struct Walk {
    /// What it is for.
    pub purpose: String,
    /// Whether foreign keys are enforced meanwhile.
    pub foreign_keys: ForeignKeys,
    /// The way.
    pub path: Path,
    /// Find the rows behind it that are not as they should be, of which there are some where keys changed under it.
    pub left: Vec<Sweep>,
    /// The rows that others write meanwhile.
    pub delta: Option<Delta>,
    /// Whether the ledger keeps how far it has come. What is left of rows tells that of itself.
    pub keeps_cursor: bool,
    pub(super) work: Work,
}

/// What a walk does to the rows.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// Brings the columns to agree.
    Backfill(Backfill),
    /// Copies them into the shadow.
    Copy(Copying),
    /// Removes them.
    Remove,
    /// Removes them where their key may hold NULL, so that no comparison says which lie before another: by these columns,
    /// which together find a row.
    RemoveFirst(Vec<Name>),
    /// Writes them into the b-tree of an index; the statement, before its WHERE.
    Fill(String),
}

impl Walk {
    /// Takes a backfill to all rows.
    pub(super) fn of(backfill: Backfill) -> Self {
        Self {
            purpose: "copy the values in batches, from key to key".to_owned(),
            foreign_keys: ForeignKeys::On,
            path: backfill.agreement.path.clone(),
            left: vec![Sweep::of_disagreement(&backfill.agreement)],
            delta: None,
            keeps_cursor: true,
            work: Work::Backfill(backfill),
        }
    }

    /// Whether the rows that others write are brought up to date on the way, rather than behind it.
    #[must_use]
    pub fn brings_up_to_date(&self) -> bool {
        matches!(self.work, Work::Copy(_))
    }

    /// Whether each batch is of the rows that come first by then, rather than of those behind the one before.
    #[must_use]
    pub fn takes_the_first(&self) -> bool {
        matches!(self.work, Work::RemoveFirst(_))
    }

    /// Finds the key up to which a batch of so many rows behind `after` goes; it is none near the end of the table.
    #[must_use]
    pub fn boundary(&self, after: Option<&Position>, rows: u32) -> Option<Statement> {
        if self.takes_the_first() {
            // No key is asked for, only whether there are so many.
            let table = &self.path.table;
            let sql = format!("SELECT TRUE FROM {table} LIMIT 1 OFFSET ?1");
            return Some(Statement::with(sql, [Value::Integer(i64::from(rows) - 1)]));
        }
        self.path.boundary(after, rows)
    }

    /// The walk in a single transaction, with the look behind it.
    #[must_use]
    pub fn whole(&self) -> Vec<Step> {
        let mut steps = match self.work {
            Work::RemoveFirst(_) => vec![self.remove(&Stretch::all())],
            _ => self.batch(None, None, u32::MAX),
        };
        steps.extend(self.left.iter().map(Sweep::whole));
        steps
    }

    /// The steps for the rows behind `after` and not behind `upto`, which are `rows` or, towards the end, fewer.
    #[must_use]
    pub fn batch(&self, after: Option<&Position>, upto: Option<&Position>, rows: u32) -> Vec<Step> {
        let stretch = self.path.stretch(after, upto);
        match &self.work {
            Work::Backfill(backfill) => backfill.batch(&stretch),
            Work::Copy(copying) => vec![
                copying.remove(&copying.shadow.stretch(after, upto)),
                copying.copy(&stretch),
            ],
            Work::Fill(head) => vec![Step::run(
                "the entries as the index orders them",
                stretch.select(head, "TRUE"),
            )],
            Work::Remove => vec![self.remove(&stretch)],
            Work::RemoveFirst(columns) => self.remove_first(columns, rows),
        }
    }

    fn remove(&self, stretch: &Stretch) -> Step {
        Step::run(
            "these rows are not needed any more",
            stretch.select(&format!("DELETE FROM {}", self.path.table), "TRUE"),
        )
    }

    /// Each row is found by its own key, for which IS knows NULL too. The view and its trigger are a temporary pair that the
    /// batch makes for that, and are gone with it however it ends.
    fn remove_first(&self, columns: &[Name], rows: u32) -> Vec<Step> {
        let table = &self.path.table;
        let names = columns.iter().map(ToString::to_string);
        let names = names.collect::<Vec<_>>().join(", ");
        let called = |what| Name::new(format!("{}_{what}", table.as_str()));
        let (view, trigger) = (called("going"), called("gone"));
        let same: Vec<String> = columns
            .iter()
            .map(|it| format!("{it} IS NEW.{it}"))
            .collect();
        let same = same.join(" AND ");
        let run = |why: &str, sql: String| Step::run(why, Statement::new(sql));
        vec![
            run(
                "a view: what is written to it",
                format!("CREATE TEMP VIEW {view} AS SELECT {names} FROM {table}"),
            ),
            run(
                "goes from the table",
                format!(
                    "CREATE TEMP TRIGGER {trigger} INSTEAD OF INSERT ON {view} BEGIN DELETE FROM {table} WHERE {same}; \
                     SELECT RAISE(ABORT, 'a row is not found by its key') WHERE changes() <> 1; END"
                ),
            ),
            Step::run(
                "the first rows are not needed any more",
                Statement::with(
                    format!("INSERT INTO {view} SELECT {names} FROM {table} LIMIT ?1"),
                    [Value::Integer(rows.into())],
                ),
            ),
            run("nor is the view", format!("DROP VIEW temp.{view}")),
        ]
    }
}
