//! When two columns of a row agree, and how a row is brought to agree.

use crate::database::Statement;
use crate::name::Name;
use crate::request::Winner;
use crate::schema::{Key, Pair};

use super::{Expect, Step};

/// The agreement of the two columns of a change.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// The columns.
    pub pair: Pair,
    /// How rows of the table are named to people.
    pub key: Key,
    /// Whether the new column's type is another one, so that values are converted on their way.
    pub converts: bool,
}

/// An UPDATE that brings rows to agree.
#[derive(Clone, Debug)]
pub(super) struct Settling {
    /// The reason, for people.
    pub(super) why: String,
    /// `SET …`.
    assignment: String,
    /// Which rows.
    condition: String,
    /// Whether its rows count as migrated.
    pub(super) counts: bool,
}

impl Agreement {
    /// The condition under which a row's columns do not agree.
    ///
    /// The collation of a column hides differences, and so does `1 IS 1.0`: a copy is the same value
    /// of the same type. Only numbers can be equal under two types, and they alone sort before any text; so
    /// their types are asked for and nobody else's, which on a large table is most of what the check costs.
    fn differ(&self) -> String {
        let Pair { old, new, .. } = &self.pair;
        if self.converts {
            // A `+` takes the type from a column, so that its value is compared as the other column would store it.
            format!("(+{old} COLLATE BINARY IS NOT {new} AND {old} COLLATE BINARY IS NOT +{new})")
        } else {
            format!(
                "({old} COLLATE BINARY IS NOT {new} \
                 OR {old} COLLATE BINARY < '' AND typeof({old}) <> typeof({new}))"
            )
        }
    }

    /// What brings rows to agree: a value where the new column has none, and where both have one, the winner's.
    pub(super) fn settling(&self, winner: Option<Winner>) -> Vec<Settling> {
        let Pair { old, new, .. } = &self.pair;
        let mut settling = vec![Settling {
            why: format!("give `{}` the value of `{}`", new.as_str(), old.as_str()),
            assignment: format!("{new} = {old}"),
            condition: format!("{new} IS NULL AND {old} IS NOT NULL"),
            counts: true,
        }];
        settling.extend(winner.map(|winner| match winner {
            Winner::Old => Settling {
                why: format!("where the two differ, `{}` wins", old.as_str()),
                assignment: format!("{new} = {old}"),
                condition: self.differ(),
                counts: true,
            },
            Winner::New => Settling {
                why: format!("where the two differ, `{}` wins", new.as_str()),
                assignment: format!("{old} = {new}"),
                condition: self.differ(),
                counts: false,
            },
        }));
        settling
    }

    /// The value that a row keeps when one of the two columns goes.
    pub(super) fn value(&self, winner: Winner) -> String {
        let Pair { old, new, .. } = &self.pair;
        match winner {
            Winner::Old => old.to_string(),
            Winner::New => format!("ifnull({new}, {old})"),
        }
    }

    /// Refuses, with keys, where the two columns hold different values. A row without a new value is none such
    /// until the rows are `settled`.
    #[must_use]
    pub fn check(&self, settled: bool) -> Step {
        let Pair { table, old, new } = &self.pair;
        let condition = if settled {
            self.differ()
        } else {
            format!("{new} IS NOT NULL AND {}", self.differ())
        };
        let expect = Expect::Agreement {
            old: old.clone(),
            new: new.clone(),
        };
        Step::expecting(
            format!(
                "no row of `{}` may hold two different values",
                table.as_str()
            ),
            self.keys_where(&condition),
            expect,
        )
    }

    /// Refuses, with keys, where the new column holds what the old one does not.
    pub(super) fn check_nothing_lost(&self) -> Step {
        let new = &self.pair.new;
        Step::expecting(
            format!("no value may stand in `{}` alone", new.as_str()),
            self.keys_where(&format!("{new} IS NOT NULL AND {}", self.differ())),
            Expect::NothingLost { new: new.clone() },
        )
    }

    fn keys_where(&self, condition: &str) -> Statement {
        keys_where(&self.pair.table, &self.key, condition)
    }
}

impl Settling {
    /// The statement, for the rows that `range` leaves.
    pub(super) fn statement(&self, agreement: &Agreement, range: Option<&Statement>) -> Statement {
        let (within, params) = match range {
            Some(range) => (format!("{} AND ", range.sql), range.params.clone()),
            None => (String::new(), Vec::new()),
        };
        // The policy of the statement, since those of the table's constraints would skip or remove rows.
        Statement::with(
            format!(
                "UPDATE OR ABORT {} SET {} WHERE {within}{}",
                agreement.pair.table, self.assignment, self.condition
            ),
            params,
        )
    }
}

/// The keys of the rows that fulfil the condition.
pub(super) fn keys_where(table: &Name, key: &Key, condition: &str) -> Statement {
    let columns = match key {
        Key::Rowid { name, .. } => name.to_string(),
        Key::Columns(columns) => {
            let names: Vec<String> = columns
                .iter()
                .map(|column| column.name.to_string())
                .collect();
            names.join(", ")
        }
        Key::None => "'(no key)' AS row".to_owned(),
    };
    Statement::new(format!("SELECT {columns} FROM {table} WHERE {condition}"))
}
