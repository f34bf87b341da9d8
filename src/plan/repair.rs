//! Repair: the sync triggers as they were made, and every row brought to agree.

use crate::database::{ForeignKeys, Statement};
use crate::request::Winner;
use crate::schema::{Kind, Object, Schema, Table};

use super::backfill::Backfill;
use super::walk::Walk;
use super::{Agreement, Plan, Stage, Step, Transaction};

/// What is to be mended of a change.
#[derive(Debug)]
pub struct Repair<'a> {
    /// The schema today.
    pub live: &'a Schema,
    /// The table today.
    pub table: &'a Table,
    /// When its rows agree.
    pub agreement: &'a Agreement,
    /// The triggers that are missing, or others than were made, as they must be.
    pub triggers: &'a [Object],
    /// Whose value counts where both columns hold one.
    pub winner: Option<Winner>,
    /// Forgets how far the walk has come; none while a data migration is on its way, which walks by itself.
    pub walked: Option<Step>,
}

/// First the triggers, so that the rows which the walk has passed stay in step; then the rows.
#[must_use]
pub fn repair(repair: Repair<'_>) -> Plan {
    let Repair {
        agreement,
        triggers,
        winner,
        ..
    } = repair;
    let mut stages = Vec::new();
    if !triggers.is_empty() {
        stages.push(repair.trigger_stage());
    }
    if let Some(walked) = repair.walked {
        stages.push(Stage::Batches(Box::new(Walk::of(Backfill::new(
            agreement, winner, None,
        )))));
        stages.push(Stage::Once(Transaction {
            purpose: "the walk is over".to_owned(),
            foreign_keys: ForeignKeys::On,
            steps: vec![walked],
            outcome: None,
        }));
    }
    Plan {
        phase: None,
        table: agreement.pair.table.clone(),
        warnings: Vec::new(),
        stages,
    }
}

impl Repair<'_> {
    fn trigger_stage(&self) -> Stage {
        let is_remade = |object: &Object| {
            let mut names = self.triggers.iter().map(|it| &it.name);
            object.kind == Kind::Trigger && names.any(|name| *name == object.name)
        };
        let dropped = self.live.ours.iter().filter(|it| is_remade(it)).map(|it| {
            let drop = Statement::new(format!("DROP TRIGGER {}", it.name));
            Step::run(format!("{} is not as it was made", it.spoken()), drop)
        });
        let made = self.triggers.iter().map(|it| {
            let make = Statement::new(it.sql.clone().unwrap_or_default());
            Step::run(format!("{} keeps the columns in step", it.spoken()), make)
        });
        let schema = self.live.clone().without_ours(is_remade);
        Stage::Once(Transaction::leading_to(
            &schema.with_ours(self.triggers.to_vec()),
            Some(self.table),
            "put the sync triggers back",
            ForeignKeys::On,
            dropped.chain(made).collect(),
        ))
    }
}
