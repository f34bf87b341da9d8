//! Undo: the old column, which is computed from the new one, becomes one that rows hold again.

use crate::database::ForeignKeys;
use crate::phase::Phase;
use crate::schema::{Object, Schema, Table, Target};

use super::index_build::{Builder, Building};
use super::indexes::make_indexes;
use super::online::{Leftovers, Way, give_up};
use super::ours::{drop_one, drop_ours, without_ours_of};
use super::rebuild::Rebuild;
use super::{Agreement, Plan, Stage, Step, SyncTriggers, Transaction};

/// What is brought back.
#[derive(Debug)]
pub struct Restoring<'a> {
    /// The number of the change.
    pub change: i64,
    /// When its rows agree from then on.
    pub agreement: &'a Agreement,
    /// What keeps both columns in step from then on.
    pub triggers: SyncTriggers,
    /// Indexes of the new column.
    pub indexes: Vec<Object>,
    /// How they are built beside a table that is rebuilt online; none where they are made at once.
    pub building: Option<Building>,
    /// What people should know before it runs.
    pub warnings: Vec<String>,
}

/// At once or online: the rebuild, in which every row gets the value of the old column that can be read today; the
/// indexes and the triggers with which both columns can be written; and the ledger's `records`.
#[must_use]
pub fn undo(
    live: &Schema,
    table: &Table,
    target: &Target,
    restoring: &Restoring<'_>,
    way: Way,
    records: Vec<Step>,
) -> Plan {
    const PURPOSE: &str = "rebuild the table with both columns, and keep them in step";
    let change = restoring.change;
    let mut leaves = restoring.indexes.clone();
    leaves.extend(restoring.triggers.objects());
    let rebuild = |live| Rebuild {
        change,
        live,
        new: &restoring.agreement.pair.new,
        table,
        target,
        computed: None,
        changes_values: false,
        leaves: &leaves,
    };
    let mut in_step = restoring.triggers.create();
    in_step.extend(records);
    let stages = match way {
        Way::AtOnce(left) => {
            let (mut stages, live) = give_up(&left, live, change);
            let mut records = restoring.make_indexes();
            records.extend(in_step);
            stages.push(rebuild(&live).stage(PURPOSE, drop_ours(&live, change), records));
            stages
        }
        Way::Online(mut online) => {
            let mut stages = Vec::new();
            let mut live = live.clone();
            if !restoring.indexes.iter().all(|it| live.ours.contains(it)) {
                let left = std::mem::take(&mut online.found);
                (stages, live) = restoring.index(&left, &live, table, &online.begun);
            }
            stages.extend(rebuild(&live).online(PURPOSE, *online, None, None, in_step));
            stages
        }
    };
    Plan {
        phase: Some(Phase::Undo),
        table: table.name.clone(),
        warnings: restoring.warnings.clone(),
        stages,
    }
}

impl Restoring<'_> {
    fn make_indexes(&self) -> Vec<Step> {
        make_indexes(self.indexes.iter().filter_map(|it| it.sql.as_deref()))
    }

    /// Gives the new column its indexes while the table is as it was, and returns the schema that stands then.
    fn index(
        &self,
        left: &Leftovers,
        live: &Schema,
        table: &Table,
        begun: &[Step],
    ) -> (Vec<Stage>, Schema) {
        let (mut stages, live) = give_up(left, live, self.change);
        let mut first = drop_ours(&live, self.change);
        first.extend(begun.iter().cloned());
        let bare = without_ours_of(live, self.change);
        stages.push(once("the change is on its way back", first, &bare));
        let done = bare.clone().with_ours(self.indexes.clone());
        let at_once = once(
            "make the indexes of the new column",
            self.make_indexes(),
            &done,
        );
        let Some(building) = &self.building else {
            stages.push(at_once);
            return (stages, done);
        };
        let builder = Builder::new(self.change, table, building);
        let triggers = builder.delta.triggers();
        let noting = bare.clone().with_ours(triggers.clone());
        let purpose = "note from here on which rows are written";
        stages.push(once(purpose, builder.begin(), &noting));
        let give_up = once("nobody notes rows any more", builder.give_up(), &bare);
        let place = |placed| {
            let mut steps: Vec<Step> = triggers.iter().map(drop_one).collect();
            steps.extend(placed);
            transaction(
                "put the indexes of the new column into their place",
                steps,
                &done,
            )
        };
        let build = builder.build(place, vec![give_up, at_once]);
        stages.push(Stage::Indexes(Box::new(build)));
        (stages, done)
    }
}

fn once(purpose: &str, steps: Vec<Step>, outcome: &Schema) -> Stage {
    Stage::Once(transaction(purpose, steps, outcome))
}

fn transaction(purpose: &str, steps: Vec<Step>, outcome: &Schema) -> Transaction {
    Transaction::leading_to(outcome, None, purpose, ForeignKeys::On, steps)
}
