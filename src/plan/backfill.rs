//! Migrate data: every row gets its value in the new column, a short transaction at a time.

use rusqlite::types::Value;

use crate::database::{ForeignKeys, Statement};
use crate::phase::Phase;
use crate::request::Winner;
use crate::schema::{Key, KeyColumn, Schema};

use super::redeclare::redeclare;
use super::{Agreement, Check, Outcome, Plan, Stage, Step, Transaction};

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

/// Start, walk, finish. The start gives the new column the type of the old one where `redeclared` says so; the
/// finish takes the rows that were written behind the cursor.
#[must_use]
pub fn migrate_data(
    live: &Schema,
    agreement: &Agreement,
    winner: Option<Winner>,
    redeclared: Option<Outcome>,
    records: Records,
) -> Plan {
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
    let transaction = |purpose: &str, steps, outcome| {
        Stage::Once(Transaction {
            purpose: purpose.to_owned(),
            foreign_keys: ForeignKeys::On,
            steps,
            outcome,
        })
    };
    let mut started = Vec::new();
    if let Some(redeclared) = &redeclared {
        started.extend(redeclare(live, redeclared, &agreement.pair));
    }
    started.extend(records.started);
    let mut stages = Vec::new();
    if winner.is_none() {
        stages.push(Stage::Check(Check {
            purpose: "look for rows that hold two values".to_owned(),
            steps: vec![agreement.check(false)],
        }));
    }
    stages.extend([
        transaction("begin", started, redeclared),
        Stage::Batches(walk),
        transaction(
            "take what was written meanwhile, and record the phase",
            finish,
            None,
        ),
    ]);
    Plan {
        phase: Phase::MigrateData,
        table,
        warnings: Vec::new(),
        stages,
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

    /// Whether the position has a value for each column of the key.
    #[must_use]
    pub fn fits(&self, position: &Position) -> bool {
        position.len()
            == match &self.agreement.key {
                Key::Rowid { .. } => 1,
                Key::Columns(columns) => columns.len(),
                Key::None => 0,
            }
    }

    /// Finds the key of the `size`th row behind `after`, which is none near the end of the table. A table
    /// whose rows have no key is one batch.
    #[must_use]
    pub fn boundary(&self, after: Option<&Position>, size: u32) -> Option<Statement> {
        let key = &self.agreement.key;
        let (columns, order) = match key {
            Key::Rowid { name, .. } => (name.to_string(), name.to_string()),
            Key::Columns(columns) => (
                join(columns, |column| column.name.to_string()),
                join(columns, |column| {
                    let direction = if column.descending { " DESC" } else { "" };
                    format!("{}{direction}", compared(column))
                }),
            ),
            Key::None => return None,
        };
        let (range, mut params) = behind(key, after);
        let table = &self.agreement.pair.table;
        params.push(Value::Integer(i64::from(size) - 1));
        Some(Statement::with(
            format!(
                "SELECT {columns} FROM {table}{range} ORDER BY {order} LIMIT 1 OFFSET ?{}",
                params.len()
            ),
            params,
        ))
    }

    /// Counts the rows behind `after`.
    #[must_use]
    pub fn count(&self, after: Option<&Position>) -> Statement {
        let Agreement { pair, key, .. } = &self.agreement;
        let (range, params) = behind(key, after);
        let table = &pair.table;
        Statement::with(format!("SELECT count(*) FROM {table}{range}"), params)
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

/// The clause that leaves the rows behind `after`, with its values; none where that is all rows.
fn behind(key: &Key, after: Option<&Position>) -> (String, Vec<Value>) {
    let mut range = Statement::new(String::new());
    if let Some(after) = after {
        bound(&mut range, key, Side::After, after);
    }
    if !range.sql.is_empty() {
        range.sql.insert_str(0, " WHERE ");
    }
    (range.sql, range.params)
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
fn lexicographic(columns: &[KeyColumn], side: Side, first: usize) -> String {
    let operator = |descending: bool, last: bool| {
        let (strict, loose) = if (side == Side::After) == descending {
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
    let numbered: Vec<(&KeyColumn, usize)> = columns.iter().zip(first..).collect();
    let [(head, _), ..] = numbered.as_slice() else {
        return "TRUE".to_owned();
    };
    let alike =
        |column: &KeyColumn| column.collation.is_none() && column.descending == head.descending;
    if columns.iter().all(alike) {
        // One comparison of rows, which SQLite answers from the index.
        let left = join(columns, compared);
        let right = join(&numbered, |(_, number)| format!("?{number}"));
        return format!("({left}) {} ({right})", operator(head.descending, true));
    }
    let cases: Vec<String> = (1..=numbered.len())
        .filter_map(|length| numbered[..length].split_last())
        .map(|((decisive, number), before)| {
            let last = before.len() + 1 == columns.len();
            let mut tests: Vec<String> = before
                .iter()
                .map(|(column, number)| format!("{} = ?{number}", compared(column)))
                .collect();
            let operator = operator(decisive.descending, last);
            tests.push(format!("{} {operator} ?{number}", compared(decisive)));
            format!("({})", tests.join(" AND "))
        })
        .collect();
    // The first column alone bounds the search in the index; the cases decide.
    let bound = match (side, head.descending) {
        (Side::After, false) | (Side::UpTo, true) => ">=",
        (Side::After, true) | (Side::UpTo, false) => "<=",
    };
    let cases = cases.join(" OR ");
    format!("({} {bound} ?{first} AND ({cases}))", compared(head))
}

/// A key column, compared as the key compares it.
fn compared(column: &KeyColumn) -> String {
    match &column.collation {
        Some(collation) => format!("{} COLLATE {collation}", column.name),
        None => column.name.to_string(),
    }
}

fn join<T>(items: &[T], write: impl Fn(&T) -> String) -> String {
    items.iter().map(write).collect::<Vec<_>>().join(", ")
}
