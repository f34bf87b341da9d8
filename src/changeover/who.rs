//! Who uses the file, and what that means for each open change.

use std::time::Duration;

use crate::census::Process;
use crate::error::Result;
use crate::gate::{Terms, Verdict};
use crate::instance::Instance;
use crate::ledger::{self, Change};
use crate::name::Name;
use crate::phase::State;
use crate::request::QUIET;

use super::{Changeover, View};

/// All that is known of those who use the file. Who only reads by the old name leaves no trace in it.
#[derive(Clone, Debug)]
pub struct Who {
    /// The version of the latest phase; 0 where none was applied.
    pub version: i64,
    /// Who has registered: those that live first.
    pub instances: Vec<Instance>,
    /// The other processes that have the file open; none where the system does not tell.
    pub processes: Option<Vec<Process>>,
    /// The open changes.
    pub changes: Vec<Judged>,
}

/// An open change, and what the gate says of it on the usual terms.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The table.
    pub table: Name,
    /// The old column, once it is named.
    pub old: Option<Name>,
    /// The new column.
    pub new: Name,
    /// How far it has come. One that is contracting has passed the gate, and goes on without asking it again.
    pub state: State,
    /// How long ago an application last wrote the old column alone.
    pub old_write: Option<Duration>,
    /// The verdict.
    pub verdict: Verdict,
}

/// The terms of a contract that says nothing of them.
const USUAL: Terms = Terms {
    quiet_for: QUIET,
    strict: false,
};

impl Changeover {
    /// Who uses the file, as far as that can be told, and what keeps the gate of each open change shut.
    pub fn who(&self) -> Result<Who> {
        let processes = self.processes();
        self.snapshot(|view| {
            let open = view.ledger.changes.iter().filter(|it| it.state.is_open());
            let changes = open.map(|change| view.judged(change, processes.as_deref()));
            Ok(Who {
                version: view.ledger.version(),
                instances: view.instances()?,
                changes: changes.collect::<Result<_>>()?,
                processes: processes.clone(),
            })
        })
    }
}

impl View<'_> {
    fn judged(&self, change: &Change, processes: Option<&[Process]>) -> Result<Judged> {
        Ok(Judged {
            table: change.table.clone(),
            old: change.old.clone(),
            new: change.new.clone(),
            state: change.state,
            old_write: ledger::last_old_write(self.connection, change.id)?,
            verdict: self.verdict(change, processes, &USUAL)?,
        })
    }
}
