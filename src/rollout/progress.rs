//! What a rollout tells while it goes on.

use std::ops::ControlFlow;

use crate::event::Event;
use crate::ledger::Entry;

use super::command::Failure;

/// Something that has happened. What is told as done is in the ledger.
#[derive(Clone, Debug)]
pub enum Progress<'a> {
    /// A phase goes on.
    Event(&'a Event),
    /// A phase is applied, now or by an earlier run.
    Applied(&'a Entry),
    /// Something has become of an instance.
    Instance {
        /// What it is called.
        name: &'a str,
        /// What has become of it.
        step: &'a Step,
    },
    /// Commands or health checks go on. Told ten times a second.
    Working,
}

/// What becomes of an instance on its way to the new version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// A command that an earlier run started is waited for.
    Awaiting {
        /// The process.
        process: String,
    },
    /// The deploy command runs.
    Deploying {
        /// The process.
        process: String,
    },
    /// A health check failed, and is tried again.
    Unanswered {
        /// Which attempt that was, from 1 on.
        attempt: u32,
        /// How many there are.
        of: u32,
        /// What is the matter.
        problem: String,
    },
    /// It is healthy in the new version.
    Healthy,
    /// It did not become healthy in the new version.
    Unhealthy(Failure),
    /// The restore command runs.
    Restoring {
        /// The process.
        process: String,
    },
    /// It is healthy in the old version.
    Restored,
    /// It did not become healthy in the old version either.
    Lost(Failure),
    /// There is no command that would put it back.
    Left,
}

/// Sees every [`Progress`]. Its `Break` stops a phase there, and the rest behind the instances that are on their way,
/// with [`Error::Stopped`](crate::Error::Stopped).
pub type Observer<'a> = dyn FnMut(&Progress<'_>) -> ControlFlow<()> + 'a;
