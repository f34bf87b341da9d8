//! Any table, any rows, any column: a change comes to what SQLite's own rename comes to, and an abort to nothing.
//!
//! `PROPTEST_CASES` says how many files are made up, 256 where it is not set.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use proptest::test_runner::Config;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use changeover::changeover::Rebuilds;

use super::oracle::{and_back, to_the_end};
use super::support::{Change, File, Name, change};

/// What tables may be called.
const TABLES: [&str; 7] = ["t", "order", "it's", "a table (x)", "größe", "name", "d\"q"];

/// What columns may be called; those of the rowid come in where they may. Not `true`, which SQLite itself calls
/// `column1` in a view.
const COLUMNS: [&str; 17] = [
    "a",
    "b",
    "name",
    "full_name",
    "id",
    "key",
    "group",
    "select",
    "it's",
    "d\"q",
    "x y",
    "[e]",
    "t.u",
    "größe",
    "名前",
    "3",
    "Order",
];

const TYPES: [&str; 8] = [
    "",
    "TEXT",
    "INTEGER",
    "REAL",
    "BLOB",
    "NUMERIC",
    "VARCHAR(10)",
    "INT",
];
const STRICT_TYPES: [&str; 6] = ["ANY", "TEXT", "INTEGER", "REAL", "BLOB", "INT"];
const NOT_NULL: [&str; 4] = [
    "NOT NULL",
    "NOT /* never */ NULL ON CONFLICT IGNORE",
    "NOT NULL ON CONFLICT REPLACE DEFAULT 1",
    "CONSTRAINT \"not null\" NOT NULL -- really\n",
];
const DEFAULTS: [&str; 6] = [
    "7",
    "-1.5",
    "'name'",
    "x'00'",
    "(1 + 1)",
    "CURRENT_TIMESTAMP",
];
const COLLATIONS: [&str; 3] = ["NOCASE", "RTRIM", "BINARY"];

/// What is said of one column.
#[derive(Clone, Debug)]
struct Column {
    declared_type: usize,
    not_null: Option<&'static str>,
    default: Option<&'static str>,
    collation: Option<&'static str>,
    unique: bool,
    check: bool,
    references: bool,
}

/// How rows are told apart.
#[derive(Clone, Debug)]
enum Key {
    None,
    Plain(Index),
    Integer {
        column: Index,
        autoincrement: bool,
    },
    Composite {
        first: Index,
        second: Index,
        down: (bool, bool),
        collation: Option<&'static str>,
    },
}

/// An index over the column asked for, or the old one.
#[derive(Clone, Debug)]
struct MadeIndex {
    unique: bool,
    columns: Vec<(Index, bool, Option<&'static str>)>,
    partial: bool,
    expression: bool,
}

/// A whole file and a change of it.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)]
struct Made {
    table: &'static str,
    names: Vec<&'static str>,
    columns: Vec<Column>,
    key: Key,
    without_rowid: bool,
    strict: bool,
    computed: Option<(bool, Index)>,
    takes_rowid: Option<&'static str>,
    indexes: Vec<MadeIndex>,
    views: Vec<usize>,
    triggers: Vec<usize>,
    child: bool,
    rows: Vec<Vec<Value>>,
    analyzed: bool,
    encoding: &'static str,
    checked: bool,
    source: Index,
    told: bool,
    migrated: bool,
    online: bool,
    batch_rows: u32,
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => Just(Value::Null),
        3 => (-5_i64..5).prop_map(Value::Integer),
        1 => any::<i64>().prop_map(Value::Integer),
        1 => any::<f64>().prop_map(Value::Real),
        1 => (-3_i32..3).prop_map(|whole| Value::Real(f64::from(whole))),
        3 => "[aAbB1 ]{0,3}".prop_map(Value::Text),
        1 => select(vec!["never", "name", "full_name", "1.0", "1e3", "größe", "'\"", "🦀"]).prop_map(|text| Value::Text(text.to_owned())),
        1 => vec(any::<u8>(), 0..4).prop_map(Value::Blob),
    ]
}

fn column() -> impl Strategy<Value = Column> {
    (
        0..8_usize,
        option::weighted(0.25, select(&NOT_NULL)),
        option::weighted(0.3, select(&DEFAULTS)),
        option::weighted(0.2, select(&COLLATIONS)),
        proptest::bool::weighted(0.2),
        proptest::bool::weighted(0.2),
        proptest::bool::weighted(0.15),
    )
        .prop_map(
            |(declared_type, not_null, default, collation, unique, check, references)| Column {
                declared_type,
                not_null,
                default,
                collation,
                unique,
                check,
                references,
            },
        )
}

