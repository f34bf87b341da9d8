//! Add index: made at once, or built beside its table while applications go on writing.

use crate::database::{ForeignKeys, Statement};
use crate::name::Name;
use crate::phase::Phase;
use crate::schema::{Entries, Object, Schema, Table};

use super::index_build::{Builder, Building};
use super::indexes::make_indexes;
use super::online::Leftovers;
use super::ours::{drop_ours, without_ours_of};
use super::path::Path;
use super::{Expect, Plan, Scratch, Stage, Step, Transaction};

/// An index that a table gets.
#[derive(Debug)]
pub struct NewIndex<'a> {
    /// The number under which that goes on.
    pub change: i64,
    /// The schema today.
    pub live: &'a Schema,
    /// The table today.
    pub table: &'a Table,
    /// The schema with the index, and the table in it.
    pub outcome: (Schema, Table),
    /// What the index will hold.
    pub entries: &'a Entries,
    /// How it is built beside the table; none where it is made at once.
    pub building: Option<Building>,
    /// What an earlier run has left of that in the file.
    pub found: Leftovers,
    /// What people should know before it runs.
    pub warnings: Vec<String>,
}

/// The index at once or beside the table, and the ledger's `records` in the transaction from which on it is there.
#[must_use]
pub fn add_index(mut new: NewIndex<'_>, records: &[Step]) -> Plan {
    let begun = without_ours_of(new.live.clone(), new.change);
    let mut stages = new.found.empty();
    stages.extend(match new.building.take() {
        Some(building) => new.beside(&building, &begun, records),
        None => new.at_once(new.drop_found(), records),
    });
    Plan {
        phase: Some(Phase::AddIndex),
        table: new.table.name.clone(),
        warnings: new.warnings,
        stages,
    }
}

/// What is there of an index that is not in its place yet goes, in batches and then in one transaction with the ledger's
/// `records` of that.
#[must_use]
pub fn call_off_index(
    live: &Schema,
    change: i64,
    table: &Name,
    found: &Leftovers,
    records: Vec<Step>,
) -> Plan {
    let mut steps = drop_ours(live, change);
    steps.extend(found.drop_small());
    steps.extend(records);
    let outcome = without_ours_of(live.clone(), change);
    let mut stages = found.empty();
    stages.push(Stage::Once(once(
        "take back what was begun",
        steps,
        (outcome, None),
    )));
    Plan {
        phase: Some(Phase::Abort),
        table: table.clone(),
        warnings: Vec::new(),
        stages,
    }
}

impl NewIndex<'_> {
    /// Rows are noted from the first transaction on; the last one puts the index into its place.
    fn beside(&self, building: &Building, begun: &Schema, records: &[Step]) -> Vec<Stage> {
        let builder = Builder::new(self.change, self.table, building);
        let noting = begun.clone().with_ours(builder.delta.triggers());
        let mut first = self.drop_found();
        first.extend(builder.begin());
        let note = once(
            "note from here on which rows are written",
            first,
            (noting.clone(), None),
        );
        let give_up = once(
            "nobody notes rows any more",
            builder.give_up(),
            (begun.clone(), None),
        );
        let mut instead = vec![Stage::Once(give_up)];
        instead.extend(self.at_once(Vec::new(), records));
        let finish = |placed| {
            let mut steps = drop_ours(&noting, self.change);
            steps.extend(placed);
            steps.extend(records.iter().cloned());
            self.finished("put the index into its place, and record it", steps)
        };
        let build = builder.build(finish, instead);
        vec![Stage::Once(note), Stage::Indexes(Box::new(build))]
    }

    /// SQLite makes the index; rows that it would refuse are looked for before anybody has to wait.
    fn at_once(&self, mut steps: Vec<Step>, records: &[Step]) -> Vec<Stage> {
        let mut stages = Vec::new();
        if self.entries.is_unique {
            stages.push(Stage::Scratch(Scratch {
                purpose: "look for rows that share a key".to_owned(),
                steps: vec![self.no_row_shares()],
            }));
        }
        steps.extend(make_indexes(self.index().sql.as_deref().into_iter()));
        steps.extend(records.iter().cloned());
        let made = self.finished("make the index, and record it", steps);
        stages.push(Stage::Once(made));
        stages
    }

    /// Takes away what an earlier run has left.
    fn drop_found(&self) -> Vec<Step> {
        let mut steps = drop_ours(self.live, self.change);
        steps.extend(self.found.drop_small());
        steps
    }

    fn no_row_shares(&self) -> Step {
        let path = Path {
            table: self.table.name.clone(),
            key: self.table.key.clone(),
        };
        Step::expecting(
            "no two rows share a key of the index",
            Statement::new(self.entries.shared_keys(&path.key_list())),
            Expect::Distinct {
                index: self.index().name.clone(),
            },
        )
    }

    fn finished(&self, purpose: &str, steps: Vec<Step>) -> Transaction {
        let (schema, table) = self.outcome.clone();
        let schema = without_ours_of(schema, self.change);
        once(purpose, steps, (schema, Some(table)))
    }

    fn index(&self) -> &Object {
        &self.entries.index
    }
}

fn once(purpose: &str, steps: Vec<Step>, (schema, table): (Schema, Option<Table>)) -> Transaction {
    // No row of the application is written; and a run is known before its change is.
    Transaction::leading_to(&schema, table.as_ref(), purpose, ForeignKeys::Off, steps)
}
