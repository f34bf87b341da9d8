//! Kinds of tables, and what is particular about the statements on them.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::super::process::Dice;
use super::statement::{Side, Version};

/// A kind of table that has a column `name`, which is to become `full_name`, and a column `rank`. In its templates `{t}`
/// is the table or its twin, `{v}` a value, and `{key}` the condition that a row has some key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// What makes the table, and all that belongs to it.
    pub(super) schema: &'static str,
    pub(super) key: Key,
    pub(super) values: Values,
    /// The name in the `i`th row, as SQL.
    pub(super) row: &'static str,
    /// And the rank.
    pub(super) rank: &'static str,
    pub(super) unique: Unique,
    /// Whether a statement with OR IGNORE may fail where it would pass over a row: what must not be is refused by a
    /// trigger then, which knows nothing of that clause.
    pub(super) refuses_aloud: bool,
    /// Whether INSERTs have ON CONFLICT: it comes before a CHECK that is left to a trigger.
    pub(super) upserts: bool,
    /// Whether new applications write the old column too.
    pub(super) write_both: bool,
    /// What the new column holds, where that is something else.
    pub(super) mapping: Option<Mapping>,
    /// Tables that belong to the table.
    pub(super) beside: &'static [&'static str],
    /// Statements on these.
    pub(super) others: &'static [&'static str],
}

/// The simplest kind.
pub(super) const PLAIN: Kind = Kind {
    schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT, rank INTEGER)",
    key: Key::Number("id"),
    values: Values::Texts,
    row: "'row ' || i",
    rank: "15 + i % 9",
    unique: Unique::No,
    refuses_aloud: false,
    upserts: true,
    write_both: false,
    mapping: None,
    beside: &[],
    others: &[],
};

/// The columns by which rows are found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key {
    Number(&'static str),
    Text(&'static str),
    Pair(&'static str, &'static str),
}

/// What names are like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Values {
    Texts,
    Numbers,
    /// Of any type.
    Mixed,
}

/// What keeps two rows from having the same name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unique {
    No,
    /// A constraint on the column, which ON CONFLICT can say.
    Column,
    /// Anything else.
    Otherwise,
}

/// How each column is computed from the other. The twin holds both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapping {
    pub(super) declared_type: &'static str,
    pub(super) up: &'static str,
    pub(super) down: &'static str,
}

impl Key {
    pub(super) fn columns(self) -> Vec<&'static str> {
        match self {
            Self::Number(column) | Self::Text(column) => vec![column],
            Self::Pair(first, second) => vec![first, second],
        }
    }

    /// The key of some row, as SQL: often of one that others write too.
    pub(super) fn random(self, dice: &mut Dice) -> Vec<String> {
        let end = if dice.one_in(2) { 30 } else { 1100 };
        let number = 1 + dice.roll(end);
        match self {
            Self::Number(_) => vec![number.to_string()],
            Self::Text(_) => vec![format!("'k{number}'")],
            Self::Pair(..) => vec![(number / 30).to_string(), format!("'k{}'", number % 30)],
        }
    }

    /// The key of the `i`th row, as SQL.
    fn of_row(self) -> &'static str {
        match self {
            Self::Number(_) => "i",
            Self::Text(_) => "'k' || i",
            Self::Pair(..) => "i / 30, 'k' || (i % 30)",
        }
    }
}

impl Values {
    /// A name, as SQL.
    pub(super) fn random(self, dice: &mut Dice) -> String {
        const TEXTS: [&str; 15] = [
            "NULL", "NULL", "'a'", "'A'", "'b'", "'ab'", "' a'", "'a '", "'d'", "''", "1", "'1'",
            "1.0", "'row 7'", "'ROW 8'",
        ];
        const NUMBERS: [&str; 12] = [
            "NULL", "NULL", "0", "1", "1.0", "'1'", "7", "7.0", "'7'", "-1", "1.5", "'x'",
        ];
        const MIXED: [&str; 10] = [
            "NULL", "NULL", "1", "1.0", "'1'", "x'31'", "'a'", "x'61'", "''", "x''",
        ];
        let known: &[&str] = match self {
            Self::Texts => &TEXTS,
            Self::Numbers => &NUMBERS,
            Self::Mixed => &MIXED,
        };
        if dice.one_in(2) {
            return dice.pick(known).to_owned();
        }
        let number = dice.roll(300);
        match self {
            Self::Texts => format!("'name {number}'"),
            Self::Numbers | Self::Mixed => number.to_string(),
        }
    }
}

