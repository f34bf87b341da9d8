//! Contract: the new column in the place of the old one.

use crate::database::ForeignKeys;
use crate::error::{Error, Result};
use crate::phase::Phase;
use crate::request::Winner;
use crate::schema::{Pair, Schema, Table, Target, rename_old, replace_old};

use super::migrate_data::{drop_ours, without_ours_of};
use super::rebuild::rebuild;
use super::{Agreement, Outcome, Plan, Stage, Step, Transaction};

/// Rehearses the contract of a change, and returns the schema that it leads to: `live` has both columns, `before` is
/// the text of the table before the change where nothing else changed it since. Fails with what stands in its way.
pub fn target(live: &Schema, before: Option<&str>, pair: &Pair, replaces: bool) -> Result<Schema> {
    let rehearsed = if replaces {
        replace_old(live, pair)?
    } else {
        rename_old(live, before, pair)?
    };
    if rehearsed.breaks.is_empty() {
        return Ok(rehearsed.schema);
    }
    Err(Error::WouldBreak {
        phase: "contract",
        breaks: rehearsed.breaks,
        remedy: "drop or change what is named here first",
    })
}

/// One transaction: the rows checked, the rebuild, the ledger's `records`. Rows that only the old application has
/// written since keep the old column's value.
#[must_use]
pub fn contract(
    live: &Schema,
    change: i64,
    table: &Table,
    target: Target,
    agreement: &Agreement,
    winner: Option<Winner>,
    records: Vec<Step>,
) -> Plan {
    let mut steps = Vec::new();
    if winner.is_none() {
        steps.push(if live.ours.is_empty() {
            agreement.check_conflicts()
        } else {
            agreement.check()
        });
    }
    let new = &agreement.pair.new;
    let value = agreement.new_value(winner.unwrap_or(Winner::New));
    steps.extend(drop_ours(live, change));
    steps.extend(rebuild(live, table, &target, Some((new, value))));
    steps.extend(records);
    let old = agreement.pair.old.as_str();
    Plan {
        phase: Phase::Contract,
        table: table.name.clone(),
        warnings: vec![format!(
            "a statement that still says \"{old}\" in double quotes will not fail but read the word itself, \
             as SQLite takes an unknown name in double quotes for a string"
        )],
        stages: vec![Stage::Once(Transaction {
            purpose: "rebuild the table without the old column".to_owned(),
            foreign_keys: ForeignKeys::Off,
            steps,
            outcome: Some(Outcome {
                schema: without_ours_of(target.schema, change),
                table: target.table,
                is_rebuilt: true,
            }),
        })],
    }
}
