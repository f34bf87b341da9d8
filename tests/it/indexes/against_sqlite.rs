//! Tables as the dice fall, against what `CREATE INDEX` makes of a copy.
//!
//! `INDEX_ROUNDS=n` in the environment has as many tables be given indexes; `INDEX_SEED=n` begins with that of the number,
//! which a failure tells.

use std::env;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use changeover::changeover::Rebuilds;
use changeover::event::Event;
use changeover::request::Request;
use changeover::unobserved;
use rusqlite::Connection;

use super::super::process::{Dice, number, skipped, texts};
use super::super::support::{Error, File};
use super::world::{Wanted, World};
use super::{OURS, add_at_once, open};

/// A file and its copy, to which applications write the same.
struct Twins {
    file: File,
    twin: File,
    connections: [Connection; 2],
    world: World,
    dice: Dice,
    written: Vec<String>,
}

impl Twins {
    fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed);
        let world = World::of(&mut dice);
        let journal = dice.pick(&["WAL", "DELETE"]);
        let file = File::of(&format!(
            "PRAGMA journal_mode = {journal}; {}",
            world.schema
        ));
        let twin = file.copy();
        let mut twins = Self {
            connections: [file.application(), twin.application()],
            file,
            twin,
            world,
            dice,
            written: Vec::new(),
        };
        let many = [0, 20, 120][twins.dice.roll(3) as usize];
        twins.write(many);
        twins
    }

    /// So many statements on both, which must answer them alike.
    fn write(&mut self, many: u32) {
        for _ in 0..many {
            let statement = self.world.statement(&mut self.dice);
            let [ours, theirs] = &self.connections;
            let said =
                [ours, theirs].map(|it| it.execute(&statement, []).map_err(|it| it.to_string()));
            assert_eq!(said[0], said[1], "{statement}");
            self.written.push(statement);
        }
    }

    /// Gives the one an index while both are written, and the other by hand. Returns whether it could be made.
    fn index(&mut self, name: &str, wanted: &Wanted) -> bool {
        let asked = wanted.request(name);
        let path = self.file.path();
        let outcome = {
            let request = Request::AddIndex(asked.clone());
            open(&path, Rebuilds::Online).apply(&request, &mut |event| {
                assert!(!matches!(event, Event::IndexesAtOnce { .. }), "{event:?}");
                // In the midst of a transaction nobody else can write; and once the index is there, it may lead a statement
                // to its rows in another order than that of the twin.
                let is_between = !matches!(
                    event,
                    Event::StepDone { .. } | Event::CutOver { .. } | Event::PhaseDone { .. }
                );
                if is_between {
                    let many = self.dice.roll(4);
                    self.write(many);
                }
                ControlFlow::Continue(())
            })
        };
        let outcome = match outcome {
            Err(Error::NotSupported(why)) if why.contains("beside its table") => {
                add_at_once(&self.file, &asked)
            }
            outcome => outcome,
        };
        assert_eq!(number(&path, OURS), 0, "{outcome:?}");
        match outcome {
            Ok(entry) => {
                let text = wanted.text(name);
                assert_eq!(entry.index.unwrap().sql, Some(text.clone()));
                self.connections[1].execute_batch(&text).unwrap();
                true
            }
            Err(Error::Duplicates { .. }) if wanted.is_unique => false,
            // What cannot be computed of some row.
            Err(error) => {
                let by_hand = self.connections[1].execute_batch(&wanted.text(name));
                assert!(by_hand.is_err(), "{error}");
                false
            }
        }
    }

    #[track_caller]
    fn expect_alike(&self, indexes: &[(String, Wanted)]) {
        let [file, twin] = [&self.file, &self.twin].map(File::path);
        for (name, wanted) in indexes {
            // SQLite itself stores a whole number of a REAL column as an integer or not, by the way that it came.
            let is_exact = !self.world.schema.contains("REAL");
            let size = if is_exact {
                "sum(payload)"
            } else {
                "sum(ncell)"
            };
            let size = format!("SELECT {size} || '' FROM dbstat WHERE name = '{name}'");
            let entries = wanted.entries(name, self.world.key);
            for query in [entries, size] {
                assert_eq!(texts(&file, &query), texts(&twin, &query), "{query}");
            }
            let plan = |db| -> Vec<String> {
                let connection = super::super::process::open(db);
                let mut statement = connection.prepare(&wanted.look_up()).unwrap();
                let rows = statement.query_map([], |row| row.get("detail")).unwrap();
                rows.collect::<rusqlite::Result<_>>().unwrap()
            };
            assert_eq!(plan(&file), plan(&twin));
            let verified =
                open(&file, Rebuilds::Auto).verify_index(&name.as_str().into(), &mut unobserved);
            if let Err(error) = verified {
                panic!("{error}");
            }
        }
        for db in [&file, &twin] {
            assert_eq!(texts(db, "PRAGMA integrity_check"), ["ok"]);
        }
    }
}

/// How many tables there usually are.
const USUAL: u64 = 24;

/// Numbers from the environment, or what is usual.
fn asked_for(variable: &str, usual: u64) -> u64 {
    env::var(variable).map_or(usual, |it| it.parse().unwrap())
}

/// One table, which gets two indexes.
fn round(seed: u64, more: u32) {
    let mut twins = Twins::of(seed);
    println!("INDEX_SEED={seed}: {}", twins.world.schema);
    let mut made = Vec::new();
    for name in ["i1", "i2"] {
        let wanted = Wanted::of(&mut twins.dice);
        println!("{}", wanted.text(name));
        if twins.index(name, &wanted) {
            made.push((name.to_owned(), wanted));
        }
    }
    twins.expect_alike(&made);
    twins.write(more);
    twins.expect_alike(&made);
    expect_sound_elsewhere(&twins.file.path(), seed);
}

/// Other versions of SQLite find nothing wrong with the file either. They take some numbers for other texts, so that
/// this is not asked where an index computes something.
fn expect_sound_elsewhere(db: &Path, seed: u64) {
    let computes = "SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%(%(%' AND name IN ('i1', 'i2') \
                    OR sql LIKE '% AS (%' OR sql LIKE '%WITHOUT ROWID%STRICT%'";
    if !seed.is_multiple_of(8) || number(db, computes) > 0 {
        return;
    }
    let python = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchone()[0])";
    let path = db.to_str().unwrap();
    for (program, arguments) in [
        ("sqlite3", [path, "PRAGMA integrity_check"].to_vec()),
        ("python3", ["-c", python, path].to_vec()),
    ] {
        match Command::new(program).args(arguments).output() {
            Ok(ran) => assert_eq!(
                String::from_utf8_lossy(&ran.stdout).trim(),
                "ok",
                "{program}: {ran:?}"
            ),
            Err(error) => skipped(&format!("{program}: {error}")),
        }
    }
}

#[test]
fn indexes_hold_what_sqlite_would_have_put_into_them() {
    let first = asked_for("INDEX_SEED", 0);
    let rounds = asked_for("INDEX_ROUNDS", USUAL);
    for seed in first..first + rounds {
        round(seed, if rounds > USUAL { 1000 } else { 100 });
    }
}
