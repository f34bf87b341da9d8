//! A look at all rows of a table.

use crate::database::Statement;

use super::agreement::Agreement;
use super::path::{Path, Stretch};
use super::{Expect, Manner, Part, Step};

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
