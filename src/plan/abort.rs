//! Abort: the table as it was before the change.

use crate::database::ForeignKeys;
use crate::name::Name;
use crate::phase::Phase;
use crate::request::Winner;
use crate::schema::{Schema, Table, Target};

use super::ours::drop_ours;
use super::path::{Path, Stretch};
use super::rebuild::Rebuild;
use super::{Agreement, Expect, Plan, Stage, Step, Transaction};

/// What is undone.
#[derive(Debug)]
pub struct Undoing<'a> {
    /// The number of the change.
    pub change: i64,
    /// The new column.
    pub new: &'a Name,
    /// When the rows agree, where the old column is known.
    pub agreement: Option<&'a Agreement>,
    /// What becomes of values that stand in the new column alone.
    pub winner: Option<Winner>,
}

/// One transaction: what stands in the new column alone is kept, dropped or refused, as the winner says; then
/// the rebuild and the ledger's `records`. Where the old column is not known, every value is such a one.
#[must_use]
pub fn abort(
    live: &Schema,
    table: &Table,
    target: &Target,
    undoing: &Undoing<'_>,
    records: Vec<Step>,
) -> Plan {
    let Undoing {
        change,
        new,
        agreement,
        winner,
    } = *undoing;
    let path = Path {
        table: table.name.clone(),
        key: table.key.clone(),
    };
    let mut steps = match (winner, agreement) {
        (Some(Winner::Old), _) | (Some(Winner::New), Some(_)) => Vec::new(),
        (None, Some(agreement)) => vec![agreement.check_nothing_lost()],
        (_, None) => vec![Step::expecting(
            format!("no value may stand in `{}` alone", new.as_str()),
            path.keys_where(&Stretch::all(), &format!("{new} IS NOT NULL")),
            Expect::NothingLost { new: new.clone() },
        )],
    };
    let kept = match (winner, agreement) {
        (Some(Winner::New), Some(agreement)) => {
            Some((agreement.pair.old.clone(), agreement.old_value()))
        }
        _ => None,
    };
    steps.extend(drop_ours(live, change));
    let rebuild = Rebuild {
        change,
        live,
        table,
        target,
        changes_values: kept.is_some(),
        computed: kept,
    };
    Plan {
        phase: Some(Phase::Abort),
        table: table.name.clone(),
        warnings: Vec::new(),
        stages: vec![rebuild.stage("rebuild the table without the new column", steps, records)],
    }
}

/// One transaction: the ledger's `records`, where the new column is gone already; and what is left of `ours`.
#[must_use]
pub fn record_gone(live: &Schema, change: i64, table: &Name, records: Vec<Step>) -> Plan {
    let mut steps = drop_ours(live, change);
    steps.extend(records);
    Plan {
        phase: Some(Phase::Abort),
        table: table.clone(),
        warnings: vec!["the new column is gone already: only the record is written".to_owned()],
        stages: vec![Stage::Once(Transaction {
            purpose: "record that the change is undone".to_owned(),
            foreign_keys: ForeignKeys::Off,
            steps,
            outcome: None,
        })],
    }
}
