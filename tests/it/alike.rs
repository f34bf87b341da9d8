//! A table and its twin: whatever applications of the old and of the new version write to the one, they write to the
//! other in the same transaction. Only the one is changed, through all phases, while they work. In the end both
//! must hold the same, and neither may ever have answered a statement otherwise than the other did.
//!
//! The applications are processes: this very binary, started for its test `application`. What they write is random.
//! `ALIKE_ROUNDS=n` in the environment has each kind of table go through `n` rounds instead of one, and `ALIKE_SEED=n` has each
//! application write what it wrote before with that seed; who gets the lock when, no seed can tell.

mod application;
mod kind;
mod statement;

use std::env;
use std::str::FromStr;

use rusqlite::Connection;

use super::process::{open, run};
use super::support::File;
use application::Application;
use kind::{Key, Kind, Mapping, PLAIN, Unique, Values};
use statement::Version;

/// Rows before the change, enough for many batches.
const ROWS: u32 = 1000;

/// Makes a test of each kind of table.
macro_rules! twins {
    ($($name:ident: $kind:expr;)+) => {
        $(
            #[test]
            fn $name() {
                stay_equal(stringify!($name));
            }
        )+

        fn kind(name: &str) -> Kind {
            match name {
                $(stringify!($name) => $kind,)+
                _ => panic!("there is no kind {name}"),
            }
        }
    };
}

