//! What may be asked for: the fields of a phase, as messages spell them.

use serde::{Deserialize, Serialize};

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
    /// Undo.
    Abort(Abort),
}

impl Request {
    /// The phase asked for.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::Expand(_) => Phase::Expand,
            Self::MigrateData(_) => Phase::MigrateData,
            Self::Contract(_) => Phase::Contract,
            Self::AddIndex(_) => Phase::AddIndex,
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

/// The column whose value counts where old and new hold different ones.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Winner {
    /// The old column's.
    Old,
    /// The new column's.
    New,
}
