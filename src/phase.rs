//! The phases of a change and the states that they lead through.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A step of a change that is applied and recorded under a version.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The new column stands beside the old one.
    Expand,
    /// Every row has its value in the new column.
    MigrateData,
    /// The new column stands in the place of the old one, which can be read still.
    Hold,
    /// The new column stands in the place of the old one.
    Contract,
    /// A table has an index more.
    AddIndex,
    /// The hold is undone: both columns are kept in step as they were before it.
    Undo,
    /// The change is undone: the old column alone.
    Abort,
}

/// How far a change has come.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Expand is done.
    Expanded,
    /// The backfill has begun.
    Migrating,
    /// Every row was copied.
    Migrated,
    /// An online rebuild without the old column has begun.
    Contracting,
    /// The old column is held: computed from the new one, it can be read and not written.
    Held,
    /// An online rebuild that brings the old column back has begun.
    Undoing,
    /// Done: the old column is gone.
    Contracted,
    /// An online rebuild without the new column has begun.
    Aborting,
    /// Undone: the new column is gone.
    Aborted,
}

impl State {
    /// Whether a phase has begun and is not done.
    #[must_use]
    pub fn is_under_way(self) -> bool {
        self == Self::Migrating || self.is_rebuilding()
    }

    /// Whether an online rebuild has begun and is not done.
    #[must_use]
    pub fn is_rebuilding(self) -> bool {
        matches!(self, Self::Contracting | Self::Undoing | Self::Aborting)
    }

    /// Whether the change still waits for a phase.
    #[must_use]
    pub fn is_open(self) -> bool {
        match self {
            Self::Expanded
            | Self::Migrating
            | Self::Migrated
            | Self::Contracting
            | Self::Held
            | Self::Undoing
            | Self::Aborting => true,
            Self::Contracted | Self::Aborted => false,
        }
    }
}

/// How far an index has come that a table is to get.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexState {
    /// It is being built beside the table.
    Indexing,
    /// It is there.
    Indexed,
    /// The building was called off.
    Aborted,
}

impl IndexState {
    /// Whether it is yet to be built.
    #[must_use]
    pub fn is_open(self) -> bool {
        self == Self::Indexing
    }
}

/// Gives an enum its one spelling, in the ledger, in messages and in sentences.
macro_rules! spelled {
    ($kind:ident: $($variant:ident = $word:literal),+ $(,)?) => {
        impl $kind {
            /// The word that the ledger and the messages use.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl rusqlite::ToSql for $kind {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }

        impl rusqlite::types::FromSql for $kind {
            fn column_result(
                value: rusqlite::types::ValueRef<'_>,
            ) -> rusqlite::types::FromSqlResult<Self> {
                match value.as_str()? {
                    $($word => Ok(Self::$variant),)+
                    other => Err(rusqlite::types::FromSqlError::Other(
                        format!("unknown {} `{other}`", stringify!($kind).to_lowercase()).into(),
                    )),
                }
            }
        }
    };
}

spelled!(Phase:
    Expand = "expand",
    MigrateData = "migrate_data",
    Hold = "hold",
    Contract = "contract",
    AddIndex = "add_index",
    Undo = "undo",
    Abort = "abort",
);
spelled!(State:
    Expanded = "expanded",
    Migrating = "migrating",
    Migrated = "migrated",
    Contracting = "contracting",
    Held = "held",
    Undoing = "undoing",
    Contracted = "contracted",
    Aborting = "aborting",
    Aborted = "aborted",
);
spelled!(IndexState: Indexing = "indexing", Indexed = "indexed", Aborted = "aborted");
