//! A contract that holds the old column, and its undoing.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

use changeover::changeover::Rebuilds;
use changeover::{Event, Phase, State};
use rusqlite::Connection;

use super::stops::some_of_each_kind;
use super::support::Error;
use super::twins::Twins;

/// Tables whose rows are told apart in different ways, each with what hangs on a table.
const TABLES: [&str; 6] = [
    "CREATE TABLE people(k INT, name TEXT NOT NULL, age INT /* in years */);
     CREATE VIEW names AS SELECT k, name FROM people;
     CREATE INDEX by_name ON people(name DESC, k);",
    "CREATE TABLE people(k INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL COLLATE NOCASE CHECK (name <> ''), age INT);
     CREATE TABLE pets(owner INT REFERENCES people ON DELETE CASCADE ON UPDATE CASCADE);
     INSERT INTO people(k, name) VALUES (20, 'with a pet'); INSERT INTO pets VALUES (20);
     CREATE TABLE gone(name);
     CREATE TRIGGER remember AFTER DELETE ON people BEGIN INSERT INTO gone VALUES (OLD.name); END;",
    "CREATE TABLE people(k, l DEFAULT 'x', name TEXT UNIQUE, age INT, PRIMARY KEY(l, k DESC)) WITHOUT ROWID;",
    "CREATE TABLE people(k INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT 'nobody', age INT) STRICT;
     CREATE INDEX longest ON people(length(name)) WHERE name > 'b';",
    "CREATE TABLE people(k INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, age INT, CHECK (age > 0 OR name <> ''));
     CREATE TABLE pets(owner TEXT REFERENCES people(name) ON UPDATE CASCADE);
     CREATE TRIGGER older AFTER UPDATE OF name ON people BEGIN SELECT OLD.name, NEW.name; END;",
    "CREATE TABLE people(name VARCHAR(20) COLLATE RTRIM, k INT PRIMARY KEY, age INT -- the last one
     );
     CREATE VIEW everyone(who) AS SELECT name || ' ' || coalesce(age, '') FROM people;",
];

const ROWS: &str = "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 7)
    INSERT INTO people(k, name) SELECT i, 'name ' || i FROM n;";

/// Twins of each table whose change is migrated; some of them are rebuilt online.
fn migrated() -> impl Iterator<Item = Twins> {
    let twins = |(n, table)| {
        let journal = if n == 1 { "DELETE" } else { "WAL" };
        let mut twins = Twins::of(&format!("PRAGMA journal_mode = {journal}; {table} {ROWS}"));
        twins.apply(Phase::Expand).unwrap();
        twins.change.migrate_data(&twins.file).unwrap();
        twins.write();
        if n % 2 == 0 {
            return vec![twins];
        }
        let at_once = twins.copy();
        twins.change.batch_rows = 4;
        vec![at_once, twins.online()]
    };
    TABLES.iter().enumerate().flat_map(twins)
}

fn held() -> impl Iterator<Item = Twins> {
    migrated().map(|twins| {
        twins.apply(Phase::Hold).unwrap();
        assert_eq!(twins.state(), Some(State::Held));
        twins
    })
}

/// Whether every row shows the same under both names.
#[track_caller]
fn expect_alike(application: &Connection) {
    let sql = "SELECT count(*) FROM people WHERE name COLLATE BINARY IS NOT full_name";
    let unlike: i64 = application.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(unlike, 0);
}

#[test]
fn old_readers_go_on_and_old_writers_fail() {
    for twins in migrated() {
        let (old, new) = (twins.file.application(), twins.file.application());
        let mut read = old.prepare("SELECT name FROM people WHERE k = 7").unwrap();
        twins.apply(Phase::Hold).unwrap();
        new.execute(
            "UPDATE people SET full_name = 'by a new one' WHERE k = 7",
            [],
        )
        .unwrap();
        let name: String = read.query_row([], |row| row.get(0)).unwrap();
        assert_eq!(name, "by a new one");
        for (write, failure) in [
            (
                "UPDATE people SET name = 'x'",
                "cannot UPDATE generated column \"name\"",
            ),
            (
                "INSERT INTO people(k, name) VALUES (99, 'x')",
                "cannot INSERT into generated column \"name\"",
            ),
        ] {
            let error = old.execute(write, []).unwrap_err().to_string();
            assert!(error.contains(failure), "{error}");
        }
        expect_alike(&old);
    }
}

#[test]
fn removal_leads_to_what_a_contract_at_once_leads_to() {
    for twins in held() {
        twins.write();
        let entry = twins.apply(Phase::Contract).unwrap();
        assert_eq!(
            (entry.version, entry.name.as_str()),
            (4, "remove_name_column")
        );
        assert_eq!(twins.apply(Phase::Contract).unwrap(), entry);
        twins.expect_contracted();
    }
}

#[test]
fn undo_brings_everything_back_and_either_way_is_open() {
    for twins in held() {
        twins.write();
        twins.apply_under_writes(Phase::Undo);
        assert_eq!(twins.state(), Some(State::Migrated));
        twins.write();
        expect_alike(&twins.file.application());
        let entry = twins.apply(Phase::Undo).unwrap();
        assert_eq!(
            (entry.version, entry.name.as_str()),
            (4, "restore_name_column")
        );
        let (back, mut again) = (twins.copy(), twins.copy());
        twins.apply(Phase::Contract).unwrap();
        twins.expect_contracted();
        assert!(back.undo());
        again.change.rebuilds = Rebuilds::AtOnce;
        for phase in [Phase::Hold, Phase::Undo, Phase::Hold] {
            again.apply_under_writes(phase);
        }
        assert_eq!(again.apply(Phase::Hold).unwrap().version, 7);
        again.finish();
    }
}

/// Applies the phase until event `n`. Returns whether there was one.
fn apply_until(twins: &Twins, phase: Phase, n: usize) -> bool {
    let events = Cell::new(0);
    let outcome = twins.observed(phase, &mut |_: &Event| {
        twins.write();
        events.set(events.get() + 1);
        if events.get() > n {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    match outcome {
        Ok(_) | Err(Error::Stopped | Error::CalledOff) => {}
        Err(error) => panic!("{phase}, before event {n}: {error}"),
    }
    events.get() > n
}

/// Some of the moments at which a phase can be stopped: of each kind of event the first, the second and the last.
fn moments(twins: &Twins, phase: Phase) -> BTreeSet<usize> {
    let mut events = Vec::new();
    let outcome = twins.observed(phase, &mut |event: &Event| {
        events.push(event.clone());
        ControlFlow::Continue(())
    });
    outcome.unwrap();
    some_of_each_kind(&events)
}

#[test]
fn stopped_at_any_moment_undo_goes_on() {
    for twins in held() {
        for n in moments(&twins.copy(), Phase::Undo) {
            let twins = twins.copy();
            apply_until(&twins, Phase::Undo, n);
            if twins.state() == Some(State::Undoing) {
                for phase in [Phase::Abort, Phase::Contract, Phase::Hold] {
                    let error = twins.apply(phase).unwrap_err();
                    assert!(matches!(error, Error::NotUndone { .. }), "{error}");
                }
            }
            twins.write();
            twins.apply(Phase::Undo).unwrap();
            expect_alike(&twins.file.application());
            twins.apply(Phase::Abort).unwrap();
            twins.expect_aborted();
        }
    }
}

#[test]
fn undo_that_has_not_copied_anything_yet_can_give_way_to_contract() {
    for twins in held() {
        apply_until(&twins, Phase::Undo, 0);
        if twins.state() == Some(State::Held) {
            twins.apply(Phase::Contract).unwrap();
            twins.expect_contracted();
        }
    }
}
