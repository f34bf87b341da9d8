//! What may be asked for: the fields of a phase, as messages spell them.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::instance::{Label, Lease};
use crate::name::Name;
use crate::phase::Phase;

/// A phase, with what it needs to know.
#[derive(Clone, Debug)]
pub enum Request {
    /// Add the new column.
    Expand(Expand),
    /// Copy the values.
    MigrateData(MigrateData),
    /// Remove the old column.
    Contract(Contract),
    /// Give a table an index.
    AddIndex(AddIndex),
    /// Bring back an old column that is held.
    Undo(Undo),
    /// Undo all of the change.
    Abort(Abort),
}

impl Request {
    /// The phase asked for.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::Expand(_) => Phase::Expand,
            Self::MigrateData(_) => Phase::MigrateData,
            Self::Contract(Contract { hold: Some(_), .. }) => Phase::Hold,
            Self::Contract(_) => Phase::Contract,
            Self::AddIndex(_) => Phase::AddIndex,
            Self::Undo(_) => Phase::Undo,
            Self::Abort(_) => Phase::Abort,
        }
    }
}

/// Add a column beside the one that it is to replace.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expand {
    /// The table.
    pub table: Name,
    /// The new column.
    pub add_column: Name,
    /// Its declared type, where the old column's own will not do.
    #[serde(default)]
    pub column_type: Option<String>,
    /// The old column, where it is known already: then its type is taken over, and what contract
    /// would refuse is refused now.
    #[serde(default)]
    pub from: Option<Name>,
    /// Go on although views or triggers of old applications would break.
    #[serde(default)]
    pub allow_breaking: bool,
}

/// Copy every value of the old column into the new one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MigrateData {
    /// The old column.
    pub from: Name,
    /// The new column.
    pub to: Name,
    /// The table, where the columns do not tell.
    #[serde(default)]
    pub table: Option<Name>,
    /// Whose value counts where both columns hold one.
    #[serde(default)]
    pub winner: Option<Winner>,
    /// The new value as a SQL expression over the old column, where it is another one.
    #[serde(default)]
    pub up: Option<String>,
    /// The old value as a SQL expression over the new column.
    #[serde(default)]
    pub down: Option<String>,
    /// Go on where new applications have to write both columns.
    #[serde(default)]
    pub write_both: bool,
    /// Whether to expand first where nothing has yet. A message does; a command line must say so.
    #[serde(skip_deserializing, default = "yes")]
    pub expand: bool,
}

fn yes() -> bool {
    true
}

/// Remove the old column.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// The table.
    pub table: Name,
    /// The old column.
    pub remove_column: Name,
    /// Whose value counts where both columns hold one.
    #[serde(default)]
    pub winner: Option<Winner>,
    /// For how long nobody may have written the old column alone; seconds in a message.
    #[serde(default = "quiet", deserialize_with = "seconds")]
    pub quiet_for: Duration,
    /// Whether processes that are older than the data migration, and have not registered, keep the gate shut.
    #[serde(default)]
    pub strict: bool,
    /// For how long to wait until the gate opens; seconds in a message.
    #[serde(default, deserialize_with = "seconds")]
    pub wait: Duration,
    /// Whether to go past the gate; that needs a reason, which the ledger keeps.
    #[serde(default)]
    pub force: bool,
    /// Why.
    #[serde(default)]
    pub reason: Option<Label>,
    /// For how long the old column can be read still, computed from the new one; seconds in a message.
    #[serde(default)]
    pub hold: Option<Hold>,
    /// Whether the old column goes although it is held for longer.
    #[serde(default)]
    pub now: bool,
}

impl Contract {
    /// The contract that removes the column on the usual terms.
    #[must_use]
    pub fn of(table: impl Into<Name>, remove_column: impl Into<Name>) -> Self {
        Self {
            table: table.into(),
            remove_column: remove_column.into(),
            winner: None,
            quiet_for: QUIET,
            strict: false,
            wait: Duration::ZERO,
            force: false,
            reason: None,
            hold: None,
            now: false,
        }
    }
}

