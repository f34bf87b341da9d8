//! The backfill: every row gets its value in the new column, a short transaction at a time.

use crate::request::Winner;

use super::path::Stretch;
use super::{Agreement, Step};

/// What brings the rows of a stretch to agree.
#[derive(Clone, Debug)]
pub(super) struct Backfill {
    pub(super) agreement: Agreement,
    winner: Option<Winner>,
    counted: Option<Step>,
    writes_null: bool,
}

impl Backfill {
    /// Gives every row without a new value one, and where both columns have one the winner's; `counted` runs
    /// behind each UPDATE that does the former.
    pub(super) fn new(
        agreement: &Agreement,
        winner: Option<Winner>,
        counted: Option<Step>,
    ) -> Self {
        Self {
            agreement: agreement.clone(),
            winner,
            counted,
            writes_null: false,
        }
    }

    /// NULL is written into rows that may hold nothing of the column yet, which a default that the column is to get
    /// would fill otherwise.
    pub(super) fn writing_null(mut self, writes_null: bool) -> Self {
        self.writes_null = writes_null;
        self
    }

    /// The steps for the rows of a stretch.
    pub(super) fn batch(&self, stretch: &Stretch) -> Vec<Step> {
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
