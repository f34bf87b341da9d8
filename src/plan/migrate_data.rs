//! Migrate data: the columns kept in step from here on, and the rows of before copied.

use crate::database::ForeignKeys;
use crate::phase::Phase;
use crate::request::Winner;
use crate::schema::{Object, Schema, Synced, Table, differences};

use super::backfill::Backfill;
use super::index_build::{Builder, Building};
use super::indexes::make_indexes;
use super::online::Leftovers;
use super::ours::{drop_ours, without_ours_of};
use super::sweep::Sweep;
use super::sync::SyncTriggers;
use super::walk::Walk;
use super::{Agreement, Plan, Stage, Step, Transaction, schema_rows};

/// The ledger's part in a data migration, as steps.
#[derive(Debug)]
pub struct Records {
    /// The change is being migrated.
    pub started: Vec<Step>,
    /// Adds `changes()` to the rows migrated; right behind the UPDATE that it counts.
    pub counted: Step,
    /// The phase is done.
    pub finished: Vec<Step>,
    /// And with it the work, where nothing follows.
    pub released: Step,
}

/// What a data migration leads to.
#[derive(Debug)]
pub struct Migration<'a> {
    /// The number of the change.
    pub change: i64,
    /// The schema today.
    pub live: &'a Schema,
    /// The schema while rows are copied, and the table in it.
    pub begun: (Schema, Table),
    /// The table while both columns are written.
    pub synced: Synced,
    /// When its rows agree.
    pub agreement: &'a Agreement,
    /// What takes the values of old applications over while rows are copied.
    pub following: SyncTriggers,
    /// What keeps both columns in step from then on.
    pub triggers: SyncTriggers,
    /// Indexes of the new column.
    pub indexes: Vec<Object>,
    /// How they are built beside the table; none where they are made at once.
    pub building: Option<Building>,
    /// What an earlier run has left of that in the file.
    pub found: Leftovers,
    /// Whose value counts where both columns hold one.
    pub winner: Option<Winner>,
    /// What people should know before it runs.
    pub warnings: Vec<String>,
}

/// Begin, walk, finish. While rows are copied nothing changes for old applications: the new column follows, bare of
/// all constraints. Both columns can be written once the last transaction is through.
#[must_use]
pub fn migrate_data(mut migration: Migration<'_>, records: &Records) -> Plan {
    let change = migration.change;
    // Only a migration that was begun already has left anything.
    let mut stages = migration.found.empty();
    if migration.winner.is_none() {
        stages.push(Stage::Sweep(Sweep::of_conflicts(migration.agreement)));
    }
    let begun = without_ours_of(migration.begun.0.clone(), change);
    let begun = begun.with_ours(migration.following.objects());
    stages.extend(migration.begin(&begun, records.started.clone()));
    let backfill = Backfill::new(
        migration.agreement,
        migration.winner,
        Some(records.counted.clone()),
    );
    let backfill = backfill.writing_null(migration.synced.default.is_some());
    stages.push(Stage::Batches(Box::new(Walk::of(backfill))));
    match migration.building.take() {
        Some(building) => stages.extend(migration.build(&building, &begun, records)),
        None => stages.push(Stage::Once(migration.finish_at_once(&begun, records))),
    }
    Plan {
        phase: Some(Phase::MigrateData),
        table: migration.agreement.pair.table.clone(),
        warnings: migration.warnings,
        stages,
    }
}

impl Migration<'_> {
    /// The new column begins to follow, where it does not yet as it shall.
    fn begin(&self, begun: &Schema, records: Vec<Step>) -> Option<Stage> {
        let left = self.found.drop_small();
        if differences(begun, self.live).is_empty() && left.is_empty() {
            return None;
        }
        let mut steps = alter(self.live, begun, self.change);
        steps.extend(left);
        steps.extend(self.following.create());
        steps.extend(records);
        Some(once(
            "let the new column follow from here on",
            steps,
            begun,
            &self.begun.1,
        ))
    }

    /// Builds the indexes beside the table while the new column follows, and finishes in the transaction that puts them into
    /// their place.
    fn build(&self, building: &Building, begun: &Schema, records: &Records) -> Vec<Stage> {
        let builder = Builder::new(self.change, &self.begun.1, building);
        let noting = begun.clone().with_ours(builder.delta.triggers());
        let note = once(
            "note from here on which rows are written",
            builder.begin(),
            &noting,
            &self.begun.1,
        );
        let give_up = once(
            "nobody notes rows any more",
            builder.give_up(),
            begun,
            &self.begun.1,
        );
        let at_once = Stage::Once(self.finish_at_once(begun, records));
        let build = builder.build(
            |placed| self.finish(&noting, placed, &records.finished),
            vec![give_up, at_once],
        );
        vec![note, Stage::Indexes(Box::new(build))]
    }

    /// The last transaction, with the making of indexes in it.
    fn finish_at_once(&self, begun: &Schema, records: &Records) -> Transaction {
        let texts = self.indexes.iter().filter_map(|it| it.sql.as_deref());
        let mut finish = self.finish(begun, make_indexes(texts), &records.finished);
        finish.steps.push(records.released.clone());
        finish
    }

    fn finish(&self, live: &Schema, indexes: Vec<Step>, records: &[Step]) -> Transaction {
        let done = without_ours_of(self.synced.schema.clone(), self.change)
            .with_ours(self.triggers.objects())
            .with_ours(self.indexes.clone());
        let mut steps = alter(live, &done, self.change);
        steps.extend(self.triggers.create());
        steps.extend(indexes);
        steps.extend(records.iter().cloned());
        transaction(
            "keep both columns in step, whichever is written, and record the phase",
            steps,
            &done,
            &self.synced.table,
        )
    }
}

fn once(purpose: &str, steps: Vec<Step>, outcome: &Schema, table: &Table) -> Stage {
    Stage::Once(transaction(purpose, steps, outcome, table))
}

fn transaction(purpose: &str, steps: Vec<Step>, outcome: &Schema, table: &Table) -> Transaction {
    Transaction::leading_to(outcome, Some(table), purpose, ForeignKeys::On, steps)
}

/// Drops what the change has on the table, and writes the texts that are others in `then`, without touching a row. Other
/// connections notice it by the DDL that is to follow in the same transaction.
fn alter(live: &Schema, then: &Schema, change: i64) -> Vec<Step> {
    let mut steps = drop_ours(live, change);
    let texts = schema_rows::texts(live, then);
    if !texts.is_empty() {
        steps.push(schema_rows::open());
        steps.extend(texts);
        steps.push(schema_rows::close());
    }
    steps
}