/// For how long an old column is held at least: a second to a year.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hold(Duration);

impl Hold {
    /// The time.
    #[must_use]
    pub fn time(self) -> Duration {
        self.0
    }
}

impl TryFrom<Duration> for Hold {
    type Error = &'static str;

    fn try_from(time: Duration) -> Result<Self, Self::Error> {
        if (Duration::from_secs(1)..=Duration::from_hours(366 * 24)).contains(&time) {
            Ok(Self(time))
        } else {
            Err("a column is held for a second at least, and for a year at most")
        }
    }
}

impl<'de> Deserialize<'de> for Hold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        seconds(deserializer)?
            .try_into()
            .map_err(serde::de::Error::custom)
    }
}

/// For how long nobody may have written the old column alone, where nothing else is said.
pub const QUIET: Duration = Duration::from_mins(1);

fn quiet() -> Duration {
    QUIET
}

/// Reads a number of seconds, which may have a fraction.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    use serde::de::Error;
    let seconds = f64::deserialize(deserializer)
        .map_err(|_| D::Error::custom("a time is a number of seconds"))?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| D::Error::custom(format!("`{seconds}` is no time in seconds")))
}

/// Give a table an index.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddIndex {
    /// The table.
    pub table: Name,
    /// What the index is over, in order.
    pub columns: Vec<Term>,
    /// Its name; without it one that tells the table and the columns.
    #[serde(default)]
    pub name: Option<Name>,
    /// Whether no two rows may share a key.
    #[serde(default)]
    pub unique: bool,
    /// Of which rows it holds, as SQL over the columns of the table; all of them where none is said.
    #[serde(default, rename = "where")]
    pub condition: Option<String>,
}

/// One of those things that an index is over.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "the name of a column, or an object with `column` (and `collation`, `descending`) or with `expression`"
)]
pub enum Term {
    /// A column, by its name alone.
    Plain(Name),
    /// A column.
    Column {
        /// Its name.
        column: Name,
        /// How it is compared, where that is otherwise than the table compares it.
        #[serde(default)]
        collation: Option<Name>,
        /// Whether it runs downwards.
        #[serde(default)]
        descending: bool,
    },
    /// An expression.
    Expression {
        /// As SQL over the columns of the table, with COLLATE and DESC behind it where these are wanted.
        expression: String,
    },
}

/// Bring back the old column of a table that a contract holds, with all its values.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// The table.
    pub table: Name,
}

/// Undo the open change of a table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Abort {
    /// The table.
    pub table: Name,
    /// What becomes of values that stand in the new column alone.
    #[serde(default)]
    pub winner: Option<Winner>,
}

/// Look whether old and new agree, row by row, in the changes whose data migration has begun.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// The table; without it every change of the file.
    #[serde(default)]
    pub table: Option<Name>,
    /// Whether to mend what does not agree.
    #[serde(default)]
    pub repair: bool,
    /// Whose value counts then where both columns hold one.
    #[serde(default)]
    pub winner: Option<Winner>,
    /// An index that is compared with its table instead.
    #[serde(default)]
    pub index: Option<Name>,
}

/// Pause the work on the open changes, or let it go on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rest {
    /// The table; without it all of the file.
    #[serde(default)]
    pub table: Option<Name>,
}

/// Announce a running application, or announce it anew: what it said before is forgotten.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterInstance {
    /// What tells it from others.
    pub name: Label,
    /// The version of the latest phase whose outcome it can work with; 0 where it knows of none.
    pub version: u32,
    /// For how long it is believed to live without another word.
    #[serde(default)]
    pub lease_seconds: Lease,
    /// The application's own version, for people.
    #[serde(default)]
    pub app_version: Option<Label>,
    /// The process that it is, so that it is not taken for a stranger.
    #[serde(default)]
    pub pid: Option<NonZeroU32>,
}

/// Speak of an instance: it lives on, or it retires.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfInstance {
    /// What it has registered as.
    pub name: Label,
}

/// The column whose value counts where old and new hold different ones.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Winner {
    /// The old column's.
    Old,
    /// The new column's.
    New,
}
