//! Contract: the new column in the place of the old one.

use crate::error::{Error, Result};
use crate::phase::Phase;
use crate::request::Winner;
use crate::schema::{Pair, Schema, Table, Target, rename_old, replace_old};

use super::backfill::Sweep;
use super::migrate_data::drop_ours;
use super::rebuild::{rebuild, rebuilding};
use super::{Agreement, Plan, Stage, Step};

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

/// What is contracted, and on what terms.
#[derive(Clone, Copy, Debug)]
pub struct Contracting<'a> {
    /// The number of the change.
    pub change: i64,
    /// When its rows agree.
    pub agreement: &'a Agreement,
    /// What must not be found in any row; none where a winner settles it.
    pub check: Option<&'a Sweep>,
    /// Whose value counts where both columns hold one.
    pub winner: Option<Winner>,
}

/// The rows checked while nobody waits, and then one transaction: the rows checked again, the rebuild, the ledger's
/// `records`. A row without a new value keeps the old column's.
#[must_use]
pub fn contract(
    live: &Schema,
    table: &Table,
    target: Target,
    contracting: &Contracting<'_>,
    records: Vec<Step>,
) -> Plan {
    let Contracting {
        change,
        agreement,
        check,
        winner,
    } = *contracting;
    let mut stages: Vec<Stage> = check.cloned().map(Stage::Sweep).into_iter().collect();
    let mut steps: Vec<Step> = check.map(Sweep::whole).into_iter().collect();
    let new = &agreement.pair.new;
    let value = agreement.new_value(winner.unwrap_or(Winner::New));
    steps.extend(drop_ours(live, change));
    steps.extend(rebuild(live, table, &target, Some((new, value))));
    steps.extend(records);
    stages.push(rebuilding(
        "rebuild the table without the old column",
        steps,
        target,
        change,
    ));
    let old = agreement.pair.old.as_str();
    Plan {
        phase: Some(Phase::Contract),
        table: table.name.clone(),
        warnings: vec![format!(
            "a statement that still says \"{old}\" in double quotes will not fail but read the word itself, \
             as SQLite takes an unknown name in double quotes for a string"
        )],
        stages,
    }
}
