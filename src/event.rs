//! What the work has come to: told to an observer after each commit, and while nothing can be committed.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::phase::Phase;

/// Something that a commit has just made durable, or that is done or waited for on the way to the next one.
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
    /// The last batch of the backfill is in the file.
    BackfillDone {
        /// How long its batches held the write lock.
        holds: Holds,
    },
    /// A step of a transaction is done, and nothing of it committed yet.
    StepDone {
        /// How many are done.
        done: usize,
        /// How many there are.
        steps: usize,
    },
    /// Rows were read, which made nothing durable.
    Looked {
        /// Rows that were read so far.
        rows: u64,
    },
    /// The work is held up, and goes on by itself once the other connection gives way. Told ten times a second.
    Waiting {
        /// What it waits for.
        on: Obstacle,
        /// For how long it has waited.
        so_far: Duration,
    },
    /// Contract waits until the gate opens. Told once, and again when other reasons keep it shut.
    GateShut {
        /// Each in words.
        reasons: Vec<String>,
    },
    /// Contract passes the gate although something speaks against it.
    GatePassed {
        /// What, each in words.
        in_spite_of: Vec<String>,
    },
    /// What was built beside the table, another one or indexes, is in its place.
    CutOver {
        /// For how long that held the write lock.
        held: Duration,
    },
    /// Something about the indexes that were built beside their table is not as it must be: they are made at once instead.
    IndexesAtOnce {
        /// What that was.
        why: String,
    },
    /// A phase is recorded.
    PhaseDone {
        /// Which one.
        phase: Phase,
        /// Its version.
        version: i64,
    },
}

/// What another connection has that the work waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Obstacle {
    /// The write lock.
    Lock,
    /// A long read: the write-ahead log is full, and cannot be begun anew while somebody reads from it.
    FullLog,
    /// Another process that works on the same change.
    Runner,
    /// Somebody has paused the work.
    Pause,
    /// The gate before contract: somebody may still use the old column.
    Gate,
}

/// How long the write lock was held in the many transactions of one piece of work.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Holds {
    /// How many times.
    pub turns: u64,
    /// The time that half of the holds did not exceed, to an eighth.
    pub p50: Duration,
    /// The time that 99 of a hundred did not exceed, to an eighth.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
    /// How long the lock was waited for, all in all.
    pub waited: Duration,
}

/// Sees every [`Event`]; its `Break` stops the work there, with [`Error::Stopped`](crate::Error::Stopped).
pub type Observer<'a> = dyn FnMut(&Event) -> ControlFlow<()> + 'a;

/// An observer that lets everything pass.
pub fn unobserved(_: &Event) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
