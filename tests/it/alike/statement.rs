//! What applications write.

use super::super::process::Dice;
use super::kind::{Key, Kind, Unique, Values};

/// What has a statement pass over rows that must not be.
pub(super) const OR_IGNORE: &str = " OR IGNORE";

/// A version of the application.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Version {
    /// Knows the old column only.
    Old,
    /// Knows the new column only.
    New,
    /// Knows both.
    Both,
}

/// A statement, still without the table to which it goes.
pub(super) struct Statement(Box<dyn Fn(&Side) -> String>);

/// The table as a version of the application knows it, or its twin.
pub(super) struct Side {
    pub(super) table: &'static str,
    pub(super) columns: &'static [&'static str],
}

impl Version {
    pub(super) fn named(name: &str) -> Self {
        let mut all = [Self::Old, Self::New, Self::Both].into_iter();
        all.find(|it| it.name() == name).unwrap()
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
            Self::Both => "both",
        }
    }

    pub(super) fn side(self) -> Side {
        Side {
            table: "t",
            columns: match self {
                Self::Old => &["name"],
                Self::New => &["full_name"],
                Self::Both => &["full_name", "name"],
            },
        }
    }
}

impl Side {
    /// The column in which names are read.
    pub(super) fn column(&self) -> &'static str {
        self.columns[0]
    }

    /// The columns in which they are written.
    fn columns(&self) -> String {
        self.columns.join(", ")
    }

    fn values(&self, value: &str) -> String {
        vec![value; self.columns.len()].join(", ")
    }

    fn set(&self, value: &str) -> String {
        let set: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("{column} = {value}"))
            .collect();
        set.join(", ")
    }
}

impl Statement {
    fn new(text: impl Fn(&Side) -> String + 'static) -> Self {
        Self(Box::new(text))
    }

    /// Its text for a table.
    pub(super) fn on(&self, side: &Side) -> String {
        (self.0)(side)
    }

    /// Any statement on a table of this kind.
    pub(super) fn random(kind: &Kind, dice: &mut Dice) -> Self {
        match dice.roll(17) {
            0..=5 => insert(kind, dice),
            6 => copy_a_row(kind, dice),
            7 => delete(kind, dice),
            8 if !kind.others.is_empty() => other(kind, dice),
            8..=9 => update_many(kind, dice),
            10 => exchange(kind, dice),
            _ => update_one(kind, dice),
        }
    }
}

fn policy(dice: &mut Dice) -> &'static str {
    dice.pick(&["", "", "", OR_IGNORE, " OR REPLACE", " OR ABORT"])
}

fn rank(dice: &mut Dice) -> String {
    dice.roll(30).to_string()
}

fn insert(kind: &Kind, dice: &mut Dice) -> Statement {
    let kind = *kind;
    let has_key = matches!(kind.key, Key::Pair(..) | Key::Text(_)) || !dice.one_in(3);
    // Whoever is to write both columns leaves none of them out.
    let has_name = kind.write_both || !dice.one_in(6);
    let has_rank = !dice.one_in(4);
    let count = if dice.one_in(3) { 3 } else { 1 };
    let rows: Vec<_> = (0..count)
        .map(|_| (kind.key.random(dice), kind.values.random(dice), rank(dice)))
        .collect();
    let (policy, conflict) = if kind.upserts && dice.one_in(3) {
        ("", on_conflict(&kind, dice))
    } else {
        (policy(dice), None)
    };
    let returning = dice.one_in(5);
    Statement::new(move |side| {
        let list = |key: &[String], name: String, rank: &str| {
            let key = if has_key { key } else { &[] };
            let mut list = key.to_vec();
            list.extend(has_name.then_some(name));
            list.extend((has_rank || list.is_empty()).then(|| rank.to_owned()));
            list.join(", ")
        };
        let key: Vec<String> = kind.key.columns().iter().map(ToString::to_string).collect();
        let columns = list(&key, side.columns(), "rank");
        let rows: Vec<String> = rows
            .iter()
            .map(|(key, name, rank)| format!("({})", list(key, side.values(name), rank)))
            .collect();
        let mut text = format!(
            "INSERT{policy} INTO {}({columns}) VALUES {}",
            side.table,
            rows.join(", ")
        );
        if let Some(conflict) = &conflict {
            text.push_str(&format!(" ON CONFLICT {}", conflict.on(side)));
        }
        if returning {
            text.push_str(&format!(" RETURNING {}, rank", side.column()));
        }
        text
    })
}

fn on_conflict(kind: &Kind, dice: &mut Dice) -> Option<Statement> {
    let of_name = kind.unique == Unique::Column && dice.one_in(2);
    let key = match kind.key {
        Key::Number("rowid") if !of_name => return None,
        key => key.columns().join(", "),
    };
    let (name, rank) = (kind.values.random(dice), rank(dice));
    let action = dice.roll(5);
    Some(Statement::new(move |side| {
        let column = side.column();
        let set = match action {
            0 => None,
            1 => Some(side.set(&format!("excluded.{column}"))),
            2 => Some(format!("{}, rank = excluded.rank", side.set(&name))),
            3 => Some(format!("rank = {rank}")),
            _ => Some(format!(
                "{}, rank = {rank}",
                side.set(&format!("excluded.{column}"))
            )),
        };
        let target = if of_name { column } else { &key };
        let action = match set {
            None => "NOTHING".to_owned(),
            Some(set) => format!(
                "UPDATE SET {set} WHERE {0}.{column} IS NOT excluded.{column}",
                side.table
            ),
        };
        format!("({target}) DO {action}")
    }))
}