fn key() -> impl Strategy<Value = Key> {
    let collation = || option::weighted(0.3, select(&COLLATIONS));
    prop_oneof![
        Just(Key::None),
        any::<Index>().prop_map(Key::Plain),
        (any::<Index>(), any::<bool>()).prop_map(|(column, autoincrement)| Key::Integer {
            column,
            autoincrement
        }),
        (
            any::<Index>(),
            any::<Index>(),
            any::<(bool, bool)>(),
            collation()
        )
            .prop_map(|(first, second, down, collation)| Key::Composite {
                first,
                second,
                down,
                collation
            }),
    ]
}

fn index() -> impl Strategy<Value = MadeIndex> {
    let columns = vec(
        (
            any::<Index>(),
            any::<bool>(),
            option::weighted(0.2, select(&COLLATIONS)),
        ),
        1..3,
    );
    (
        proptest::bool::weighted(0.3),
        columns,
        any::<bool>(),
        proptest::bool::weighted(0.3),
    )
        .prop_map(|(unique, columns, partial, expression)| MadeIndex {
            unique,
            columns,
            partial,
            expression,
        })
}

fn made() -> impl Strategy<Value = Made> {
    let table = (1..=6_usize).prop_flat_map(|width| {
        (
            select(&TABLES),
            subsequence(&COLUMNS, width + 1).prop_shuffle(),
            vec(column(), width),
            key(),
            any::<bool>(),
            proptest::bool::weighted(0.2),
            option::weighted(0.2, any::<(bool, Index)>()),
            option::weighted(0.1, select(vec!["rowid", "_rowid_", "OID"])),
            vec(vec(value(), width), 0..12),
        )
    });
    let around = (
        vec(index(), 0..3),
        subsequence((0..9).collect::<Vec<_>>(), 0..4),
        subsequence((0..6).collect::<Vec<_>>(), 0..3),
        proptest::bool::weighted(0.2),
        proptest::bool::weighted(0.2),
        prop_oneof![4 => Just("UTF-8"), 1 => Just("UTF-16le")],
        any::<bool>(),
    );
    let changed = (
        any::<Index>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        1..5_u32,
    );
    (table, around, changed).prop_map(|(table, around, changed)| {
        let (table, names, columns, key, without_rowid, strict, computed, takes_rowid, rows) =
            table;
        let (indexes, views, triggers, child, analyzed, encoding, checked) = around;
        let (source, told, migrated, online, batch_rows) = changed;
        Made {
            table,
            names,
            columns,
            key,
            without_rowid,
            strict,
            computed,
            takes_rowid,
            indexes,
            views,
            triggers,
            child,
            rows,
            analyzed,
            encoding,
            checked,
            source,
            told,
            migrated,
            online,
            batch_rows,
        }
    })
}

impl Made {
    fn width(&self) -> usize {
        self.columns.len()
    }

    fn source(&self) -> usize {
        self.source.index(self.width())
    }

