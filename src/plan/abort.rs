//! Abort: the table as it was before the change.

use crate::database::ForeignKeys;
use crate::name::Name;
use crate::phase::Phase;
use crate::request::Winner;
use crate::schema::{Schema, Table, Target};

use super::backfill::Backfill;
use super::online::{Way, give_up};
use super::ours::drop_ours;
use super::path::Path;
use super::rebuild::Rebuild;
use super::sweep::Sweep;
use super::walk::Walk;
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

/// At once or online: what stands in the new column alone is kept, dropped or refused, as the winner says; then
/// the rebuild and the ledger's `records`. Where the old column is not known, every value is such a one.
#[must_use]
pub fn abort(
    live: &Schema,
    table: &Table,
    target: &Target,
    undoing: &Undoing<'_>,
    way: Way,
    records: Vec<Step>,
) -> Plan {
    const PURPOSE: &str = "rebuild the table without the new column";
    let Undoing {
        change,
        new,
        agreement,
        winner,
    } = *undoing;
    let kept = match (winner, agreement) {
        (Some(Winner::New), Some(agreement)) => Some(agreement),
        _ => None,
    };
    let check = undoing.check(table);
    let rebuild = |live, computed: Option<(Name, String)>| Rebuild {
        change,
        live,
        new,
        table,
        target,
        changes_values: computed.is_some(),
        computed,
        leaves: &[],
    };
    let stages = match way {
        Way::AtOnce(left) => {
            let (mut stages, live) = give_up(&left, live, change);
            let mut steps: Vec<Step> = check.iter().map(Sweep::whole).collect();
            steps.extend(drop_ours(&live, change));
            let computed = kept.map(|it| (it.pair.old.clone(), it.old_value()));
            stages.push(rebuild(&live, computed).stage(PURPOSE, steps, records));
            stages
        }
        Way::Online(online) => {
            let settling = kept.map(|it| Walk::of(Backfill::new(it, winner, None)));
            rebuild(live, None).online(PURPOSE, *online, settling, check.as_ref(), records)
        }
    };
    Plan {
        phase: Some(Phase::Abort),
        table: table.name.clone(),
        warnings: Vec::new(),
        stages,
    }
}

impl Undoing<'_> {
    /// What no row may be; nothing where a winner settles it.
    fn check(&self, table: &Table) -> Option<Sweep> {
        let new = self.new;
        let path = Path {
            table: table.name.clone(),
            key: table.key.clone(),
        };
        let condition = match (self.winner, self.agreement) {
            (Some(Winner::Old), _) | (Some(Winner::New), Some(_)) => return None,
            (None, Some(agreement)) => agreement.conflict(),
            (_, None) => format!("{new} IS NOT NULL"),
        };
        Some(Sweep::new(
            &format!("no value may stand in `{}` alone", new.as_str()),
            &path,
            condition,
            Expect::NothingLost { new: new.clone() },
        ))
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
