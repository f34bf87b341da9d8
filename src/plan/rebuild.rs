//! The rebuild: a table written anew under its final text, and swapped in.
//!
//! The shadow table is filled beside the live one. Then the two exchange their b-trees: only the root pages in
//! `sqlite_schema` change places, so that every row there stays where it is. Triggers keep their order,
//! statistics and sequences their names, and other tables' references, the views and the triggers are
//! never dropped. What the shadow holds then is the old content, and goes with it.

use rusqlite::types::Value;

use crate::database::{ForeignKeys, Statement};
use crate::name::Name;
use crate::schema::{Key, Schema, Table, Target};

use super::indexes::make_indexes;
use super::migrate_data::without_ours_of;
use super::schema_rows::check_constraints;
use super::{Expect, Outcome, Stage, Step, Transaction, schema_rows};

/// The steps, to run with foreign keys off in one transaction.
///
/// Each column keeps its values, but the one for which `computed` has an expression over the columns of the live table.
pub(super) fn rebuild(
    live: &Schema,
    table: &Table,
    target: &Target,
    computed: Option<(&Name, String)>,
) -> Vec<Step> {
    let shadow = &target.shadow;
    let mut steps = vec![Step::run(
        "the table under its final text, still beside the live one",
        Statement::new(shadow.table.clone()),
    )];
    // Rows that a CHECK would refuse today are in the table all the same, and stay in it.
    steps.push(check_constraints(false));
    steps.push(copy(table, target, computed));
    steps.push(check_constraints(true));
    steps.extend(make_indexes(shadow.indexes.iter().map(String::as_str)));
    steps.push(Step::expecting(
        "as many rows here as there",
        Statement::new(format!(
            "SELECT 1 WHERE (SELECT count(*) FROM {}) <> (SELECT count(*) FROM {})",
            table.name, shadow.name
        )),
        Expect::NoRow("the copy holds another number of rows than the table"),
    ));
    steps.push(schema_rows::open());
    steps.push(swap(&shadow.twins));
    steps.extend(schema_rows::texts(live, &target.schema));
    steps.push(schema_rows::close());
    steps.push(Step::run(
        "the old content goes",
        Statement::new(format!("DROP TABLE {}", shadow.name)),
    ));
    steps
}

/// The transaction of a rebuild, with all of its steps, which leads to the target without what the change had on the
/// table.
pub(super) fn rebuilding(purpose: &str, steps: Vec<Step>, target: Target, change: i64) -> Stage {
    Stage::Once(Transaction {
        purpose: purpose.to_owned(),
        foreign_keys: ForeignKeys::Off,
        steps,
        outcome: Some(Outcome {
            schema: without_ours_of(target.schema, change),
            table: target.table,
            is_rebuilt: true,
        }),
    })
}

fn copy(table: &Table, target: &Target, computed: Option<(&Name, String)>) -> Step {
    let columns = target.table.stored().map(|it| &it.name);
    let mut columns: Vec<String> = columns.map(Name::to_string).collect();
    let mut values = columns.clone();
    if let Some((column, value)) = computed
        && let Some(at) = target.table.stored().position(|it| it.name == *column)
    {
        values[at] = value;
    }
    let mut order = String::new();
    if let Key::Rowid { name, hidden } = &table.key {
        if *hidden {
            columns.insert(0, name.to_string());
            values.insert(0, name.to_string());
        }
        order = format!(" ORDER BY {name}");
    }
    let (columns, values) = (columns.join(", "), values.join(", "));
    Step::run(
        "every row, with its rowid",
        Statement::new(format!(
            "INSERT OR ABORT INTO {} ({columns}) SELECT {values} FROM {}{order}",
            target.shadow.name, table.name,
        )),
    )
}

/// Exchanges the root pages of each pair. The pairs are joined before the first row changes, which an
/// UPDATE … FROM promises and a subquery would not.
fn swap(twins: &[(Name, Name)]) -> Step {
    let mut params = Vec::new();
    let mut pairs = Vec::new();
    for (live, shadow) in twins {
        for (one, other) in [(live, shadow), (shadow, live)] {
            pairs.push(format!("(?{}, ?{})", params.len() + 1, params.len() + 2));
            params.extend([one, other].map(|name| Value::Text(name.as_str().to_owned())));
        }
    }
    let statement = Statement::with(
        format!(
            "WITH pair(one, other) AS (VALUES {}) \
             UPDATE sqlite_schema AS live SET rootpage = twin.rootpage \
             FROM pair JOIN sqlite_schema AS twin ON twin.name = pair.other AND twin.type IN ('table', 'index') \
             WHERE live.name = pair.one AND live.type IN ('table', 'index')",
            pairs.join(", ")
        ),
        params,
    );
    Step::expecting(
        "the two tables, and their indexes, exchange their b-trees",
        statement,
        Expect::Changes(2 * twins.len() as u64),
    )
}
