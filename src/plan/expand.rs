//! Expand: the new column beside the old one.

use crate::database::{ForeignKeys, Statement};
use crate::phase::Phase;
use crate::schema::Addition;

use super::schema_rows::check_constraints;
use super::{Plan, Stage, Step, Transaction};

/// One transaction: the column and the ledger's `records`.
#[must_use]
pub fn expand(addition: Addition, records: Vec<Step>) -> Plan {
    let mut steps = vec![Step::run(
        "a nullable column is added without touching a row",
        Statement::new(addition.statement),
    )];
    if addition.table.strict {
        // SQLite adds no column to a STRICT table while a row in it violates a CHECK.
        steps.insert(0, check_constraints(false));
        steps.push(check_constraints(true));
    }
    steps.extend(records);
    let mut warnings = addition.warnings;
    warnings.extend(addition.breaks);
    warnings.push(format!(
        "an application that says `INSERT INTO {} VALUES (…)` without naming the columns will fail: \
         look for it before you expand",
        addition.table.name.as_str()
    ));
    Plan {
        phase: Some(Phase::Expand),
        table: addition.table.name.clone(),
        warnings,
        stages: vec![Stage::Once(Transaction::leading_to(
            &addition.schema,
            Some(&addition.table),
            "add the column",
            ForeignKeys::Off,
            steps,
        ))],
    }
}
