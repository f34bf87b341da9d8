//! Contract: the new column in the place of the old one.

use crate::error::{Error, Result};
use crate::name::Name;
use crate::phase::Phase;
use crate::request::Winner;
use crate::schema::{Pair, Schema, Table, Target, rename_old, replace_old};

use super::backfill::Backfill;
use super::online::{Way, give_up};
use super::ours::drop_ours;
use super::rebuild::Rebuild;
use super::sweep::Sweep;
use super::walk::Walk;
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
    /// Whether the old column is held, in the words of the phase.
    pub phase: Phase,
    /// When its rows agree.
    pub agreement: &'a Agreement,
    /// What must not be found in any row; none where a winner settles it.
    pub check: Option<&'a Sweep>,
    /// Whose value counts where both columns hold one.
    pub winner: Option<Winner>,
    /// Whether the new column is another one, rather than the old one under a new name.
    pub replaces: bool,
    /// Whether both columns were kept in step.
    pub is_synced: bool,
}

impl Contracting<'_> {
    /// What the new column holds afterwards, over the columns of the live table. Where the old one gets another name and
    /// nothing else, it is its value: those of the two columns are the same, but for what a type made of the new one's.
    fn value(&self, winner: Option<Winner>) -> String {
        match winner {
            None if !self.replaces => self.agreement.pair.old.to_string(),
            winner => self.agreement.new_value(winner.unwrap_or(Winner::New)),
        }
    }

    /// Whether that may be something else than the indexes have of either column.
    fn changes_values(&self, winner: Option<Winner>) -> bool {
        winner.is_some() || (self.replaces && !self.is_synced)
    }
}

/// The rows checked while nobody waits, and then at once or online: the rows checked again, the rebuild, the ledger's
/// `records`.
#[must_use]
pub fn contract(
    live: &Schema,
    table: &Table,
    target: &Target,
    contracting: &Contracting<'_>,
    way: Way,
    records: Vec<Step>,
) -> Plan {
    let Contracting {
        change,
        phase,
        agreement,
        check,
        winner,
        ..
    } = *contracting;
    let purpose = match phase {
        Phase::Hold => "rebuild the table with the old column computed from the new one",
        _ => "rebuild the table without the old column",
    };
    let rebuild = |live, winner| Rebuild {
        change,
        live,
        new: &agreement.pair.new,
        table,
        target,
        computed: Some((agreement.pair.new.clone(), contracting.value(winner))),
        changes_values: contracting.changes_values(winner),
        leaves: &[],
    };
    let stages = match way {
        Way::AtOnce(left) => {
            let (mut stages, live) = give_up(&left, live, change);
            stages.extend(check.cloned().map(Stage::Sweep));
            let mut steps: Vec<Step> = check.map(Sweep::whole).into_iter().collect();
            steps.extend(drop_ours(&live, change));
            stages.push(rebuild(&live, winner).stage(purpose, steps, records));
            stages
        }
        Way::Online(online) => {
            let settling = winner.map(|it| Walk::of(Backfill::new(agreement, Some(it), None)));
            let agreed = Sweep::of_disagreement(agreement);
            rebuild(live, None).online(purpose, *online, settling, Some(&agreed), records)
        }
    };
    Plan {
        phase: Some(phase),
        table: table.name.clone(),
        warnings: match phase {
            Phase::Hold => held(&table.name, &agreement.pair.old),
            _ => vec![gone(&agreement.pair.old)],
        },
        stages,
    }
}

/// What people should know before the old column goes.
pub(super) fn gone(old: &Name) -> String {
    let old = old.as_str();
    format!(
        "a statement that still says \"{old}\" in double quotes will not fail but read the word itself, \
         as SQLite takes an unknown name in double quotes for a string"
    )
}

/// What people should know before it can be read alone.
fn held(table: &Name, old: &Name) -> Vec<String> {
    let (table, old) = (table.as_str(), old.as_str());
    vec![
        format!(
            "a statement that writes `{old}` will fail, and `SELECT *` shows it behind all other columns of `{table}`"
        ),
        format!(
            "`{old}` will be a generated column, which SQLite before 3.31 cannot read: such an application would fail with \
             every statement on the file"
        ),
    ]
}
