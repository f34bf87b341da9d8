//! Work on all rows of a table: a walk that changes them, a sweep that looks at them.

use crate::database::{ForeignKeys, Statement};

use super::backfill::Backfill;
use super::copying::Copying;
use super::path::{Path, Position, Stretch};
use super::{Agreement, Delta, Expect, Manner, Part, Step};

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
    /// Writes them into the b-tree of an index; the statement, before its WHERE.
    Fill(String),
}

impl Walk {
    /// Whether the rows that others write are brought up to date on the way, rather than behind it.
    #[must_use]
    pub fn brings_up_to_date(&self) -> bool {
        matches!(self.work, Work::Copy(_))
    }

    /// The walk in a single transaction, with the look behind it.
    #[must_use]
    pub fn whole(&self) -> Vec<Step> {
        let mut steps = self.batch(None, None);
        steps.extend(self.left.iter().map(Sweep::whole));
        steps
    }

    /// The steps for the rows behind `after` and not behind `upto`.
    #[must_use]
    pub fn batch(&self, after: Option<&Position>, upto: Option<&Position>) -> Vec<Step> {
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
            Work::Remove => vec![Step::run(
                "these rows are not needed any more",
                stretch.select(&format!("DELETE FROM {}", self.path.table), "TRUE"),
            )],
        }
    }
}

/// A look at all rows in the order of their key, a stretch at a time, so that no read transaction lasts long.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// What it is for.
    pub purpose: String,
    /// The way.
    pub path: Path,
    /// What must come of it.
    pub expect: Expect,
    /// The query for what it looks for: all before WHERE, the condition, and what is behind that.
    pub(super) head: String,
    pub(super) condition: String,
    pub(super) tail: String,
}

impl Sweep {
    /// Finds the rows whose columns do not agree.
    #[must_use]
    pub fn of_disagreement(agreement: &Agreement) -> Self {
        Self::new(
            "look for rows in which the two differ",
            &agreement.path,
            agreement.differ(),
            agreement.expected(),
        )
    }

    /// Finds the rows in which both columns hold a value and these do not agree.
    #[must_use]
    pub fn of_conflicts(agreement: &Agreement) -> Self {
        Self::new(
            "look for rows that hold two values",
            &agreement.path,
            agreement.conflict(),
            agreement.expected(),
        )
    }

    /// Finds the rows that fulfil the condition.
    pub(super) fn new(purpose: &str, path: &Path, condition: String, expect: Expect) -> Self {
        Self {
            purpose: purpose.to_owned(),
            head: path.select_keys(),
            path: path.clone(),
            condition,
            tail: String::new(),
            expect,
        }
    }

    /// The keys of the rows that it looks for, in a stretch.
    #[must_use]
    pub fn query(&self, stretch: &Stretch) -> Statement {
        let mut query = stretch.select(&self.head, &self.condition);
        query.sql.push_str(&self.tail);
        query
    }

    /// How a plan shows it.
    pub(super) fn part(&self) -> Part<'_> {
        (Manner::Sweep, vec![self.whole()], &self.purpose)
    }

    /// The look at a stretch as a step.
    pub(super) fn step(&self, stretch: &Stretch) -> Step {
        Step::expecting(
            self.purpose.clone(),
            self.query(stretch),
            self.expect.clone(),
        )
    }

    /// The look at all rows as one step.
    #[must_use]
    pub fn whole(&self) -> Step {
        self.step(&Stretch::all())
    }
}
