//! Migrate data: every row gets its value in the new column, a short transaction at a time.

use rusqlite::types::Value;

use crate::database::{ForeignKeys, Statement};
use crate::name::Name;
use crate::phase::Phase;
use crate::request::Winner;
use crate::schema::Key;

use super::{Agreement, Check, Plan, Stage, Step, Transaction};

/// The key of a row: one value a key column.
pub type Position = Vec<Value>;

/// The ledger's part in a data migration, as steps.
#[derive(Debug)]
pub struct Records {
    /// The change is being migrated.
    pub started: Vec<Step>,
    /// Adds `changes()` to the rows migrated; right behind the UPDATE that it counts.
    pub counted: Step,
    /// The phase is done.
    pub finished: Vec<Step>,
}

/// A walk over all rows in the order of their key.
#[derive(Clone, Debug)]
pub struct Walk {
    /// What it is for.
    pub purpose: String,
    /// Whether foreign keys are enforced meanwhile.
    pub foreign_keys: ForeignKeys,
    agreement: Agreement,
    winner: Option<Winner>,
    counted: Step,
}

/// Start, walk, finish. The finish takes the rows that were written behind the cursor.
#[must_use]
pub fn migrate_data(agreement: &Agreement, winner: Option<Winner>, records: Records) -> Plan {
    let table = agreement.pair.table.clone();
    let walk = Walk {
        purpose: "copy the values in batches, from key to key".to_owned(),
        foreign_keys: ForeignKeys::On,
        agreement: agreement.clone(),
        winner,
        counted: records.counted,
    };
    let mut finish = walk.whole();
    finish.push(agreement.check(true));
    finish.extend(records.finished);
    let conflicts = match winner {
        None => vec![agreement.check(false)],
        Some(_) => Vec::new(),
    };
    let transaction = |purpose: &str, steps| {
        Stage::Once(Transaction {
            purpose: purpose.to_owned(),
            foreign_keys: ForeignKeys::On,
            steps,
            outcome: None,
        })
    };
    Plan {
        phase: Phase::MigrateData,
        table,
        warnings: Vec::new(),
        stages: vec![
            Stage::Check(Check {
                purpose: "look for rows that hold two values".to_owned(),
                steps: conflicts,
            }),
            transaction("begin", records.started),
            Stage::Batches(walk),
            transaction(
                "take what was written meanwhile, and record the phase",
                finish,
            ),
        ],
    }
}

impl Walk {
    /// The walk in a single transaction.
    #[must_use]
    pub fn whole(&self) -> Vec<Step> {
        self.steps(None)
    }

    /// The steps for the rows behind `after` up to `upto`; from the first row and to the last where there is none.
    #[must_use]
    pub fn batch(&self, after: Option<&Position>, upto: Option<&Position>) -> Vec<Step> {
        let key = &self.agreement.key;
        let mut range = Statement::new(String::new());
        if let Some(after) = after {
            bound(&mut range, key, Side::After, after);
        }
        if let Some(upto) = upto {
            bound(&mut range, key, Side::UpTo, upto);
        }
        self.steps((!range.sql.is_empty()).then_some(&range))
    }

    /// Finds the key of the `size`th row behind `after`, which is none near the end of the table. A table
    /// whose rows have no key is one batch.
    #[must_use]
    pub fn boundary(&self, after: Option<&Position>, size: u32) -> Option<Statement> {
        let key = &self.agreement.key;
        let (columns, order) = match key {
            Key::Rowid { name, .. } => (name.to_string(), name.to_string()),
            Key::Columns(columns) => (
                join(columns, |(name, ..)| name.to_string()),
                join(columns, |(name, collation, down)| {
                    let direction = if *down { " DESC" } else { "" };
                    format!(
                        "{name} COLLATE {}{direction}",
                        Name::from(collation.as_str())
                    )
                }),
            ),
            Key::None => return None,
        };
        let mut range = Statement::new(String::new());
        if let Some(after) = after {
            bound(&mut range, key, Side::After, after);
        }
        let filter = if range.sql.is_empty() {
            "TRUE"
        } else {
            &range.sql
        };
        let table = &self.agreement.pair.table;
        let mut params = range.params;
        params.push(Value::Integer(i64::from(size) - 1));
        Some(Statement::with(
            format!(
                "SELECT {columns} FROM {table} WHERE {filter} ORDER BY {order} LIMIT 1 OFFSET ?{}",
                params.len()
            ),
            params,
        ))
    }

    fn steps(&self, range: Option<&Statement>) -> Vec<Step> {
        let mut steps = Vec::new();
        for settling in self.agreement.settling(self.winner) {
            let statement = settling.statement(&self.agreement, range);
            steps.push(Step::run(settling.why, statement));
            if settling.counts {
                steps.push(self.counted.clone());
            }
        }
        steps
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Side {
    After,
    UpTo,
}

/// Adds to `range` that the key lies behind, or not behind, a position.
fn bound(range: &mut Statement, key: &Key, side: Side, position: &Position) {
    let first = range.params.len() + 1;
    let condition = match key {
        Key::Rowid { name, .. } => {
            let operator = if side == Side::After { ">" } else { "<=" };
            format!("{name} {operator} ?{first}")
        }
        Key::Columns(columns) => lexicographic(columns, side, first),
        Key::None => return,
    };
    if !range.sql.is_empty() {
        range.sql.push_str(" AND ");
    }
    range.sql.push_str(&condition);
    range.params.extend(position.iter().cloned());
}

/// Compares the key with the parameters from number `first` on, column by column, in the key's own order.
fn lexicographic(columns: &[(Name, String, bool)], side: Side, first: usize) -> String {
    let sides = |columns: &[(Name, String, bool)]| {
        let left = join(columns, |(name, collation, _)| {
            format!("{name} COLLATE {}", Name::from(collation.as_str()))
        });
        let numbers: Vec<String> = (first..first + columns.len())
            .map(|n| format!("?{n}"))
            .collect();
        (left, numbers.join(", "))
    };
    let operator = |down: bool, last: bool| {
        let (strict, loose) = if (side == Side::After) == down {
            ("<", "<=")
        } else {
            (">", ">=")
        };
        if last && side == Side::UpTo {
            loose
        } else {
            strict
        }
    };
    let down = columns.first().is_some_and(|(.., down)| *down);
    if columns.iter().all(|(.., other)| *other == down) {
        // One comparison of rows, which SQLite answers from the index.
        let (left, right) = sides(columns);
        return format!("({left}) {} ({right})", operator(down, true));
    }
    let last = columns.len() - 1;
    let cases: Vec<String> = (0..columns.len())
        .map(|at| {
            let (name, collation, down) = &columns[at];
            let collation = Name::from(collation.as_str());
            let decisive = format!(
                "{name} COLLATE {collation} {} ?{}",
                operator(*down, at == last),
                first + at
            );
            if at == 0 {
                return decisive;
            }
            let (left, right) = sides(&columns[..at]);
            format!("(({left}) = ({right}) AND {decisive})")
        })
        .collect();
    format!("({})", cases.join(" OR "))
}

fn join<T>(items: &[T], write: impl Fn(&T) -> String) -> String {
    items.iter().map(write).collect::<Vec<_>>().join(", ")
}
