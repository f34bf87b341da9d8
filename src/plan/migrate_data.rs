//! Migrate data: the columns kept in step from here on, and the rows of before copied.

use crate::database::{ForeignKeys, Statement};
use crate::name::Name;
use crate::phase::Phase;
use crate::request::Winner;
use crate::schema::{Object, Schema, Synced, differences};

use super::backfill::{Sweep, Walk};
use super::indexes::make_indexes;
use super::sync::{SyncTriggers, belongs_to};
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
    /// The table while both columns are written.
    pub synced: Synced,
    /// When its rows agree.
    pub agreement: &'a Agreement,
    /// What keeps them in step.
    pub triggers: SyncTriggers,
    /// Indexes of the new column, to be made once every row has its value.
    pub indexes: Vec<Object>,
    /// Whether the table had CHECKs before: rows may violate them.
    pub has_checks: bool,
    /// Whose value counts where both columns hold one.
    pub winner: Option<Winner>,
    /// What people should know before it runs.
    pub warnings: Vec<String>,
}

/// Begin, walk, finish. Where the sync is on already, the walk goes on.
#[must_use]
pub fn migrate_data(migration: Migration<'_>, records: Records) -> Plan {
    let Migration {
        change,
        live,
        synced,
        agreement,
        triggers,
        indexes,
        has_checks,
        winner,
        warnings,
    } = migration;
    let Records {
        started,
        counted,
        finished,
    } = records;
    let table = synced.table.clone();
    let begun = without_ours_of(synced.schema, change).with_ours(triggers.objects());
    let is_begun = differences(&begun, live).is_empty();
    let mut stages = Vec::new();
    if winner.is_none() {
        stages.push(Stage::Sweep(Sweep::of_conflicts(agreement)));
    }
    if !is_begun {
        let mut steps = drop_ours(live, change);
        steps.extend(declare(live, &begun));
        steps.extend(triggers.create());
        steps.extend(started);
        stages.push(Stage::Once(Transaction {
            purpose: "keep the columns in step from here on".to_owned(),
            foreign_keys: ForeignKeys::On,
            steps,
            outcome: Some(Outcome {
                schema: begun.clone(),
                table: table.clone(),
                is_rebuilt: false,
            }),
        }));
    }
    stages.push(Stage::Batches(Walk::new(
        agreement,
        winner,
        Some(counted),
        has_checks,
    )));
    stages.push(Stage::Sweep(Sweep::of_disagreement(agreement)));
    let mut steps = make_indexes(
        indexes
            .iter()
            .map(|it| it.sql.as_deref().unwrap_or_default()),
    );
    steps.extend(finished);
    stages.push(Stage::Once(Transaction {
        purpose: "record the phase".to_owned(),
        foreign_keys: ForeignKeys::On,
        steps,
        outcome: Some(Outcome {
            schema: begun.with_ours(indexes),
            table,
            is_rebuilt: false,
        }),
    }));
    Plan {
        phase: Phase::MigrateData,
        table: agreement.pair.table.clone(),
        warnings,
        stages,
    }
}

/// Takes the change's own triggers and indexes off the application's tables.
pub(super) fn drop_ours(live: &Schema, change: i64) -> Vec<Step> {
    let dropped = |object: &Object| {
        let (kind, name): (_, &Name) = (object.kind.as_str().to_uppercase(), &object.name);
        Step::run(
            format!("{} is not needed any more", object.spoken()),
            Statement::new(format!("DROP {kind} {name}")),
        )
    };
    let ours = live.ours.iter();
    ours.filter(|object| belongs_to(change, &object.name))
        .map(dropped)
        .collect()
}

/// The schema that stands when these are gone.
pub(super) fn without_ours_of(schema: Schema, change: i64) -> Schema {
    schema.without_ours(|object| belongs_to(change, &object.name))
}

/// Writes the texts that are others in `then`, without touching a row. Other connections notice it by the DDL that
/// follows in the same transaction.
fn declare(live: &Schema, then: &Schema) -> Vec<Step> {
    let texts = schema_rows::texts(live, then);
    if texts.is_empty() {
        return texts;
    }
    let mut steps = vec![schema_rows::open()];
    steps.extend(texts);
    steps.push(schema_rows::close());
    steps
}
