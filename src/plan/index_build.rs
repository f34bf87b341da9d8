//! An index built beside its table, in many short transactions, while applications go on writing.
//!
//! What the index will hold of each row is read in short reads and sorted, both in temporary tables that nobody waits for.
//! The sorted entries then go into a table of ours in batches, in their order, so that each page is written once. The b-tree of
//! that table is the index's, to the byte: the last transaction brings the rows up to date that were written meanwhile, and
//! says in `sqlite_schema` that this b-tree is the index.

use rusqlite::types::Value;

use crate::database::Statement;
use crate::schema::{Entries, Table, Unique};

use super::delta::Delta;
use super::index_side::Side;
use super::ours::{drop_one, drop_table};
use super::sweep::Sweep;
use super::{Cutover, Expect, Part, Scratch, Stage, Step, Transaction, schema_rows};

/// Indexes that are built beside their table.
#[derive(Debug)]
pub struct IndexBuild {
    /// What happens first, in order.
    pub stages: Vec<Stage>,
    /// Find rows that are not known as they are, where anybody else has written meanwhile.
    pub compare: Vec<Sweep>,
    /// Puts the indexes into their place.
    pub cutover: Cutover,
    /// What happens in the place of that, where something is not as it must be.
    pub instead: Vec<Stage>,
    /// Removes the temporary tables, however it ends.
    pub tidy: Scratch,
}

impl IndexBuild {
    /// How a plan shows it.
    pub(super) fn parts(&self) -> Vec<Part<'_>> {
        let mut parts: Vec<Part<'_>> = self.stages.iter().flat_map(Stage::parts).collect();
        parts.extend(self.compare.iter().map(Sweep::part));
        parts.push(self.cutover.transaction.part());
        parts
    }
}

/// What the building of indexes has to know besides the table.
#[derive(Debug)]
pub struct Building {
    /// What each index will hold.
    pub entries: Vec<Entries>,
    /// The unique keys of the table.
    pub uniques: Vec<Unique>,
    /// Whether the table is small enough for SQLite to check all of it in the last transaction.
    pub is_small: bool,
    /// The ledger's part in the beginning.
    pub begun: Vec<Step>,
}

/// Indexes on one table, built under the number of a change.
pub(super) struct Builder<'a> {
    change: i64,
    table: &'a Table,
    building: &'a Building,
    /// The rows that are written meanwhile.
    pub(super) delta: Delta,
}

impl<'a> Builder<'a> {
    pub(super) fn new(change: i64, table: &'a Table, building: &'a Building) -> Self {
        let mut builder = Self {
            change,
            table,
            building,
            delta: Delta::new(change, table, building.uniques.clone(), Vec::new(), None),
        };
        let copies = builder.sides().map(|side| side.copying()).collect();
        builder.delta = builder.delta.of_imposters(copies);
        builder
    }

    /// The first transaction: from then on rows are noted.
    pub(super) fn begin(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = self.sides().map(|side| side.make()).collect();
        steps.extend(self.delta.create());
        steps.extend(self.building.begun.clone());
        steps
    }

    /// Takes it all back.
    pub(super) fn give_up(&self) -> Vec<Step> {
        let triggers = self.delta.triggers();
        let mut steps: Vec<Step> = triggers.iter().map(drop_one).collect();
        steps.push(self.delta.drop_table());
        let drop = |side: Side<'_>| drop_table("nor what it was to hold", &side.holder());
        steps.extend(self.sides().map(drop));
        steps
    }

    /// What follows up to the last transaction, and that: `finish`, with the steps that put the indexes into their place in it.
    pub(super) fn build(
        &self,
        finish: impl FnOnce(Vec<Step>) -> Transaction,
        instead: Vec<Stage>,
    ) -> IndexBuild {
        let fill = self.sides().flat_map(|side| side.fill(&self.delta));
        let compare = self.sides().flat_map(|side| side.compare(&self.delta));
        let mut transaction = finish(self.place());
        // While SQLite has not read the schema anew, and forgotten the imposters.
        let doubts = self.sides().filter(|side| side.entries.is_unique);
        let doubts = doubts.map(|side| side.no_row_is_doubtful());
        transaction.steps.splice(0..0, doubts);
        let tidy = self.sides().flat_map(|side| side.tidy()).collect();
        IndexBuild {
            stages: fill.collect(),
            compare: compare.collect(),
            cutover: Cutover {
                delta: self.delta.clone(),
                transaction,
            },
            instead,
            tidy: Scratch {
                purpose: "the temporary tables go".to_owned(),
                steps: tidy,
            },
        }
    }

    /// The indexes in their place, and a look whether they are as good as they must be.
    fn place(&self) -> Vec<Step> {
        let mut steps = vec![self.delta.drop_table(), schema_rows::open()];
        steps.extend(self.sides().flat_map(|side| side.place()));
        steps.push(schema_rows::close());
        steps.extend(self.sides().map(|side| side.sample()));
        steps.extend(self.building.is_small.then(|| self.check()));
        steps
    }

    fn check(&self) -> Step {
        let table = self.table.name.as_str().to_owned();
        Step::expecting(
            "SQLite finds nothing wrong with the table and its indexes",
            Statement::with(
                "SELECT integrity_check FROM pragma_integrity_check(?1) WHERE integrity_check <> 'ok'",
                [Value::Text(table)],
            ),
            Expect::NoRow("SQLite finds fault with the table or an index of it"),
        )
    }

    fn sides(&self) -> impl Iterator<Item = Side<'_>> {
        self.building
            .entries
            .iter()
            .zip(1..)
            .map(|(entries, n)| Side {
                change: self.change,
                n,
                table: self.table,
                entries,
            })
    }
}
