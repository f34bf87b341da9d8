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

/// Runs the phases until event `n`, while applications write; `at_event` sees each event. Returns whether there was an
/// event `n`.
fn run_until(twins: &Twins, n: usize, mut at_event: impl FnMut(&Event)) -> bool {
    let events = Cell::new(0);
    let mut observer = |event: &Event| {
        twins.write();
        at_event(event);
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

/// The moments to stop at, of the events that a change tells one after the other: the first, the second and the last event
/// of each kind in each run of work, and all where there are few.
fn moments(events: &[Event]) -> Vec<usize> {
    let mut kinds: Vec<(String, Vec<usize>)> = Vec::new();
    let mut parts = 0;
    for (at, event) in events.iter().enumerate() {
        parts += usize::from(matches!(event, Event::BackfillStarted { .. }));
        let text = format!("{event:?}");
        let kind = format!("{} {parts}", text.split(' ').next().unwrap_or_default());
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, all)) => all.push(at),
            None => kinds.push((kind, vec![at])),
        }
    }
    let some = |all: &Vec<usize>| {
        let mut some: Vec<usize> = all.iter().copied().take(2).collect();
        some.extend(all.last());
        some
    };
    let mut moments: Vec<usize> = kinds.iter().flat_map(|(_, all)| some(all)).collect();
    moments.sort_unstable();
    moments.dedup();
    moments
}

#[test]
fn stopped_after_any_event_it_goes_on_or_is_undone() {
    for twins in all_twins() {
        let stops = (0..).take_while(|n| {
            let twins = twins.copy();
            let is_stopped = run_until(&twins, *n, |_| {});
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
        run_until(&twins, usize::MAX, |_| left.push(twins.as_after_a_crash()));
        left.iter().for_each(expect_any_way_on);
        assert!(left.len() > 8, "too few events");
        twins.expect_contracted();
    }
}

#[test]
fn stopped_online_it_goes_on_or_is_undone() {
    for twins in all_twins().map(Twins::online) {
        let mut events = Vec::new();
        run_until(&twins.copy(), usize::MAX, |event| {
            events.push(event.clone());
        });
        let moments = moments(&events);
        assert!(moments.len() > 12, "too few events: {events:?}");
        for n in moments {
            let twins = twins.copy();
            run_until(&twins, n, |_| {});
            expect_any_way_on(&twins);
        }
    }
}

#[test]
fn power_cut_online_leaves_what_goes_on_or_is_undone() {
    for twins in all_twins().map(Twins::online) {
        let (mut events, mut left) = (Vec::new(), Vec::new());
        run_until(&twins, usize::MAX, |event| {
            events.push(event.clone());
            left.push(twins.as_after_a_crash());
        });
        for n in moments(&events) {
            expect_any_way_on(&left[n]);
        }
        twins.expect_contracted();
    }
}

#[test]
fn abort_that_is_stopped_online_ends_as_an_abort() {
    for twins in all_twins().map(Twins::online) {
        for phase in [Phase::Expand, Phase::MigrateData] {
            twins.apply_under_writes(phase);
        }
        let mut events = Vec::new();
        let other = twins.copy();
        let outcome = other.observed(Phase::Abort, &mut |event: &Event| {
            other.write();
            events.push(event.clone());
            ControlFlow::Continue(())
        });
        outcome.unwrap();
        other.expect_aborted();
        for n in moments(&events) {
            let twins = twins.copy();
            let told = Cell::new(0);
            let _ = twins.observed(Phase::Abort, &mut |_: &Event| {
                twins.write();
                told.set(told.get() + 1);
                if told.get() > n {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            twins.apply_under_writes(Phase::Abort);
            twins.expect_aborted();
        }
    }
}
