//! The way over all rows of a table in the order of their key, in stretches.

use rusqlite::types::Value;

use crate::database::Statement;
use crate::name::Name;
use crate::schema::{Key, KeyColumn};

/// The key of a row: one value a key column.
pub type Position = Vec<Value>;

/// How far a walk has come.
#[derive(Clone, Copy, Debug)]
pub enum Upto<'a> {
    /// To this key.
    Key(&'a Position),
    /// Over all rows, those that come yet among them.
    End,
}

/// A table and the key that orders its rows.
#[derive(Clone, Debug)]
pub struct Path {
    /// The table.
    pub table: Name,
    /// How its rows are found.
    pub key: Key,
}

impl Path {
    /// Whether the position has a value for each column of the key.
    #[must_use]
    pub fn fits(&self, position: &Position) -> bool {
        position.len()
            == match &self.key {
                Key::Rowid { .. } => 1,
                Key::Columns(columns) => columns.len(),
                Key::None => 0,
            }
    }

    /// Finds the key of the `size`th row behind `after`, which is none near the end of the table. A table
    /// whose rows have no key is one stretch.
    #[must_use]
    pub fn boundary(&self, after: Option<&Position>, size: u32) -> Option<Statement> {
        let order = match &self.key {
            Key::Rowid { name, .. } => name.to_string(),
            Key::Columns(columns) => join(columns, |column| {
                let direction = if column.descending { " DESC" } else { "" };
                format!("{}{direction}", compared(column))
            }),
            Key::None => return None,
        };
        let head = self.select_keys();
        let mut query = self.stretch(after, None).select(&head, "TRUE");
        query.params.push(Value::Integer(i64::from(size) - 1));
        let offset = query.params.len();
        query.sql = format!("{} ORDER BY {order} LIMIT 1 OFFSET ?{offset}", query.sql);
        Some(query)
    }

    /// Counts the rows behind `after`.
    #[must_use]
    pub fn count(&self, after: Option<&Position>) -> Statement {
        let head = format!("SELECT count(*) FROM {}", self.table);
        self.stretch(after, None).select(&head, "TRUE")
    }

    /// The rows behind `after` and not behind `upto`; from the first row on and to the last where there is none.
    #[must_use]
    pub fn stretch(&self, after: Option<&Position>, upto: Option<&Position>) -> Stretch {
        let mut stretch = Statement::new(String::new());
        if let Some(after) = after {
            bound(&mut stretch, &self.key, Side::After, after);
        }
        if let Some(upto) = upto {
            bound(&mut stretch, &self.key, Side::UpTo, upto);
        }
        Stretch(stretch)
    }

    /// One row, where it is not behind `upto`: the values of its key are yet to come, behind the others.
    pub(super) fn row(&self, upto: Upto<'_>) -> Stretch {
        let mut stretch = match upto {
            Upto::Key(upto) => self.stretch(None, Some(upto)).0,
            Upto::End => Statement::new(String::new()),
        };
        if !stretch.sql.is_empty() {
            stretch.sql.push_str(" AND ");
        }
        let key = self.is_bound_behind(stretch.params.len());
        stretch.sql.push_str(&key);
        Stretch(stretch)
    }

    /// The condition that the key is what is bound behind so many other values.
    pub(super) fn is_bound_behind(&self, others: usize) -> String {
        let numbered = (others + 1..).zip(self.compared());
        let equal: Vec<String> = numbered
            .map(|(number, column)| format!("{column} = ?{number}"))
            .collect();
        equal.join(" AND ")
    }

    /// The columns of the key, each as the key compares it.
    pub(super) fn compared(&self) -> Vec<String> {
        match &self.key {
            Key::Rowid { name, .. } => vec![name.to_string()],
            Key::Columns(columns) => columns.iter().map(compared).collect(),
            Key::None => Vec::new(),
        }
    }

    /// The names of the columns of the key.
    pub(super) fn key_names(&self) -> Vec<&Name> {
        match &self.key {
            Key::Rowid { name, .. } => vec![name],
            Key::Columns(columns) => columns.iter().map(|column| &column.name).collect(),
            Key::None => Vec::new(),
        }
    }

    /// A query for the keys, before its WHERE.
    pub(super) fn select_keys(&self) -> String {
        format!("SELECT {} FROM {}", self.key_list(), self.table)
    }

    /// What tells a row from the others, as the columns of a query.
    pub(super) fn key_list(&self) -> String {
        match &self.key {
            Key::Rowid { name, .. } => name.to_string(),
            Key::Columns(columns) => join(columns, |column| column.name.to_string()),
            Key::None => "'(no key)' AS row".to_owned(),
        }
    }
}

/// Some of the rows, one behind the other.
#[derive(Clone, Debug)]
pub struct Stretch(Statement);

impl Stretch {
    /// All rows.
    pub(super) fn all() -> Self {
        Self(Statement::new(String::new()))
    }

    /// A statement over those rows of the stretch that fulfil a condition; `head` is all of it before WHERE.
    pub(super) fn select(&self, head: &str, condition: &str) -> Statement {
        let Statement { sql, params } = &self.0;
        let within = match (sql.as_str(), condition) {
            // A column may be called so.
            ("", "TRUE") => return Statement::new(head),
            ("", condition) => condition.to_owned(),
            (sql, "TRUE") => sql.to_owned(),
            (sql, condition) => format!("{sql} AND {condition}"),
        };
        Statement::with(format!("{head} WHERE {within}"), params.clone())
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
