//! The backfill: every row gets its value in the new column, a short transaction at a time.

use crate::database::{ForeignKeys, Statement};
use crate::request::Winner;

use super::path::{Path, Stretch};
use super::{Agreement, Expect, Step};

/// A walk over all rows in the order of their key that brings them to agree.
#[derive(Clone, Debug)]
pub struct Walk {
    /// What it is for.
    pub purpose: String,
    /// Whether foreign keys are enforced meanwhile.
    pub foreign_keys: ForeignKeys,
    /// The way.
    pub path: Path,
    /// Finds the rows that do not agree behind it, of which there are some where keys changed under it.
    pub left: Sweep,
    agreement: Agreement,
    winner: Option<Winner>,
    counted: Option<Step>,
    /// Whether NULL is written into rows that may hold nothing of the column yet, which a default that the column is
    /// to get would fill otherwise.
    pub(super) writes_null: bool,
}

impl Walk {
    /// Gives every row without a new value one, and where both columns have one the winner's; `counted` runs
    /// behind each UPDATE that does the former.
    pub(super) fn new(
        agreement: &Agreement,
        winner: Option<Winner>,
        counted: Option<Step>,
    ) -> Self {
        Self {
            purpose: "copy the values in batches, from key to key".to_owned(),
            foreign_keys: ForeignKeys::On,
            path: agreement.path.clone(),
            left: Sweep::of_disagreement(agreement),
            agreement: agreement.clone(),
            winner,
            counted,
            writes_null: false,
        }
    }

    /// The walk in a single transaction, with the look behind it.
    #[must_use]
    pub fn whole(&self) -> Vec<Step> {
        let mut steps = self.batch(&Stretch::all());
        steps.push(self.left.whole());
        steps
    }

    /// The steps for the rows of a stretch.
    #[must_use]
    pub fn batch(&self, stretch: &Stretch) -> Vec<Step> {
        let mut steps = Vec::new();
        for mut settling in self.agreement.settling(self.winner) {
            if self.writes_null && settling.fills {
                settling.condition = self.agreement.unset();
            }
            let statement = settling.statement(&self.agreement, stretch);
            steps.push(Step::run(settling.why, statement));
            if settling.counts {
                steps.extend(self.counted.clone());
            }
        }
        steps
    }
}

/// A look at all rows in the order of their key, a stretch at a time, so that no read transaction lasts long.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// What it is for.
    pub purpose: String,
    /// The way.
    pub path: Path,
    /// What it looks for.
    condition: String,
    /// What must come of it.
    pub expect: Expect,
}

impl Sweep {
    /// Finds the rows whose columns do not agree.
    #[must_use]
    pub fn of_disagreement(agreement: &Agreement) -> Self {
        Self::of(
            "look for rows in which the two differ",
            agreement,
            agreement.differ(),
        )
    }

    /// Finds the rows in which both columns hold a value and these do not agree.
    #[must_use]
    pub fn of_conflicts(agreement: &Agreement) -> Self {
        Self::of(
            "look for rows that hold two values",
            agreement,
            agreement.conflict(),
        )
    }

    fn of(purpose: &str, agreement: &Agreement, condition: String) -> Self {
        Self {
            purpose: purpose.to_owned(),
            path: agreement.path.clone(),
            condition,
            expect: agreement.expected(),
        }
    }

    /// The keys of the rows that it looks for, in a stretch.
    #[must_use]
    pub fn query(&self, stretch: &Stretch) -> Statement {
        self.path.keys_where(stretch, &self.condition)
    }

    /// The same as one step.
    #[must_use]
    pub fn whole(&self) -> Step {
        Step::expecting(
            self.purpose.clone(),
            self.query(&Stretch::all()),
            self.expect.clone(),
        )
    }
}
