//! Stopped, or cut off from power, behind every event: it goes on, or is called off.

use std::ops::ControlFlow;

use changeover::Event;
use changeover::event::Observer;
use changeover::request::AddIndex;
use changeover::unobserved;

use super::super::support::{Error, File};
use super::{abort, abort_watched, add_beside, expect_index, expect_none, index, small};

const WRITES: &str = "UPDATE t SET age = age + 1 WHERE id % 4 = 1; DELETE FROM t WHERE id = 8; \
                      INSERT OR REPLACE INTO t VALUES (9, 'anew', 3)";

fn asked() -> AddIndex {
    AddIndex {
        unique: true,
        ..index("i", &["name", "age DESC"])
    }
}

/// Behind the stop others write, and then the same is asked for again, or called off.
fn expect_to_go_on(file: &File, n: usize) {
    let copy = file.as_after_a_crash();
    copy.execute(WRITES);
    match abort(&copy) {
        Ok(_) => expect_none(&copy, "i"),
        // Either nothing was begun yet, or all is done.
        Err(Error::NoOpenChange(_)) => {}
        Err(error) => panic!("stopped behind event {n}: {error}"),
    }
    copy.execute(WRITES);
    file.execute(WRITES);
    for file in [file, &copy] {
        if let Err(error) = add_beside(file, &asked(), &mut unobserved) {
            panic!("stopped behind event {n}: {error}");
        }
        expect_index(file, "i");
    }
}

#[test]
fn stopped_behind_any_event_it_goes_on_or_is_called_off() {
    for n in 0.. {
        let file = small();
        let mut events = 0;
        let outcome = add_beside(&file, &asked(), &mut |event: &Event| {
            file.execute(if matches!(event, Event::CutOver { .. }) {
                ""
            } else {
                WRITES
            });
            events += 1;
            if events > n {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        expect_to_go_on(&file, n);
        if events <= n {
            outcome.unwrap();
            assert!(n > 8, "{n} events");
            break;
        }
    }
}

#[test]
fn power_cut_behind_any_event_leaves_what_goes_on_or_is_called_off() {
    let file = small();
    let mut left = Vec::new();
    add_beside(&file, &asked(), &mut |_: &Event| {
        left.push(file.as_after_a_crash());
        ControlFlow::Continue(())
    })
    .unwrap();
    for (n, file) in left.iter().enumerate() {
        expect_to_go_on(file, n);
    }
}

/// How many entries stand beside the table; none where nothing does.
fn entries(file: &File) -> Option<i64> {
    let count = "SELECT count(*) FROM _changeover_1_entries_1";
    let application = file.application();
    application.query_row(count, [], |row| row.get(0)).ok()
}

#[test]
fn what_a_stopped_build_has_left_goes_in_turns() {
    for (order, journal) in [("", "WAL"), (" DESC", "DELETE")] {
        let file = small();
        file.execute(&format!(
            "PRAGMA journal_mode = {journal};
             UPDATE t SET name = NULL WHERE id % 3 = 0; UPDATE t SET age = NULL WHERE id % 4 < 2;
             UPDATE t SET name = CAST(x'ff' AS TEXT) WHERE id % 5 = 0"
        ));
        let asked = index("i", &[&format!("age{order}"), &format!("name{order}")]);
        let stopped = add_beside(&file, &asked, &mut |_: &Event| match entries(&file) {
            Some(40) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
        let copy = file.as_after_a_crash();
        let expect_turns = |file: &File, run: &dyn Fn(&mut Observer<'_>)| {
            let mut left = vec![40];
            run(&mut |event: &Event| {
                if matches!(event, Event::BatchDone { .. }) && left.last() != Some(&0) {
                    left.push(entries(file).unwrap());
                }
                ControlFlow::Continue(())
            });
            let steps = left.windows(2).map(|it| it[0] - it[1]);
            assert!(steps.clone().all(|it| (1..=5).contains(&it)), "{left:?}");
            assert_eq!(steps.sum::<i64>(), 40);
        };
        expect_turns(&copy, &|observer| {
            abort_watched(&copy, observer).unwrap();
        });
        expect_none(&copy, "i");
        expect_turns(&file, &|observer| {
            add_beside(&file, &asked, observer).unwrap();
        });
        expect_index(&file, "i");
    }
}