/// A row of the same name and rank, under another key.
fn copy_a_row(kind: &Kind, dice: &mut Dice) -> Statement {
    let key = kind.key;
    let policy = policy(dice);
    let (from, to) = (condition(key, dice), key.random(dice).join(", "));
    Statement::new(move |side| {
        format!(
            "INSERT{policy} INTO {table}({keys}, {columns}, rank) SELECT {to}, {names}, rank FROM {table} WHERE {from}",
            table = side.table,
            keys = key.columns().join(", "),
            columns = side.columns(),
            names = side.values(side.column()),
        )
    })
}

fn delete(kind: &Kind, dice: &mut Dice) -> Statement {
    let one = condition(kind.key, dice);
    let value = kind.values.random(dice);
    let by_name = dice.one_in(4);
    Statement::new(move |side| {
        let condition = if by_name {
            format!("{} = {value}", side.column())
        } else {
            one.clone()
        };
        format!("DELETE FROM {} WHERE {condition}", side.table)
    })
}

/// Rows in an order that does not matter.
fn update_many(kind: &Kind, dice: &mut Dice) -> Statement {
    let value = kind.values.random(dice);
    let (from, to) = (rank(dice), rank(dice));
    let case = dice.roll(3);
    let is_unique = kind.unique != Unique::No;
    let policy = policy(dice);
    Statement::new(move |side| {
        let table = side.table;
        match case {
            0 => format!(
                "UPDATE {table} SET rank = {to} WHERE {} = {value}",
                side.column()
            ),
            1 if !is_unique => {
                format!(
                    "UPDATE{policy} {table} SET {} WHERE rank = {from}",
                    side.set(&value)
                )
            }
            _ => format!("UPDATE {table} SET rank = {to} WHERE rank = {from}"),
        }
    })
}

/// Two rows that take the keys, or the ranks, of each other, where no key stands in the way; with OR REPLACE one goes.
fn exchange(kind: &Kind, dice: &mut Dice) -> Statement {
    let key = kind.key;
    let (one, other) = (key.random(dice), key.random(dice));
    let column = key.columns()[key.columns().len() - 1];
    let (one, other) = (one[one.len() - 1].clone(), other[other.len() - 1].clone());
    let rows = condition(key, dice).replace(" AND ", " OR ");
    let policy = policy(dice);
    let of_ranks = dice.one_in(2);
    let (low, high) = (rank(dice), rank(dice));
    Statement::new(move |side| {
        let table = side.table;
        if of_ranks {
            format!(
                "UPDATE{policy} {table} SET rank = CASE rank WHEN {low} THEN {high} ELSE {low} END
                 WHERE rank IN ({low}, {high}) AND ({rows} OR {column} IN ({one}, {other}))"
            )
        } else {
            format!(
                "UPDATE{policy} {table} SET {column} = CASE {column} WHEN {one} THEN {other} ELSE {one} END
                 WHERE {column} IN ({one}, {other})"
            )
        }
    })
}

fn update_one(kind: &Kind, dice: &mut Dice) -> Statement {
    let is_text = matches!(kind.values, Values::Texts);
    let value = kind.values.random(dice);
    let rank = rank(dice);
    let (key, set_key) = (condition(kind.key, dice), assignment(kind.key, dice));
    // Of several rows it would leave those before the one that fails.
    let policy = if dice.one_in(5) {
        " OR FAIL"
    } else {
        policy(dice)
    };
    let more = dice.pick(&["|| 'x'", "|| ' '"]).to_owned();
    let case = dice.roll(10);
    Statement::new(move |side| {
        let (column, more) = (side.column(), if is_text { &more } else { "+ 1" });
        let set = match case {
            0 => format!("rank = {rank}"),
            1 | 2 => format!("{}, rank = {rank}", side.set(&value)),
            3 => set_key.clone(),
            4 => format!("{set_key}, {}", side.set(&value)),
            5 | 6 => side.set(&format!("{column} {more}")),
            _ => side.set(&value),
        };
        format!("UPDATE{policy} {} SET {set} WHERE {key}", side.table)
    })
}

/// One of the kind's own.
fn other(kind: &Kind, dice: &mut Dice) -> Statement {
    let mut text = dice.pick(kind.others).to_owned();
    while text.contains("{v}") {
        text = text.replacen("{v}", &kind.values.random(dice), 1);
    }
    let text = text.replace("{key}", &condition(kind.key, dice));
    Statement::new(move |side| {
        let text = text.replace("{t}", side.table);
        text.replace("SELECT name", &format!("SELECT {}", side.column()))
    })
}

fn condition(key: Key, dice: &mut Dice) -> String {
    equal(key, dice).join(" AND ")
}

fn assignment(key: Key, dice: &mut Dice) -> String {
    equal(key, dice).join(", ")
}

fn equal(key: Key, dice: &mut Dice) -> Vec<String> {
    let columns = key.columns().into_iter().zip(key.random(dice));
    columns
        .map(|(column, value)| format!("{column} = {value}"))
        .collect()
}
