//! When two columns of a row agree, and how a row is brought to agree.

use crate::database::Statement;
use crate::request::Winner;
use crate::schema::Pair;

use super::Expect;
use super::path::{Path, Stretch};

/// How a value of one column becomes one of the other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Mapping {
    /// It stays the same value of the same type.
    Same,
    /// The new column's type is another one, so that SQLite converts it on its way.
    Converted,
    /// By an expression over the other column, as SQL.
    Expressions {
        /// The new value, over the old column.
        up: String,
        /// The old value, over the new column.
        down: String,
    },
}

/// The agreement of the two columns of a change.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// The columns.
    pub pair: Pair,
    /// How rows of the table are found.
    pub path: Path,
    /// How a value goes from one to the other.
    pub mapping: Mapping,
    /// What the new column holds where a statement leaves it out, as SQL; none for NULL.
    pub default: Option<String>,
}

/// An UPDATE that brings rows to agree.
#[derive(Clone, Debug)]
pub(super) struct Settling {
    /// The reason, for people.
    pub(super) why: String,
    /// `SET …`.
    assignment: String,
    /// Which rows.
    pub(super) condition: String,
    /// Whether its rows had no value in the new column.
    pub(super) fills: bool,
    /// Whether its rows count as migrated.
    pub(super) counts: bool,
}

impl Agreement {
    /// The new value, over the columns of a row.
    pub fn up(&self) -> String {
        match &self.mapping {
            Mapping::Same | Mapping::Converted => self.pair.old.to_string(),
            Mapping::Expressions { up, .. } => format!("({up})"),
        }
    }

    /// The old value, over the columns of a row.
    pub fn down(&self) -> String {
        match &self.mapping {
            Mapping::Same | Mapping::Converted => self.pair.new.to_string(),
            Mapping::Expressions { down, .. } => format!("({down})"),
        }
    }

    /// The condition under which a row's columns do not agree. Where values are mapped, it is enough that one of the
    /// two is what becomes of the other.
    pub(super) fn differ(&self) -> String {
        self.differ_in("")
    }

    /// The same for the row that a trigger calls `NEW.`; not where values are mapped by expressions, which name
    /// the columns alone.
    pub(super) fn differ_in(&self, row: &str) -> String {
        let Pair { old, new, .. } = &self.pair;
        match &self.mapping {
            Mapping::Same => other(&format!("{row}{old}"), &format!("{row}{new}")),
            // A `+` takes the type from a column, so that its value is compared as the other column would store it.
            Mapping::Converted => format!(
                "(+{row}{old} COLLATE BINARY IS NOT {row}{new} AND {row}{old} COLLATE BINARY IS NOT +{row}{new})"
            ),
            Mapping::Expressions { .. } => format!(
                "({old} COLLATE BINARY IS NOT {} AND {new} COLLATE BINARY IS NOT {})",
                self.down(),
                self.up()
            ),
        }
    }

    /// The condition under which nobody has given the new column a value.
    pub(super) fn unset(&self) -> String {
        let new = &self.pair.new;
        match &self.default {
            None => format!("({new} IS NULL)"),
            Some(value) => format!("({new} IS NULL OR {new} COLLATE BINARY IS {value})"),
        }
    }

    /// What brings rows to agree: a value where the new column has none, and where both have one, the winner's.
    pub(super) fn settling(&self, winner: Option<Winner>) -> Vec<Settling> {
        let Pair { old, new, .. } = &self.pair;
        let lacks = match (&self.mapping, &self.default) {
            (Mapping::Same | Mapping::Converted, None) => format!("{old} IS NOT NULL"),
            _ => self.differ(),
        };
        let give = |why: String, condition: String, fills| Settling {
            why,
            fills,
            assignment: format!("{new} = {}", self.up()),
            condition,
            counts: true,
        };
        let mut settling = vec![give(
            format!("give `{}` the value of `{}`", new.as_str(), old.as_str()),
            format!("{} AND {lacks}", self.unset()),
            true,
        )];
        settling.extend(winner.map(|winner| match winner {
            Winner::Old => give(
                format!("where the two differ, `{}` wins", old.as_str()),
                self.differ(),
                false,
            ),
            Winner::New => Settling {
                why: format!("where the two differ, `{}` wins", new.as_str()),
                assignment: format!("{old} = {}", self.down()),
                condition: self.differ(),
                fills: false,
                counts: false,
            },
        }));
        settling
    }

    /// What the new column keeps when the old one goes.
    pub(super) fn new_value(&self, winner: Winner) -> String {
        let Pair { old, new, .. } = &self.pair;
        match (winner, &self.mapping) {
            (Winner::Old, _) => self.up(),
            (Winner::New, Mapping::Expressions { .. }) => new.to_string(),
            (Winner::New, _) => format!("ifnull({new}, {old})"),
        }
    }

    /// What the old column keeps when the new one goes and wins.
    pub(super) fn old_value(&self) -> String {
        let old = &self.pair.old;
        format!(
            "CASE WHEN {} THEN {old} ELSE {} END",
            self.unset(),
            self.down()
        )
    }

    /// The condition under which both columns hold a value and these do not agree.
    pub(super) fn conflict(&self) -> String {
        format!("NOT {} AND {}", self.unset(), self.differ())
    }

    /// What is to be expected where all rows agree.
    pub(super) fn expected(&self) -> Expect {
        Expect::Agreement {
            old: self.pair.old.clone(),
            new: self.pair.new.clone(),
        }
    }
}

/// The condition under which two values are not the same one.
///
/// The collation of a column hides differences, and so does `1 IS 1.0`: a copy is the same value
/// of the same type. Only numbers can be equal under two types, and they alone sort before any text; so
/// their types are asked for and nobody else's, which on a large table is most of what the check costs.
pub(super) fn other(one: &str, another: &str) -> String {
    format!(
        "({one} COLLATE BINARY IS NOT {another} \
         OR {one} COLLATE BINARY < '' AND typeof({one}) <> typeof({another}))"
    )
}

impl Settling {
    /// The statement, for the rows of a stretch.
    pub(super) fn statement(&self, agreement: &Agreement, stretch: &Stretch) -> Statement {
        // The policy of the statement, since those of the table's constraints would skip or remove rows.
        stretch.select(
            &format!(
                "UPDATE OR ABORT {} SET {}",
                agreement.pair.table, self.assignment
            ),
            &self.condition,
        )
    }
}
