//! A change that is stopped at any moment, or whose machine loses its power then, goes on from there or is undone; and
//! applications write all the while.

use std::cell::Cell;
use std::ops::ControlFlow;

use changeover::{Event, Phase};

use super::support::Error;
use super::twins::Twins;

/// Tables whose rows are told apart in different ways, each with what hangs on a table.
const TABLES: [&str; 3] = [
    "CREATE TABLE people(k INT, name TEXT NOT NULL, age INT);
     CREATE VIEW names AS SELECT k, name FROM people;
     CREATE INDEX by_name ON people(name DESC, k);",
    "CREATE TABLE people(k INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL COLLATE NOCASE CHECK (name <> ''), age INT);
     CREATE TABLE pets(owner INT REFERENCES people ON DELETE CASCADE ON UPDATE CASCADE);
     INSERT INTO people(k, name) VALUES (20, 'with a pet'); INSERT INTO pets VALUES (20);
     CREATE TABLE gone(name);
     CREATE TRIGGER remember AFTER DELETE ON people BEGIN INSERT INTO gone VALUES (OLD.name); END;",
    "CREATE TABLE people(k, l DEFAULT 'x', name TEXT UNIQUE, age INT, PRIMARY KEY(l, k DESC)) WITHOUT ROWID;",
];

const ROWS: &str = "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 7)
    INSERT INTO people(k, name) SELECT i, 'name ' || i FROM n;";

const TO_THE_END: [Phase; 3] = [Phase::Expand, Phase::MigrateData, Phase::Contract];

/// Each table; one in a file without a write-ahead log.
fn all_twins() -> impl Iterator<Item = Twins> {
    TABLES
        .into_iter()
        .zip(["WAL", "DELETE", "WAL"])
        .map(|(table, journal)| {
            Twins::of(&format!("PRAGMA journal_mode = {journal}; {table} {ROWS}"))
        })
}

/// Runs the phases until event `n`, while applications write; `at_event` sees the files after each event. Returns whether
/// there was an event `n`.
fn run_until(twins: &Twins, n: usize, mut at_event: impl FnMut()) -> bool {
    let events = Cell::new(0);
    let mut observer = |_: &Event| {
        twins.write();
        at_event();
        events.set(events.get() + 1);
        if events.get() > n {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    for phase in TO_THE_END {
        match twins.observed(phase, &mut observer) {
            Ok(_) | Err(Error::Stopped | Error::CalledOff) => {}
            Err(error) => panic!("{phase}, before event {n}: {error}"),
        }
        if events.get() > n {
            return true;
        }
    }
    false
}

/// Goes on to the end; and on a copy goes back, and from there to the end.
#[track_caller]
fn expect_any_way_on(twins: &Twins) {
    let other = twins.copy();
    twins.finish();
    if other.undo() {
        other.finish();
    }
}

#[test]
fn stopped_after_any_event_it_goes_on_or_is_undone() {
    for twins in all_twins() {
        let stops = (0..).take_while(|n| {
            let twins = twins.copy();
            let is_stopped = run_until(&twins, *n, || {});
            expect_any_way_on(&twins);
            is_stopped
        });
        assert!(stops.count() > 8, "too few events");
    }
}

#[test]
fn power_cut_after_any_event_leaves_what_goes_on_or_is_undone() {
    for twins in all_twins() {
        let mut left = Vec::new();
        run_until(&twins, usize::MAX, || left.push(twins.as_after_a_crash()));
        left.iter().for_each(expect_any_way_on);
        assert!(left.len() > 8, "too few events");
        twins.expect_contracted();
    }
}
