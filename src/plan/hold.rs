//! The end of a hold: the old column, which is computed from the new one, goes for good.

use crate::database::{ForeignKeys, Statement};
use crate::name::Name;
use crate::phase::Phase;
use crate::schema::Schema;

use super::contract::gone;
use super::online::{Leftovers, give_up};
use super::ours::{name, without_ours_of};
use super::{Plan, Stage, Step, Transaction, schema_rows};

/// What an undo may have left that was stopped, and then one short transaction: the text of the table as in `target`, which
/// touches no row, and the ledger's `records`.
#[must_use]
pub fn release(
    live: &Schema,
    change: i64,
    left: &Leftovers,
    (table, old): (&Name, &Name),
    target: Schema,
    records: Vec<Step>,
) -> Plan {
    let (mut stages, live) = give_up(left, live, change);
    let mut steps = Vec::new();
    let texts = schema_rows::texts(&live, &target);
    if !texts.is_empty() {
        steps.push(schema_rows::open());
        steps.extend(texts);
        steps.push(schema_rows::close());
        steps.extend(be_noticed(change));
    }
    steps.extend(records);
    stages.push(Stage::Once(Transaction::leading_to(
        &without_ours_of(target, change),
        None,
        "the old column goes, of which no row holds anything",
        ForeignKeys::Off,
        steps,
    )));
    Plan {
        phase: Some(Phase::Contract),
        table: table.clone(),
        warnings: vec![gone(old)],
        stages,
    }
}

/// Some DDL, by which other connections notice that the schema is another one.
fn be_noticed(change: i64) -> [Step; 2] {
    let view = name(change, "notice");
    [
        Step::run(
            "a view that comes",
            Statement::new(format!("CREATE VIEW {view} AS SELECT 1")),
        ),
        Step::run(
            "and goes, by which other connections notice it",
            Statement::new(format!("DROP VIEW {view}")),
        ),
    ]
}
