//! The rebuild: the rows of a table written anew, and the table then said to be another one.
//!
//! The shadow table is filled beside the live one. Then the two exchange their b-trees: only the root pages in
//! `sqlite_schema` change places, so that every row there stays where it is. Triggers keep their order,
//! statistics and sequences their names, and other tables' references, the views and the triggers are
//! never dropped. What the shadow holds then is the old content, and goes with it.
//!
//! The indexes stay too, as they are: they hold keys and the rows' own keys, and none of these becomes another one
//! where a column gives way to one that holds the same.

use rusqlite::types::Value;

use crate::database::{ForeignKeys, Memory, Statement};
use crate::name::Name;
use crate::schema::{Key, Object, Schema, Table, Target};

use super::copying::Copying;
use super::ours::{drop_table, without_ours_of};
use super::path::{Path, Stretch};
use super::{Expect, Outcome, Stage, Step, Transaction, schema_rows};

/// What is rebuilt, and into what.
#[derive(Clone, Debug)]
pub(super) struct Rebuild<'a> {
    /// The number of the change.
    pub(super) change: i64,
    /// The schema today.
    pub(super) live: &'a Schema,
    /// The new column of the change.
    pub(super) new: &'a Name,
    /// The table today.
    pub(super) table: &'a Table,
    /// The schema afterwards.
    pub(super) target: &'a Target,
    /// A column that does not keep its values, and the expression over the columns of the live table that has them.
    pub(super) computed: Option<(Name, String)>,
    /// Whether some row may get another value than the indexes have of it.
    pub(super) changes_values: bool,
    /// The triggers and indexes that the change has on the table afterwards.
    pub(super) leaves: &'a [Object],
}

impl Rebuild<'_> {
    /// All of it in one transaction.
    pub(super) fn stage(&self, purpose: &str, before: Vec<Step>, records: Vec<Step>) -> Stage {
        let mut steps = before;
        steps.push(self.make_shadow());
        steps.push(self.copying().copy(&Stretch::all()));
        steps.push(self.count());
        steps.push(schema_rows::open());
        steps.extend(self.exchange());
        steps.push(schema_rows::close());
        let shadow = &self.target.shadow.name;
        steps.push(drop_table("the old content goes", shadow));
        // A table whose rowid nobody can name gets new ones.
        if self.changes_values || !self.target.keeps_indexes || self.table.key == Key::None {
            steps.extend(self.make_indexes_anew());
        }
        steps.extend(records);
        Stage::Once(Transaction {
            purpose: purpose.to_owned(),
            foreign_keys: ForeignKeys::Off,
            steps,
            outcome: Some(self.outcome(true)),
        })
    }

    /// What must stand behind it.
    pub(super) fn outcome(&self, is_rebuilt: bool) -> Outcome {
        Outcome {
            schema: without_ours_of(self.target.schema.clone(), self.change)
                .with_ours(self.leaves.to_vec()),
            table: Some(self.target.table.clone()),
            is_rebuilt,
        }
    }

    /// The empty shadow.
    pub(super) fn make_shadow(&self) -> Step {
        Step::run(
            "a table for the rows as they will be, still beside the live one",
            Statement::new(self.target.shadow.text.clone()),
        )
    }

    /// The copying of rows.
    pub(super) fn copying(&self) -> Copying {
        let shadow = &self.target.shadow;
        let value = |column: &Name| match &self.computed {
            Some((computed, value)) if computed == column => value.clone(),
            _ => column.to_string(),
        };
        let mut columns: Vec<String> = shadow.columns.iter().map(Name::to_string).collect();
        let mut values: Vec<String> = shadow.columns.iter().map(value).collect();
        if let (
            Key::Rowid {
                name: here,
                hidden: true,
            },
            Key::Rowid { name: there, .. },
        ) = (&self.table.key, &shadow.key)
        {
            columns.insert(0, there.to_string());
            values.insert(0, here.to_string());
        }
        let path = |table: &Name, key: &Key| Path {
            table: table.clone(),
            key: key.clone(),
        };
        Copying {
            live: path(&self.table.name, &self.table.key),
            shadow: path(&shadow.name, &shadow.key),
            columns,
            values,
            condition: None,
        }
    }

    fn count(&self) -> Step {
        Step::expecting(
            "as many rows here as there",
            Statement::new(format!(
                "SELECT 1 WHERE (SELECT count(*) FROM {}) <> (SELECT count(*) FROM {})",
                self.table.name, self.target.shadow.name
            )),
            Expect::NoRow("the copy holds another number of rows than the table"),
        )
    }

    /// The exchange of the two, and the texts of everything that the change has renamed, while these rows are open.
    pub(super) fn exchange(&self) -> Vec<Step> {
        let mut steps = vec![exchange_roots(&self.table.name, &self.target.shadow.name)];
        steps.extend(schema_rows::texts(self.live, &self.target.schema));
        steps
    }

    fn make_indexes_anew(&self) -> [Step; 3] {
        [
            Step::run("memory for sorting", Memory::Sort.allot()),
            Step::run(
                "the indexes, over rows that may hold other values than before",
                Statement::new(format!("REINDEX {}", self.table.name)),
            ),
            Step::run("and for the page cache again", Memory::Cache.allot()),
        ]
    }
}

/// Exchanges the root pages of two tables. The pair is joined before the first row changes, which an UPDATE … FROM
/// promises and a subquery would not.
fn exchange_roots(live: &Name, shadow: &Name) -> Step {
    let text = |name: &Name| Value::Text(name.as_str().to_owned());
    Step::expecting(
        "the two tables exchange their b-trees",
        Statement::with(
            "WITH pair(one, other) AS (VALUES (?1, ?2), (?2, ?1)) \
             UPDATE sqlite_schema AS live SET rootpage = twin.rootpage \
             FROM pair JOIN sqlite_schema AS twin ON twin.name = pair.other AND twin.type = 'table' \
             WHERE live.name = pair.one AND live.type = 'table'",
            [text(live), text(shadow)],
        ),
        Expect::Changes(2),
    )
}
