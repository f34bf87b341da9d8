//! What has just become durable: told to an observer after each commit.

use std::ops::ControlFlow;

use crate::phase::Phase;

/// Something that a commit has just made durable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The ledger's tables stand in the file.
    LedgerReady,
    /// The backfill has begun, or goes on where an earlier run stopped.
    BackfillStarted {
        /// Rows in the table.
        rows: u64,
    },
    /// A batch of the backfill is in the file.
    BatchDone {
        /// Rows that this run has passed.
        passed: u64,
        /// Rows in the table when this run began.
        rows: u64,
    },
    /// A phase is recorded.
    PhaseDone {
        /// Which one.
        phase: Phase,
        /// Its version.
        version: i64,
    },
}

/// Sees every [`Event`]; its `Break` stops the work there, with [`Error::Stopped`](crate::Error::Stopped).
pub type Observer<'a> = dyn FnMut(&Event) -> ControlFlow<()> + 'a;

/// An observer that lets everything pass.
pub fn unobserved(_: &Event) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
