//! Migrate data: the columns kept in step from here on, and the rows of before copied.

use crate::database::ForeignKeys;
use crate::phase::Phase;
use crate::request::Winner;
use crate::schema::{Object, Schema, Synced, Table, differences};

use super::backfill::Backfill;
use super::indexes::make_indexes;
use super::ours::{drop_ours, without_ours_of};
use super::sync::SyncTriggers;
use super::walk::Sweep;
use super::{Agreement, Outcome, Plan, Stage, Step, Transaction, schema_rows};

/// The ledger's part in a data migration, as steps.
#[derive(Debug)]
pub struct Records {
    /// The change is being migrated.
    pub started: Vec<Step>,
    /// Adds `changes()` to the rows migrated; right behind the UPDATE that it counts.
    pub counted: Step,
    /// The phase is done.
    pub finished: Vec<Step>,
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
    /// Whose value counts where both columns hold one.
    pub winner: Option<Winner>,
    /// What people should know before it runs.
    pub warnings: Vec<String>,
}

/// Begin, walk, finish. While rows are copied nothing changes for old applications: the new column follows, bare of
/// all constraints. Both columns can be written once the last transaction is through.
#[must_use]
pub fn migrate_data(migration: Migration<'_>, records: Records) -> Plan {
    let Migration {
        change,
        live,
        begun: (begun, begun_table),
        synced,
        agreement,
        following,
        triggers,
        indexes,
        winner,
        warnings,
    } = migration;
    let begun = without_ours_of(begun, change).with_ours(following.objects());
    let done = without_ours_of(synced.schema, change).with_ours(triggers.objects());
    let done = done.with_ours(indexes.clone());
    let mut stages = Vec::new();
    if winner.is_none() {
        stages.push(Stage::Sweep(Sweep::of_conflicts(agreement)));
    }
    if !differences(&begun, live).is_empty() {
        let mut steps = alter(live, &begun, change);
        steps.extend(following.create());
        steps.extend(records.started);
        stages.push(once(
            "let the new column follow from here on",
            steps,
            &begun,
            &begun_table,
        ));
    }
    let backfill = Backfill::new(agreement, winner, Some(records.counted));
    let backfill = backfill.writing_null(synced.default.is_some());
    stages.push(Stage::Batches(Box::new(backfill.walk())));
    let mut steps = alter(&begun, &done, change);
    steps.extend(triggers.create());
    let texts = indexes.iter().filter_map(|it| it.sql.as_deref());
    steps.extend(make_indexes(texts));
    steps.extend(records.finished);
    stages.push(once(
        "keep both columns in step, whichever is written, and record the phase",
        steps,
        &done,
        &synced.table,
    ));
    Plan {
        phase: Some(Phase::MigrateData),
        table: agreement.pair.table.clone(),
        warnings,
        stages,
    }
}

fn once(purpose: &str, steps: Vec<Step>, outcome: &Schema, table: &Table) -> Stage {
    Stage::Once(Transaction {
        purpose: purpose.to_owned(),
        foreign_keys: ForeignKeys::On,
        steps,
        outcome: Some(Outcome {
            schema: outcome.clone(),
            table: Some(table.clone()),
            is_rebuilt: false,
        }),
    })
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
