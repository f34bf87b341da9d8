//! The command line: its arguments, and what each command says.

mod args;
mod commands;
mod index_args;
mod printer;
mod rollout;
mod shell;
mod status;
mod stop;
mod table;
mod verified;
mod who;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::changeover::Changeover;
use crate::error::{Code, Error, Result};

pub use args::{Cli, Command, Globals, NodeArgs};
pub use commands::{report, run};

/// What the process tells the shell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum ExitStatus {
    /// It is done.
    Done = 0,
    /// The file, the disk or SQLite failed.
    Failed = 1,
    /// The command line or the request is wrong.
    Usage = 2,
    /// A check refused it; nothing was changed.
    Refused = 3,
    /// The file stayed locked, or the work was stopped: the same command goes on.
    Busy = 4,
}

impl From<&Error> for ExitStatus {
    fn from(error: &Error) -> Self {
        match error.code() {
            Code::Crash => Self::Failed,
            Code::MalformedRequest => Self::Usage,
            Code::TemporarilyUnavailable => Self::Busy,
            Code::NotSupported
            | Code::DoesNotExist
            | Code::AlreadyExists
            | Code::PreconditionFailed => Self::Refused,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// Opens the file that the command line names.
fn open(globals: &Globals) -> Result<(Changeover, &PathBuf)> {
    let db = globals.db.as_ref().ok_or_else(|| {
        Error::Malformed("name the file with --db PATH or in CHANGEOVER_DB".to_owned())
    })?;
    Ok((Changeover::open(db, globals.options())?, db))
}
