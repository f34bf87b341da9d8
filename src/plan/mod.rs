//! A phase as a value: the statements it will run and what each is for, before anything runs.
//!
//! Plans are made from a schema, its rehearsal and a request; one executor runs them all. The statements of
//! the ledger come in as values, so that every transaction carries its own record.

mod abort;
mod agreement;
mod backfill;
mod contract;
mod copying;
mod delta;
mod expand;
mod indexes;
mod migrate_data;
mod online;
mod ours;
mod path;
mod rebuild;
mod repair;
mod schema_rows;
mod script;
mod sync;
mod walk;
mod warnings;

use std::borrow::Cow;

use crate::database::{ForeignKeys, Statement};
use crate::name::Name;
use crate::phase::Phase;
use crate::schema::{Schema, Table};

pub use abort::{Undoing, abort, record_gone};
pub use agreement::{Agreement, Mapping};
pub use contract::{Contracting, contract, target};
pub use delta::{Delta, Entry};
pub use expand::expand;
pub use migrate_data::{Migration, Records, migrate_data};
pub use online::{Cutover, Leftovers, Online, Way};
pub use ours::{belongs_to, delta_name, index_name, shadow_name};
pub use path::{Path, Position, Stretch, Upto};
pub use repair::{Repair, repair};
pub use sync::SyncTriggers;
pub use walk::{Sweep, Walk};
pub use warnings::Circumstances;

/// Everything that a phase will do.
#[derive(Debug)]
pub struct Plan {
    /// The phase; none where it mends a change and leads to no other state.
    pub phase: Option<Phase>,
    /// The table.
    pub table: Name,
    /// What people should know before it runs.
    pub warnings: Vec<String>,
    /// What happens, in order.
    pub stages: Vec<Stage>,
}

/// A part of a plan.
#[derive(Debug)]
pub enum Stage {
    /// A question to all rows, asked a stretch at a time: nobody waits for it.
    Sweep(Sweep),
    /// Done at once or not at all.
    Once(Transaction),
    /// A walk over the rows in batches, each a transaction.
    Batches(Box<Walk>),
    /// What is left of a delta, and then done at once or not at all.
    Cutover(Box<Cutover>),
}

/// How a part of a plan runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Manner {
    /// Only reading, a stretch at a time.
    Sweep,
    /// In one transaction.
    Once,
    /// In many short transactions.
    Batches,
}

/// Steps that are committed together.
#[derive(Debug)]
pub struct Transaction {
    /// What it is for.
    pub purpose: String,
    /// Whether foreign keys are enforced meanwhile.
    pub foreign_keys: ForeignKeys,
    /// What runs, in order.
    pub steps: Vec<Step>,
    /// The schema that must stand before the commit, where the schema changes.
    pub outcome: Option<Outcome>,
}

/// The schema as the rehearsal has it.
#[derive(Debug)]
pub struct Outcome {
    /// All of it.
    pub schema: Schema,
    /// The table of the change, as SQLite describes it, where that is of interest.
    pub table: Option<Table>,
    /// Whether its rows were written anew, so that the foreign keys to and from them must be as they were.
    pub is_rebuilt: bool,
}

/// A statement, why it runs and what must come of it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The reason, for people.
    pub why: String,
    /// What runs.
    pub statement: Statement,
    /// What must come of it.
    pub expect: Expect,
}

/// What must come of a step, or the transaction is rolled back.
#[derive(Clone, Debug, PartialEq)]
pub enum Expect {
    /// That it does not fail.
    Success,
    /// That it changes just so many rows.
    Changes(u64),
    /// That it finds no row; this is what it means if it does.
    NoRow(&'static str),
    /// That it finds no row; each row found is the key of one in which the two columns differ.
    Agreement {
        /// The old column.
        old: Name,
        /// The new column.
        new: Name,
    },
    /// That it finds no row; each row found is the key of one whose value would be lost.
    NothingLost {
        /// The column that is to go.
        new: Name,
    },
}

impl Step {
    /// A statement that need only succeed.
    pub fn run(why: impl Into<String>, statement: Statement) -> Self {
        Self {
            why: why.into(),
            statement,
            expect: Expect::Success,
        }
    }

    /// A statement with an expectation.
    pub fn expecting(why: impl Into<String>, statement: Statement, expect: Expect) -> Self {
        Self {
            why: why.into(),
            statement,
            expect,
        }
    }
}

impl Plan {
    /// The transactions, each with its manner, its steps and its purpose; of a walk the transaction that would
    /// do it in one go.
    pub fn transactions(&self) -> impl Iterator<Item = (Manner, Cow<'_, [Step]>, &str)> {
        self.stages.iter().map(|stage| match stage {
            Stage::Sweep(sweep) => (
                Manner::Sweep,
                vec![sweep.whole()].into(),
                sweep.purpose.as_str(),
            ),
            Stage::Once(transaction) => (
                Manner::Once,
                transaction.steps.as_slice().into(),
                transaction.purpose.as_str(),
            ),
            Stage::Batches(walk) => (Manner::Batches, walk.whole().into(), walk.purpose.as_str()),
            Stage::Cutover(cutover) => {
                let transaction = &cutover.transaction;
                let steps = transaction.steps.as_slice().into();
                (Manner::Once, steps, transaction.purpose.as_str())
            }
        })
    }
}