impl Mapping {
    /// What a statement of this version leaves to be done on the twin.
    pub(super) fn follow(self, version: Version) -> String {
        let Self { up, down, .. } = self;
        let set = match version {
            Version::Old => format!("full_name = {up}"),
            Version::New => format!("name = {down}"),
            Version::Both => panic!("nothing is left to be done"),
        };
        format!(
            "UPDATE twin SET {set}
             WHERE NOT (name COLLATE BINARY IS {down} OR full_name COLLATE BINARY IS {up})"
        )
    }
}

impl Kind {
    /// The twin as a version of the application knows it.
    pub(super) fn twin(&self, version: Version) -> Side {
        let columns = match self.mapping {
            Some(_) => version.side().columns,
            None => Version::Old.side().columns,
        };
        Side {
            table: "twin",
            columns,
        }
    }

    /// The table with so many rows, its twin, and what belongs to both, as SQL.
    pub(super) fn file(&self, rows: u32) -> String {
        let Self {
            schema,
            key,
            row,
            rank,
            ..
        } = self;
        let mut sql = String::new();
        for table in ["t", "twin"] {
            sql.push_str(&schema.replace("{t}", table));
            sql.push_str(&format!(
                ";
                 WITH RECURSIVE number(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM number WHERE i < {rows})
                 INSERT INTO {table}({}, name, rank) SELECT {}, {row}, {rank} FROM number;",
                key.columns().join(", "),
                key.of_row(),
            ));
        }
        if let Some(Mapping {
            declared_type, up, ..
        }) = self.mapping
        {
            sql.push_str(&format!(
                "ALTER TABLE twin ADD COLUMN full_name {declared_type}; UPDATE twin SET full_name = {up};"
            ));
        }
        sql
    }

    /// In what the table is another than its twin, as this version of the application knows them.
    pub(super) fn differences(&self, connection: &Connection, version: Version) -> Vec<String> {
        let all = |side: &Side| {
            let mut columns = self.key.columns();
            columns.extend([side.column(), "rank"]);
            let quoted: Vec<String> = columns.iter().map(|it| format!("quote({it})")).collect();
            format!("SELECT {} FROM {}", quoted.join(" || ', ' || "), side.table)
        };
        let mut pairs = vec![(all(&version.side()), all(&self.twin(version)))];
        pairs.extend(self.beside.iter().map(|table| {
            let all = format!("SELECT * FROM {table}");
            (all.replace("{t}", "t"), all.replace("{t}", "twin"))
        }));
        let mut differences = Vec::new();
        for (ours, twins) in pairs {
            let [ours, twins] = [ours, twins].map(|sql| rows(connection, &sql));
            let only = |rows: &[String], others: &[String], whose| {
                let alone = rows.iter().filter(|row| !others.contains(row));
                alone
                    .map(move |row| format!("only {whose}: {row}"))
                    .collect::<Vec<_>>()
            };
            if ours != twins {
                differences.push(format!("{} rows, and the twin {}", ours.len(), twins.len()));
                differences.extend(only(&ours, &twins, "here"));
                differences.extend(only(&twins, &ours, "the twin"));
            }
        }
        differences
    }
}

/// The rows, in words and sorted.
fn rows(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let width = statement.column_count();
    let rows = statement.query_map([], |row| {
        (0..width)
            .map(|at| Ok(format!("{:?} ", row.get::<_, Value>(at)?)))
            .collect()
    });
    let mut rows: Vec<String> = rows.unwrap().collect::<Result<_, _>>().unwrap();
    rows.sort();
    rows
}