twins! {
    plain: PLAIN;
    untyped: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name, rank INTEGER)",
        values: Values::Mixed,
        ..PLAIN
    };
    integers: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name INTEGER, rank INTEGER)",
        values: Values::Numbers,
        ..PLAIN
    };
    reals_with_a_default: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name REAL DEFAULT 7, rank INTEGER)",
        values: Values::Numbers,
        ..PLAIN
    };
    strict: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT, rank INTEGER) STRICT",
        ..PLAIN
    };
    not_null: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT NOT NULL, rank INTEGER)",
        refuses_aloud: true,
        ..PLAIN
    };
    with_a_default: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT DEFAULT 'd', rank INTEGER)",
        ..PLAIN
    };
    not_null_with_a_default: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT 'd', rank INTEGER)",
        ..PLAIN
    };
    collated: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, rank INTEGER);
                 CREATE INDEX {t}_name ON {t}(name, rank DESC)",
        ..PLAIN
    };
    unique: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT UNIQUE, rank INTEGER)",
        unique: Unique::Column,
        ..PLAIN
    };
    unique_and_not_null: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE NOT NULL UNIQUE, rank INTEGER)",
        unique: Unique::Column,
        refuses_aloud: true,
        ..PLAIN
    };
    unique_by_an_index: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT, rank INTEGER);
                 CREATE UNIQUE INDEX {t}_name ON {t}(lower(name)) WHERE name > 'a'",
        unique: Unique::Otherwise,
        ..PLAIN
    };
    unique_on_conflict_replace: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT UNIQUE ON CONFLICT REPLACE, rank INTEGER)",
        unique: Unique::Otherwise,
        write_both: true,
        ..PLAIN
    };
    unique_on_conflict_ignore: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT UNIQUE ON CONFLICT IGNORE, rank INTEGER)",
        unique: Unique::Otherwise,
        write_both: true,
        ..PLAIN
    };
    unique_in_several_ways: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT UNIQUE, rank INTEGER UNIQUE,
                                  code TEXT DEFAULT 'c' NOT NULL, UNIQUE (code, rank));
                 CREATE UNIQUE INDEX {t}_sum ON {t}(rank / 3) WHERE rank < 20",
        rank: "i * 2 + 100",
        unique: Unique::Column,
        ..PLAIN
    };
    unique_beside_the_column: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT, rank INTEGER);
                 CREATE UNIQUE INDEX {t}_few ON {t}(rank DESC) WHERE rank < 10;
                 CREATE UNIQUE INDEX {t}_sum ON {t}(abs(rank - 7), rank % 2)",
        rank: "i * 2 + 100",
        ..PLAIN
    };
    unique_without_a_key: Kind {
        schema: "CREATE TABLE {t}(name TEXT, rank INTEGER);
                 CREATE UNIQUE INDEX {t}_name ON {t}(name COLLATE NOCASE) WHERE name > 'a';
                 CREATE UNIQUE INDEX {t}_rank ON {t}(rank / 2) WHERE rank % 2 = 0",
        key: Key::Number("rowid"),
        rank: "i * 2 + 100",
        row: "'Row ' || i",
        unique: Unique::Otherwise,
        ..PLAIN
    };
    unique_without_rowid: Kind {
        schema: "CREATE TABLE {t}(id TEXT COLLATE NOCASE PRIMARY KEY, name TEXT, rank INTEGER UNIQUE) WITHOUT ROWID;
                 CREATE UNIQUE INDEX {t}_id ON {t}(upper(id), abs(rank) DESC)",
        key: Key::Text("id"),
        rank: "i * 2 + 100",
        ..PLAIN
    };
    unique_with_others: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT, rank INTEGER, UNIQUE (rank, name))",
        unique: Unique::Otherwise,
        write_both: true,
        ..PLAIN
    };
    unique_with_a_default: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT DEFAULT 'd' UNIQUE, rank INTEGER)",
        unique: Unique::Column,
        write_both: true,
        ..PLAIN
    };
    checked: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT CHECK (length(name) > 1), rank INTEGER)",
        ..PLAIN
    };
    checked_with_a_default: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT DEFAULT '' CHECK (name <> ''), rank INTEGER)",
        refuses_aloud: true,
        ..PLAIN
    };
    checked_with_others: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT, rank INTEGER, CHECK (length(name) <= rank))",
        refuses_aloud: true,
        upserts: false,
        ..PLAIN
    };
    without_a_key: Kind {
        schema: "CREATE TABLE {t}(name TEXT, rank INTEGER)",
        key: Key::Number("rowid"),
        ..PLAIN
    };
    autoincrement: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, rank INTEGER)",
        unique: Unique::Column,
        ..PLAIN
    };
    text_key: Kind {
        schema: "CREATE TABLE {t}(id TEXT PRIMARY KEY, name TEXT, rank INTEGER)",
        key: Key::Text("id"),
        ..PLAIN
    };
    composite_key: Kind {
        schema: "CREATE TABLE {t}(a INTEGER, b TEXT, name TEXT, rank INTEGER, PRIMARY KEY (a, b))",
        key: Key::Pair("a", "b"),
        ..PLAIN
    };
    without_rowid: Kind {
        schema: "CREATE TABLE {t}(a INTEGER, b TEXT COLLATE NOCASE, name TEXT UNIQUE, rank INTEGER,
                                  PRIMARY KEY (b DESC, a)) WITHOUT ROWID",
        key: Key::Pair("a", "b"),
        unique: Unique::Column,
        ..PLAIN
    };
    computed: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT, rank INTEGER,
                                  loud TEXT AS (upper(name)) VIRTUAL, long INTEGER AS (length(name)) STORED);
                 CREATE INDEX {t}_loud ON {t}(loud)",
        ..PLAIN
    };
    parent: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT UNIQUE, rank INTEGER);
                 CREATE TABLE children_of_{t}(name TEXT REFERENCES {t}(name) ON UPDATE CASCADE ON DELETE SET NULL);
                 CREATE TABLE heirs_of_{t}(name TEXT REFERENCES {t}(name) ON UPDATE SET NULL ON DELETE CASCADE)",
        unique: Unique::Column,
        beside: &["children_of_{t}", "heirs_of_{t}"],
        others: &[
            "INSERT INTO children_of_{t} VALUES ({v}), ({v})",
            "INSERT INTO heirs_of_{t} SELECT name FROM {t} WHERE {key}",
        ],
        ..PLAIN
    };
    child: Kind {
        schema: "CREATE TABLE parents_of_{t}(name TEXT PRIMARY KEY);
                 INSERT INTO parents_of_{t} VALUES ('a'), ('b'), ('A'), ('d');
                 CREATE TABLE {t}(id INTEGER PRIMARY KEY, rank INTEGER,
                                  name TEXT REFERENCES parents_of_{t} ON UPDATE CASCADE ON DELETE SET NULL)",
        row: "char(97 + i % 2)",
        beside: &["parents_of_{t}"],
        others: &[
            "INSERT OR IGNORE INTO parents_of_{t} VALUES ({v})",
            "UPDATE OR IGNORE parents_of_{t} SET name = {v} WHERE name = {v}",
            "DELETE FROM parents_of_{t} WHERE name = {v} AND name > 'e'",
        ],
        ..PLAIN
    };
    normalised: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT, rank INTEGER);
                 CREATE TRIGGER {t}_inserted AFTER INSERT ON {t} WHEN NEW.name <> trim(NEW.name)
                 BEGIN UPDATE {t} SET name = trim(NEW.name) WHERE id = NEW.id; END;
                 CREATE TRIGGER {t}_updated AFTER UPDATE OF name ON {t} WHEN NEW.name <> trim(NEW.name)
                 BEGIN UPDATE {t} SET name = trim(NEW.name) WHERE id = NEW.id; END",
        ..PLAIN
    };
    mapped: Kind {
        mapping: Some(Mapping {
            declared_type: "TEXT",
            up: "upper(trim(name))",
            down: "lower(full_name)",
        }),
        ..PLAIN
    };
    converted: Kind {
        mapping: Some(Mapping {
            declared_type: "INTEGER",
            up: "name",
            down: "full_name",
        }),
        ..PLAIN
    };
    mapped_to_numbers: Kind {
        mapping: Some(Mapping {
            declared_type: "INTEGER",
            up: "CAST(name AS INTEGER)",
            down: "CAST(full_name AS TEXT)",
        }),
        ..PLAIN
    };
    logged: Kind {
        schema: "CREATE TABLE {t}(id INTEGER PRIMARY KEY, name TEXT, rank INTEGER);
                 CREATE TABLE log_of_{t}(id INTEGER, name TEXT);
                 CREATE TRIGGER {t}_deleted AFTER DELETE ON {t}
                 BEGIN INSERT INTO log_of_{t} VALUES (OLD.id, OLD.name); END",
        beside: &["log_of_{t}"],
        ..PLAIN
    };
}

