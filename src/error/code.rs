//! The stable code of each error, for machines.

use super::Error;

/// The stable code of an error, numbered as Maelstrom numbers its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Code {
    /// The file or the request asks for something that cannot be done.
    NotSupported = 10,
    /// Another connection kept the file locked; the same request may do later.
    TemporarilyUnavailable = 11,
    /// The request itself is wrong.
    MalformedRequest = 12,
    /// The file, the disk or SQLite failed.
    Crash = 13,
    /// No such file, table or column.
    DoesNotExist = 20,
    /// It is there already.
    AlreadyExists = 21,
    /// A check refused: the order of the phases, the data, or what would break.
    PreconditionFailed = 22,
}

impl Error {
    /// The stable code, for machines.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotSupported(_)
            | Self::NotAnOrdinaryTable { .. }
            | Self::Generated { .. }
            | Self::NotWritable { .. }
            | Self::LedgerTooNew { .. } => Code::NotSupported,
            Self::Busy
            | Self::Unsettled
            | Self::Stopped
            | Self::CalledOff
            | Self::Running(_)
            | Self::TakenOver => Code::TemporarilyUnavailable,
            Self::Malformed(_)
            | Self::BadRollout { .. }
            | Self::NotAType(..)
            | Self::NotAnExpression { .. }
            | Self::OneWay { .. }
            | Self::NotAnIndex { .. } => Code::MalformedRequest,
            Self::NotAFile(_)
            | Self::NotADatabase
            | Self::Damaged(_)
            | Self::ReadOnly(_)
            | Self::DiskFull
            | Self::Sqlite(_)
            | Self::Io(_)
            | Self::Unexpected(_)
            | Self::Ledger(_) => Code::Crash,
            Self::NoSuchFile(_)
            | Self::NoSuchTable { .. }
            | Self::NoSuchColumn { .. }
            | Self::NoSuchIndex { .. }
            | Self::NoTableHas(_)
            | Self::NoSuchInstance(_) => Code::DoesNotExist,
            Self::FileExists(_) | Self::ColumnExists { .. } | Self::NameTaken { .. } => {
                Code::AlreadyExists
            }
            Self::ChangeOpen { .. }
            | Self::IndexOpen { .. }
            | Self::ForgetOpen(_)
            | Self::NoLedger
            | Self::NothingToMigrate { .. }
            | Self::Ambiguous { .. }
            | Self::OtherSource { .. }
            | Self::NotMigrated { .. }
            | Self::NothingReplaces { .. }
            | Self::HeldYet { .. }
            | Self::NotUndone { .. }
            | Self::NothingHeld(_)
            | Self::NoOpenChange(_)
            | Self::NothingOpen
            | Self::BegunOtherwise { .. }
            | Self::TableChanged { .. }
            | Self::NeedsBoth { .. }
            | Self::VersionAhead { .. }
            | Self::GateShut { .. }
            | Self::WouldBreak { .. }
            | Self::Disagreement { .. }
            | Self::Duplicates { .. }
            | Self::IndexDiffers { .. }
            | Self::OutOfStep { .. }
            | Self::NothingToVerify(_)
            | Self::WouldLose { .. }
            | Self::NoRoom { .. }
            | Self::Unhealthy(_)
            | Self::Constraint(_) => Code::PreconditionFailed,
        }
    }
}
