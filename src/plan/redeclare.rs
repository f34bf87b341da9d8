//! Another type for the new column, where expand could not know the old one's.

use crate::database::Statement;
use crate::schema::{Pair, Schema};

use super::{Expect, Outcome, Step, schema_rows};

/// Gives the column the type that it has in `outcome`, while it holds nothing but NULL: no row has to be written.
pub(super) fn redeclare(live: &Schema, outcome: &Outcome, pair: &Pair) -> Vec<Step> {
    let (table, new) = (&pair.table, &pair.new);
    let mut steps = vec![
        Step::expecting(
            format!("`{}` holds nothing yet", new.as_str()),
            Statement::new(format!(
                "SELECT 1 FROM {table} WHERE {new} IS NOT NULL LIMIT 1"
            )),
            Expect::NoRow("the new column holds values already"),
        ),
        schema_rows::open(),
    ];
    steps.extend(schema_rows::texts(live, &outcome.schema));
    steps.push(schema_rows::close());
    let why = "by this other connections notice that the schema is another one";
    steps.push(Step::run(
        why,
        Statement::new(format!(
            "CREATE TRIGGER _changeover_notice AFTER DELETE ON {table} BEGIN SELECT 1; END"
        )),
    ));
    steps.push(Step::run(
        why,
        Statement::new("DROP TRIGGER _changeover_notice"),
    ));
    steps
}
