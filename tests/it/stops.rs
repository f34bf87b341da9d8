//! A change that is stopped at any moment, or whose machine loses its power then, goes on from there or is undone; and
//! applications write all the while.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::thread;

use changeover::{Event, Phase};

use super::support::Error;
use super::twins::Twins;

/// Tables whose rows are told apart in different ways, each with what hangs on a table.
pub(crate) const TABLES: [&str; 3] = [
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
fn run_until(twins: &Twins, phases: &[Phase], n: usize, mut at_event: impl FnMut(&Event)) -> bool {
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
    for phase in phases {
        match twins.observed(*phase, &mut observer) {
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
            let is_stopped = run_until(&twins, &TO_THE_END, *n, |_| {});
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
        run_until(&twins, &TO_THE_END, usize::MAX, |_| {
            left.push(twins.as_after_a_crash());
        });
        left.iter().for_each(expect_any_way_on);
        assert!(left.len() > 8, "too few events");
        twins.expect_contracted();
    }
}

/// Tables whose change is migrated, and ends online.
fn migrated_twins() -> impl Iterator<Item = Twins> {
    all_twins().map(|twins| {
        let mut twins = twins.online();
        twins.change.batch_rows = 4;
        for phase in [Phase::Expand, Phase::MigrateData] {
            twins.apply(phase).unwrap();
        }
        twins
    })
}

/// Of the events of an online phase the first, the second and the last of each kind, before the cutover and behind it.
pub(crate) fn some_of_each_kind(events: &[Event]) -> BTreeSet<usize> {
    let mut kinds: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut is_cut_over = false;
    for (at, event) in events.iter().enumerate() {
        is_cut_over |= matches!(event, Event::CutOver { .. });
        let text = format!("{event:?}");
        let word = text.split(' ').next().unwrap_or_default();
        let kind = format!("{word} {is_cut_over}");
        kinds.entry(kind).or_default().push(at);
    }
    let some = |all: &Vec<usize>| [all[0], all[1.min(all.len() - 1)], all[all.len() - 1]];
    kinds.values().flat_map(some).collect()
}

/// Runs the phase online to its end, and returns its moments; `at_event` sees each event.
fn run_through(twins: &Twins, phase: Phase, mut at_event: impl FnMut()) -> BTreeSet<usize> {
    let mut events = Vec::new();
    run_until(twins, &[phase], usize::MAX, |event| {
        events.push(event.clone());
        at_event();
    });
    let moments = some_of_each_kind(&events);
    assert!(moments.len() > 8, "too few events: {events:?}");
    moments
}

/// Goes on with the phase; a contract that was left at an even moment is undone instead.
#[track_caller]
fn expect_to_go_on(twins: &Twins, phase: Phase, n: usize) {
    if phase == Phase::Abort {
        twins.apply_under_writes(phase);
        twins.expect_aborted();
    } else if n.is_multiple_of(2) {
        twins.undo();
    } else {
        twins.apply_under_writes(phase);
        twins.expect_contracted();
    }
}

/// Does it with each phase of each table, all at the same time, as turns with the lock are waited for rather than worked in.
fn of_each_phase(work: impl Fn(Twins, Phase) + Copy + Send) {
    thread::scope(|scope| {
        for twins in migrated_twins() {
            for phase in [Phase::Contract, Phase::Abort] {
                let twins = twins.copy();
                scope.spawn(move || work(twins, phase));
            }
        }
    });
}

#[test]
fn stopped_online_it_goes_on_or_is_undone() {
    of_each_phase(|twins, phase| {
        for n in run_through(&twins.copy(), phase, || {}) {
            let twins = twins.copy();
            run_until(&twins, &[phase], n, |_| {});
            expect_to_go_on(&twins, phase, n);
        }
    });
}

#[test]
fn power_cut_online_leaves_what_goes_on_or_is_undone() {
    of_each_phase(|twins, phase| {
        let mut left = Vec::new();
        for n in run_through(&twins, phase, || left.push(twins.as_after_a_crash())) {
            expect_to_go_on(&left[n], phase, n);
        }
    });
}
