//! Tables of every kind, what applications write to them, and indexes that they may be given.

use changeover::request::{AddIndex, Term};

use super::super::process::Dice;

/// Values that are easily taken for each other, and such that an index stores otherwise than the table.
const VALUES: [&str; 34] = [
    "NULL",
    "1",
    "1.0",
    "2",
    "2.0",
    "2.5",
    "-1",
    "-1.0",
    "0",
    "0.0",
    "'1'",
    "'2.0'",
    "'a'",
    "'A'",
    "'b'",
    "'b '",
    "'B'",
    "'ä'",
    "''",
    "x''",
    "x'61'",
    "x'41'",
    "9007199254740993",
    "9007199254740992.0",
    "1e300",
    "'c'",
    "'d'",
    "'e'",
    "'f'",
    "'g'",
    "5",
    "6",
    "7",
    "8",
];

const TYPES: [&str; 6] = ["", "INTEGER", "TEXT", "REAL", "NUMERIC", "BLOB"];
const STRICT_TYPES: [&str; 5] = ["INTEGER", "TEXT", "REAL", "ANY", "BLOB"];
const COLLATIONS: [&str; 3] = ["BINARY", "NOCASE", "RTRIM"];
const CONDITIONS: [&str; 5] = [
    "d IS NOT NULL",
    "a = 1",
    "b > 'a' AND d IS NOT NULL",
    "c = '1' OR c IS NULL",
    "typeof(d) = 'text'",
];
const EXPRESSIONS: [&str; 8] = [
    "lower(d)",
    "d || a",
    "CASE WHEN a = 1 THEN d END",
    "a = '1'",
    "CAST(d AS REAL)",
    "d + 0",
    "+d",
    "length(d)",
];
const COLUMNS: [&str; 4] = ["a", "b", "c", "d"];

/// How the rows of a table are found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Key {
    Rowid,
    Hidden,
    Columns,
}

/// A table.
pub(super) struct World {
    pub(super) schema: String,
    pub(super) key: Key,
    types: Vec<&'static str>,
    is_strict: bool,
}

impl World {
    /// A table as the dice fall.
    pub(super) fn of(dice: &mut Dice) -> Self {
        let key = [Key::Rowid, Key::Hidden, Key::Columns][dice.roll(3) as usize];
        let is_strict = dice.one_in(5);
        let types: Vec<&str> = COLUMNS
            .iter()
            .map(|_| {
                let types: &[&str] = if is_strict { &STRICT_TYPES } else { &TYPES };
                dice.pick(types)
            })
            .collect();
        let mut lines = Vec::new();
        match key {
            Key::Rowid => lines.push("id INTEGER PRIMARY KEY".to_owned()),
            Key::Hidden => {}
            Key::Columns => lines.extend([
                format!("id {}", if is_strict { "ANY" } else { dice.pick(&TYPES) }),
                "part INT NOT NULL DEFAULT 3".to_owned(),
            ]),
        }
        for (name, declared) in COLUMNS.iter().zip(&types) {
            let mut words = vec![(*name).to_owned(), (*declared).to_owned()];
            if dice.one_in(3) {
                words.push(format!("COLLATE {}", dice.pick(&COLLATIONS)));
            }
            if dice.one_in(5) {
                words.push(
                    dice.pick(&["UNIQUE", "UNIQUE ON CONFLICT REPLACE"])
                        .to_owned(),
                );
            }
            lines.push(words.join(" "));
        }
        if dice.one_in(2) {
            let computed = dice.pick(&["a", "a || b", "coalesce(a, c)", "c"]);
            let stored = dice.pick(&["VIRTUAL", "STORED"]);
            let declared = if is_strict { "ANY" } else { dice.pick(&TYPES) };
            lines.push(format!("g {declared} AS ({computed}) {stored}"));
        } else {
            lines.push("g INT".to_owned());
        }
        if dice.one_in(4) {
            lines.push("UNIQUE (b, c COLLATE NOCASE DESC)".to_owned());
        }
        let mut options = Vec::new();
        if key == Key::Columns {
            let order = ["id, part", "part DESC, id", "id COLLATE NOCASE, part"];
            lines.push(format!("PRIMARY KEY ({})", dice.pick(&order)));
            options.push("WITHOUT ROWID");
        }
        options.extend(is_strict.then_some("STRICT"));
        let mut schema = format!(
            "CREATE TABLE t({}) {};",
            lines.join(", "),
            options.join(", ")
        );
        if dice.one_in(3) {
            schema.push_str("CREATE INDEX other ON t(d, a);");
        }
        if dice.one_in(4) {
            schema.push_str("CREATE UNIQUE INDEX partly ON t(d, c) WHERE b IS NOT NULL;");
        }
        Self {
            schema,
            key,
            types,
            is_strict,
        }
    }

    /// What is written to it next.
    pub(super) fn statement(&self, dice: &mut Dice) -> String {
        let or = ["", "", " OR REPLACE", " OR IGNORE", " OR FAIL"];
        match dice.roll(10) {
            0..=4 => {
                let (columns, values) = self.row(dice);
                let upsert = match dice.roll(8) {
                    0 => " ON CONFLICT DO NOTHING",
                    1 => " ON CONFLICT DO UPDATE SET d = excluded.d, a = excluded.a",
                    _ => "",
                };
                let or = dice.pick(&or);
                format!("INSERT{or} INTO t({columns}) VALUES ({values}){upsert}")
            }
            5..=7 => {
                let at = dice.roll(4) as usize;
                let set = format!("{} = {}", COLUMNS[at], self.value(at, dice));
                let or = dice.pick(&or);
                format!("UPDATE{or} t SET {set} WHERE {}", self.some_rows(dice))
            }
            8 => {
                let key = if self.key == Key::Hidden {
                    "rowid"
                } else {
                    "id"
                };
                let or = dice.pick(&or);
                let to = dice.roll(80);
                format!(
                    "UPDATE{or} t SET {key} = {to} WHERE {}",
                    self.some_rows(dice)
                )
            }
            _ => format!("DELETE FROM t WHERE {}", self.some_rows(dice)),
        }
    }