    /// The column that another name of the rowid has been given to, if one can be.
    fn name(&self, at: usize) -> &'static str {
        let another = self.source() + 1;
        match self.takes_rowid {
            Some(rowid) if self.width() > 1 && at == another % self.width() => rowid,
            _ => self.names[at],
        }
    }

    fn written(&self, at: usize) -> String {
        Name::from(self.name(at)).to_string()
    }

    fn change(&self) -> Change<'_> {
        Change {
            told: self.told,
            batch_rows: self.batch_rows,
            rebuilds: if self.online {
                Rebuilds::Auto
            } else {
                Rebuilds::AtOnce
            },
            ..change(
                self.table,
                self.name(self.source()),
                self.names[self.width()],
            )
        }
    }

    fn has_no_rowid(&self) -> bool {
        self.without_rowid && !matches!(self.key, Key::None)
    }

    fn table_sql(&self) -> String {
        let mut lines: Vec<String> = (0..self.width()).map(|at| self.column_sql(at)).collect();
        if let Some((stored, of)) = &self.computed {
            let of = self.written(of.index(self.width()));
            let kind = if *stored { "STORED" } else { "VIRTUAL" };
            let declared_type = if self.strict { "ANY" } else { "" };
            lines.push(format!("_computed_ {declared_type} AS ({of}) {kind}"));
        }
        match &self.key {
            Key::Plain(column) => {
                lines.push(format!(
                    "PRIMARY KEY({})",
                    self.written(column.index(self.width()))
                ));
            }
            Key::Composite {
                first,
                second,
                down,
                collation,
            } => {
                let (first, second) = (first.index(self.width()), second.index(self.width()));
                let direction = |down| if down { "DESC" } else { "" };
                let collation =
                    collation.map_or_else(String::new, |name| format!("COLLATE {name}"));
                let mut key = format!("{} {collation} {}", self.written(first), direction(down.0));
                if first != second {
                    key += &format!(", {} {}", self.written(second), direction(down.1));
                }
                lines.push(format!("PRIMARY KEY({key})"));
            }
            Key::None | Key::Integer { .. } => {}
        }
        let mut options = Vec::new();
        options.extend(self.strict.then_some("STRICT"));
        options.extend(self.has_no_rowid().then_some("WITHOUT ROWID"));
        let table = Name::from(self.table);
        format!(
            "CREATE TABLE {table}(\n  {}) {}",
            lines.join(" ,\n  "),
            options.join(", ")
        )
    }

    fn column_sql(&self, at: usize) -> String {
        let (column, name) = (&self.columns[at], self.written(at));
        let types: &[&str] = if self.strict { &STRICT_TYPES } else { &TYPES };
        let mut declared_type = types[column.declared_type % types.len()].to_owned();
        if let Key::Integer {
            column,
            autoincrement,
        } = &self.key
            && column.index(self.width()) == at
        {
            let autoincrement = *autoincrement && !self.has_no_rowid();
            let autoincrement = if autoincrement { "AUTOINCREMENT" } else { "" };
            declared_type = format!("INTEGER PRIMARY KEY {autoincrement}");
        }
        let said = [
            column.unique.then(|| "UNIQUE".to_owned()),
            column.not_null.map(str::to_owned),
            column.default.map(|default| format!("DEFAULT {default}")),
            column
                .collation
                .map(|collation| format!("COLLATE {collation}")),
            column
                .check
                .then(|| format!("CHECK({name} IS NOT 'never' /* {name} */)")),
            column
                .references
                .then(|| "REFERENCES parent_(id) ON DELETE SET NULL".to_owned()),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        format!("{name} {declared_type} {}", said.join(" "))
    }

    /// What stands around the table. Not all of it can be made for every table.
    fn objects(&self) -> Vec<String> {
        let table = Name::from(self.table);
        let old = self.written(self.source());
        let other = self.written((self.source() + 1) % self.width());
        let mut sql: Vec<String> = self
            .indexes
            .iter()
            .enumerate()
            .map(|(n, index)| self.index_sql(n, index))
            .collect();
        if self.child {
            sql.push(format!(
                "CREATE TABLE child_({old} REFERENCES {table}({old}), x REFERENCES {table})"
            ));
            sql.push(format!(
                "INSERT INTO child_ SELECT {old}, {old} FROM {table}"
            ));
        }
        let views = [
            format!("CREATE VIEW v0 AS SELECT {old} FROM {table}"),
            format!(
                "CREATE VIEW v1 AS SELECT {old} AS \"an alias\", {other} FROM {table} WHERE {old} IS NOT NULL"
            ),
            format!("CREATE VIEW v2 AS SELECT * FROM {table}"),
            format!("CREATE VIEW v3(p, q) AS SELECT {table}.{old}, {table}.{other} FROM {table}"),
            format!("CREATE VIEW v4 AS SELECT {old}, 'name' AS x FROM v0"),
            format!("CREATE VIEW v5 AS SELECT max({old}), count(*) FROM {table} GROUP BY {other}"),
            format!(
                "CREATE VIEW v6 AS SELECT u.{old}, w.{other} FROM {table} AS u JOIN {table} AS w ON u.{old} = w.{old}"
            ),
            "CREATE VIEW v7 AS SELECT x FROM log_".to_owned(),
            "CREATE VIEW v8 AS SELECT * FROM v2".to_owned(),
        ];
        sql.extend(self.views.iter().map(|kind| views[*kind].clone()));
        let triggers = [
            format!(
                "CREATE TRIGGER r0 AFTER INSERT ON {table} BEGIN INSERT INTO log_(x, {old}) VALUES (NEW.{old}, 'name'); END"
            ),
            format!(
                "CREATE TRIGGER r1 BEFORE UPDATE OF {old} ON {table} WHEN NEW.{old} IS NOT OLD.{old} BEGIN UPDATE log_ SET x = OLD.{old}; END"
            ),
            format!(
                "CREATE TRIGGER r2 AFTER INSERT ON log_ BEGIN UPDATE {table} SET {old} = {old} WHERE {old} = NEW.x; END"
            ),
            format!(
                "CREATE TRIGGER r3 INSTEAD OF INSERT ON v0 BEGIN INSERT INTO {table}({old}) VALUES (NEW.{old}); END"
            ),
            format!(
                "CREATE TRIGGER r4 AFTER DELETE ON {table} BEGIN DELETE FROM log_ WHERE x = (SELECT max(q.{old}) FROM {table} AS q WHERE q.{other} = OLD.{old}); END"
            ),
            format!(
                "CREATE TRIGGER r5 AFTER UPDATE OF {old} ON log_ BEGIN INSERT INTO {table}({old}) VALUES (NEW.{old}) ON CONFLICT DO NOTHING; END"
            ),
        ];
        sql.extend(self.triggers.iter().map(|kind| triggers[*kind].clone()));
        sql.extend(self.analyzed.then(|| "ANALYZE".to_owned()));
        sql
    }

    fn index_sql(&self, number: usize, index: &MadeIndex) -> String {
        let mut columns: Vec<String> = index
            .columns
            .iter()
            .map(|(column, down, collation)| {
                let name = self.written(column.index(self.width()));
                let collation = collation.map_or_else(String::new, |it| format!(" COLLATE {it}"));
                format!("{name}{collation}{}", if *down { " DESC" } else { "" })
            })
            .collect();
        let old = self.written(self.source());
        if index.expression {
            columns.push(format!("length({old})"));
        }
        let unique = if index.unique { "UNIQUE" } else { "" };
        let partial = if index.partial {
            format!("WHERE {old} IS NOT 'name'")
        } else {
            String::new()
        };
        format!(
            "CREATE {unique} INDEX \"index {number}\" ON {}({}) {partial}",
            Name::from(self.table),
            columns.join(", ")
        )
    }

    /// The file; none where SQLite takes no such table.
    fn file(&self) -> Option<File> {
        let old = self.written(self.source());
        let file = File::of(&format!(
            "PRAGMA encoding = '{}'; CREATE TABLE parent_(id PRIMARY KEY); INSERT INTO parent_ VALUES (1), ('a'), (NULL);
             CREATE TABLE log_(x, {old}); INSERT INTO log_ VALUES ('name', 1)",
            self.encoding
        ));
        let application = file.application();
        application
            .pragma_update(None, "foreign_keys", false)
            .unwrap();
        application
            .pragma_update(None, "ignore_check_constraints", !self.checked)
            .unwrap();
        application.execute_batch(&self.table_sql()).ok()?;
        let names: Vec<String> = (0..self.width()).map(|at| self.written(at)).collect();
        let numbers: Vec<String> = (1..=self.width())
            .map(|number| format!("?{number}"))
            .collect();
        let insert = format!(
            "INSERT INTO {}({}) VALUES ({})",
            Name::from(self.table),
            names.join(", "),
            numbers.join(", ")
        );
        for row in &self.rows {
            // A row that the table refuses is no row of it.
            let _ = application.execute(&insert, params_from_iter(row));
        }
        for object in self.objects() {
            let _ = application.execute_batch(&object);
        }
        drop(application);
        Some(file)
    }
}

#[test]
fn any_change_comes_to_what_sqlite_makes_of_it() {
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    proptest!(config, |(made in made())| {
        let Some(file) = made.file() else {
            return Err(TestCaseError::reject("SQLite takes no such table"));
        };
        let differences = to_the_end(&file, made.change());
        prop_assert!(differences.is_empty(), "{}\n{}", made.table_sql(), differences.join("\n"));
        let differences = and_back(&file, made.change(), made.migrated);
        prop_assert!(differences.is_empty(), "and back: {}\n{}", made.table_sql(), differences.join("\n"));
    });
}
