//! A phase as a value: the statements it will run and what each is for, before anything runs.
//!
//! Plans are made from a schema, its rehearsal and a request; one executor runs them all. The statements of
//! the ledger come in as values, so that every transaction carries its own record.

mod abort;
mod add_index;
mod agreement;
mod backfill;
mod comparison;
mod contract;
mod copying;
mod delta;
mod expand;
mod hold;
mod index_build;
mod index_look;
mod index_side;
mod index_unique;
mod indexes;
mod migrate_data;
mod online;
mod ours;
mod path;
mod rebuild;
mod repair;
mod schema_rows;
mod script;
mod sweep;
mod sync;
mod undo;
mod walk;
mod warnings;

use crate::database::{ForeignKeys, Imposter, Statement};
use crate::name::Name;
use crate::phase::Phase;
use crate::schema::{Schema, Table};

use copying::Copying;

pub use abort::{Undoing, abort, record_gone};
pub use add_index::{NewIndex, add_index, call_off_index};
pub use agreement::{Agreement, Mapping};
pub use contract::{Contracting, contract, target};
pub use delta::{Delta, Entry};
pub use expand::expand;
pub use hold::release;
pub use index_build::{Building, IndexBuild};
pub use index_look::{IndexLook, index_look};
pub use migrate_data::{Migration, Records, migrate_data};
pub use online::{Cutover, Leftovers, Online, Way};
pub use ours::{belongs_to, delta_name, holds_entries, index_name, shadow_name};
pub use path::{Path, Position, Stretch, Upto};
pub use repair::{Repair, repair};
pub use sweep::Sweep;
pub use sync::SyncTriggers;
pub use undo::{Restoring, undo};
pub use walk::Walk;
pub use warnings::{Circumstances, takes};

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
    /// The same question once more, where anybody else has written meanwhile.
    SweepAgain(Sweep),
    /// Done at once or not at all.
    Once(Transaction),
    /// A walk over the rows in batches, each a transaction.
    Batches(Box<Walk>),
    /// What is left of a delta, and then done at once or not at all.
    Cutover(Box<Cutover>),
    /// Done in temporary tables of ours, which nobody else sees.
    Scratch(Scratch),
    /// Rows read into a temporary table, a stretch at a time: nobody waits for it.
    Gather(Box<Gather>),
    /// A second name for a table of ours, which our connection alone knows.
    Imposter(Imposter),
    /// Indexes built beside their table, and their place taken in the end.
    Indexes(Box<IndexBuild>),
}

/// Steps in temporary tables, each by itself.
#[derive(Debug)]
pub struct Scratch {
    /// What they are for.
    pub purpose: String,
    /// What runs, in order.
    pub steps: Vec<Step>,
}

/// Rows that are copied into a temporary table, in short reads.
#[derive(Debug)]
pub struct Gather {
    /// What it is for.
    pub purpose: String,
    copying: Copying,
}

impl Gather {
    /// The way over the rows.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.copying.live
    }

    /// Copies a stretch of them.
    #[must_use]
    pub fn step(&self, stretch: &Stretch) -> Step {
        self.copying.copy(stretch)
    }
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
    /// In temporary tables, without a lock.
    Scratch,
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
    /// That it finds no row; each row found is the key of one that shares a key of the index with another.
    Distinct {
        /// The index.
        index: Name,
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
    /// The transactions in order.
    #[must_use]
    pub fn transactions(&self) -> Vec<Part<'_>> {
        self.stages.iter().flat_map(Stage::parts).collect()
    }
}

impl Transaction {
    /// Steps that lead to a schema, and do not write the rows of a table anew.
    fn leading_to(
        schema: &Schema,
        table: Option<&Table>,
        purpose: &str,
        foreign_keys: ForeignKeys,
        steps: Vec<Step>,
    ) -> Self {
        Self {
            purpose: purpose.to_owned(),
            foreign_keys,
            steps,
            outcome: Some(Outcome {
                schema: schema.clone(),
                table: table.cloned(),
                is_rebuilt: false,
            }),
        }
    }

    fn part(&self) -> Part<'_> {
        (Manner::Once, self.steps.clone(), &self.purpose)
    }
}

/// What one stage comes to: how it runs, its steps, and its purpose.
pub type Part<'a> = (Manner, Vec<Step>, &'a str);

impl Stage {
    /// Itself, or the stages that it is made of. Of a walk it is the transaction that would do it in one go.
    fn parts(&self) -> Vec<Part<'_>> {
        let (manner, steps, purpose) = match self {
            Self::Indexes(build) => return build.parts(),
            // It runs no statement that anybody else could.
            Self::Imposter(_) => return Vec::new(),
            Self::Sweep(sweep) | Self::SweepAgain(sweep) => {
                (Manner::Sweep, vec![sweep.whole()], &sweep.purpose)
            }
            Self::Once(it) => (Manner::Once, it.steps.clone(), &it.purpose),
            Self::Cutover(it) => {
                let transaction = &it.transaction;
                (
                    Manner::Once,
                    transaction.steps.clone(),
                    &transaction.purpose,
                )
            }
            Self::Batches(walk) => (Manner::Batches, walk.whole(), &walk.purpose),
            Self::Scratch(scratch) => (Manner::Scratch, scratch.steps.clone(), &scratch.purpose),
            Self::Gather(gather) => {
                let all = gather.step(&Stretch::all());
                (Manner::Scratch, vec![all], &gather.purpose)
            }
        };
        vec![(manner, steps, purpose)]
    }
}