    fn row(&self, dice: &mut Dice) -> (String, String) {
        let mut columns = COLUMNS.map(str::to_owned).to_vec();
        let mut values: Vec<String> = (0..4).map(|at| self.value(at, dice)).collect();
        if self.key == Key::Columns {
            columns.extend(["id".to_owned(), "part".to_owned()]);
            values.extend([dice.roll(80).to_string(), dice.roll(3).to_string()]);
        } else if dice.one_in(2) {
            let key = if self.key == Key::Hidden {
                "rowid"
            } else {
                "id"
            };
            columns.push(key.to_owned());
            values.push(dice.roll(80).to_string());
        }
        (columns.join(", "), values.join(", "))
    }

    fn value(&self, at: usize, dice: &mut Dice) -> String {
        let number = dice.roll(200);
        let texts = [format!("'k{number}'"), format!("'K{number}'")];
        let text = texts[dice.roll(2) as usize].clone();
        if self.is_strict {
            return match self.types[at] {
                "INTEGER" => number.to_string(),
                "TEXT" => text,
                "REAL" => format!("{number}.{}", dice.roll(2) * 5),
                "BLOB" => format!("x'{number:04x}'"),
                _ => dice.pick(&VALUES).to_owned(),
            };
        }
        match dice.roll(6) {
            0 | 1 => text,
            2 => number.to_string(),
            3 => format!("{number}.0"),
            _ => dice.pick(&VALUES).to_owned(),
        }
    }

    /// Mostly one row, and sometimes several.
    fn some_rows(&self, dice: &mut Dice) -> String {
        let key = if self.key == Key::Hidden {
            "rowid"
        } else {
            "id"
        };
        match dice.roll(6) {
            0 => format!("a = {}", dice.pick(&VALUES)),
            1 => format!("d > {} AND b < {}", dice.pick(&VALUES), dice.pick(&VALUES)),
            _ => format!("{key} = {}", dice.roll(80)),
        }
    }
}

/// An index, before it has a name.
pub(super) struct Wanted {
    /// Each as an index lists it.
    pub(super) terms: Vec<String>,
    pub(super) is_unique: bool,
    pub(super) condition: Option<&'static str>,
}

impl Wanted {
    /// An index as the dice fall.
    pub(super) fn of(dice: &mut Dice) -> Self {
        let term = |dice: &mut Dice| {
            let mut term = match dice.roll(4) {
                0 => dice.pick(&EXPRESSIONS).to_owned(),
                1 => dice.pick(&["d", "g", "c"]).to_owned(),
                _ => dice.pick(&COLUMNS).to_owned(),
            };
            if dice.one_in(4) {
                term.push_str(&format!(" COLLATE {}", dice.pick(&COLLATIONS)));
            }
            if dice.one_in(3) {
                term.push_str(" DESC");
            }
            term
        };
        let is_unique = dice.one_in(4);
        let width = if is_unique { 3 } else { 1 + dice.roll(3) };
        let condition = dice.one_in(4).then(|| CONDITIONS[dice.roll(5) as usize]);
        Self {
            terms: (0..width).map(|_| term(dice)).collect(),
            is_unique,
            condition,
        }
    }

    pub(super) fn request(&self, name: &str) -> AddIndex {
        let terms = self.terms.iter().cloned();
        AddIndex {
            table: "t".into(),
            columns: terms
                .map(|expression| Term::Expression { expression })
                .collect(),
            name: Some(name.into()),
            unique: self.is_unique,
            condition: self.condition.map(str::to_owned),
        }
    }

    /// As somebody would make it by hand.
    pub(super) fn text(&self, name: &str) -> String {
        let unique = if self.is_unique { "UNIQUE " } else { "" };
        let condition = self.condition.map(|it| format!(" WHERE {it}"));
        format!(
            "CREATE {unique}INDEX {name} ON t({}){}",
            self.terms.join(", "),
            condition.unwrap_or_default()
        )
    }

    /// What the index holds of each row, in its order, read by it.
    pub(super) fn entries(&self, name: &str, key: Key) -> String {
        let values = self.terms.iter();
        let values = values.map(|it| {
            let value = it.trim_end_matches(" DESC");
            format!("typeof({value}) || quote({value})")
        });
        let keys: &[&str] = match key {
            Key::Rowid => &["id"],
            Key::Hidden => &["rowid"],
            Key::Columns => &["typeof(id) || quote(id)", "part"],
        };
        let columns: Vec<String> = values
            .chain(keys.iter().map(|it| (*it).to_owned()))
            .collect();
        format!(
            "SELECT {} FROM t INDEXED BY {name} WHERE {} ORDER BY {}",
            columns.join(" || ', ' || "),
            self.condition.unwrap_or("TRUE"),
            self.terms.join(", ")
        )
    }

    /// A look-up that the index serves.
    pub(super) fn look_up(&self) -> String {
        let value = self.terms[0].trim_end_matches(" DESC");
        format!(
            "EXPLAIN QUERY PLAN SELECT * FROM t WHERE {value} = 'a' AND {}",
            self.condition.unwrap_or("TRUE")
        )
    }
}