/// Is an application, where the environment says which.
#[test]
#[ignore = "is the application that other tests start"]
fn application() {
    application::work();
}

/// How a change ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Contract,
    Abort,
}

/// One change of one table.
#[derive(Clone, Debug)]
struct Round {
    kind: String,
    seed: u64,
    journal: &'static str,
    end: End,
    /// Whether the table is rebuilt online, while applications go on.
    online: bool,
}

impl Round {
    fn new(kind: &str, seed: u64) -> Self {
        Self {
            kind: kind.to_owned(),
            seed,
            journal: ["WAL", "DELETE"][(seed % 2) as usize],
            end: match seed % 4 {
                0 | 3 => End::Contract,
                _ => End::Abort,
            },
            online: (seed / 2).is_multiple_of(2),
        }
    }
}

fn stay_equal(kind: &str) {
    let first = number("ALIKE_SEED").unwrap_or_else(|| turn_of(kind));
    let rounds = number("ALIKE_ROUNDS").unwrap_or(1);
    for seed in first..first + rounds {
        let round = Round::new(kind, seed);
        let told = OnPanic(format!(
            "{round:?}; ALIKE_SEED={seed} ALIKE_ROUNDS=1 repeats it"
        ));
        go_through(&round);
        drop(told);
    }
}

/// A seed for the kind, so that the kinds among them go through every sort of round.
fn turn_of(kind: &str) -> u64 {
    kind.bytes().map(u64::from).sum()
}

/// Says something where the test fails.
struct OnPanic(String);

impl Drop for OnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

fn number<N: FromStr>(variable: &str) -> Option<N> {
    let text = env::var(variable).ok()?;
    let number = text.parse().ok();
    Some(number.unwrap_or_else(|| panic!("{variable} is no number: {text}")))
}

/// The change, with the applications at work.
fn go_through(round: &Round) {
    let kind = kind(&round.kind);
    let file = File::of(&format!(
        "PRAGMA journal_mode = {}; {}",
        round.journal,
        kind.file(ROWS)
    ));
    let db = file.path();
    let start = |version| Application::start(round, &db, version);
    let changeover = |arguments: &[&str]| {
        let all = ["--busy-timeout", "60"].iter().chain(arguments);
        let ran = run(&db, all).done();
        assert!(!ran.stderr.contains("at once instead"), "{ran:?}");
    };
    let beside = if kind.write_both {
        Version::Both
    } else {
        Version::New
    };

    let mut old = start(Version::Old);
    old.works(10);
    changeover(&expand(&kind));
    old.works(10);

    let way = if round.online {
        ["--online", "always"]
    } else {
        ["--online", "never"]
    };
    let before = old.transactions();
    changeover(&[&migrate_data(&kind)[..], &way].concat());
    assert!(old.transactions() > before, "the old application waited");

    let mut new = start(beside);
    new.works(40);
    old.works(40);
    let ended = |phase: &[&str], beside: Option<&Application>| {
        let before = beside.map(Application::transactions);
        changeover(&[phase, &way, &["--batch-rows", "40"]].concat());
        if round.online {
            let after = beside.map(Application::transactions);
            assert!(after.is_none() || after > before, "the application waited");
        }
    };
    let last = match round.end {
        End::Contract => {
            old.stop();
            let contract = ["contract", "t", "name", "--quiet-for", "0"];
            // Whoever writes the old column ends before it goes.
            if beside == Version::Both {
                new.stop();
                ended(&contract, None);
                new = start(Version::New);
            } else {
                ended(&contract, Some(&new));
            }
            new.works(30);
            new.stop();
            Version::New
        }
        End::Abort => {
            new.stop();
            ended(&["abort", "t"], Some(&old));
            old.works(20);
            old.stop();
            Version::Old
        }
    };
    let connection = open(&db);
    assert_eq!(kind.differences(&connection, last), [""; 0]);
    assert_sound(&connection);
}

fn expand(kind: &Kind) -> Vec<&'static str> {
    let mut arguments = vec!["expand", "t", "full_name", "--from", "name"];
    if let Some(mapping) = kind.mapping {
        arguments.extend(["--type", mapping.declared_type]);
    }
    arguments
}

/// In batches small enough to leave room for the applications.
fn migrate_data(kind: &Kind) -> Vec<&'static str> {
    let mut arguments = vec!["migrate-data", "name", "full_name", "--batch-rows", "50"];
    arguments.extend(kind.write_both.then_some("--write-both"));
    if let Some(Mapping { up, down, .. }) = kind.mapping
        && up != "name"
    {
        arguments.extend(["--up", up, "--down", down]);
    }
    arguments
}

#[track_caller]
fn assert_sound(connection: &Connection) {
    let check = |pragma| {
        let mut statement = connection.prepare(pragma).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0));
        rows.unwrap().collect::<Result<Vec<_>, _>>().unwrap()
    };
    assert_eq!(check("PRAGMA integrity_check"), ["ok"]);
    assert_eq!(check("PRAGMA foreign_key_check"), [""; 0]);
}
