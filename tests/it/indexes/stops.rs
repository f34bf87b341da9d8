//! Stopped, or cut off from power, behind every event: it goes on, or is called off.

use std::ops::ControlFlow;

use changeover::Event;
use changeover::request::AddIndex;
use changeover::unobserved;

use super::super::support::{Error, File};
use super::{abort, add_beside, expect_index, expect_none, index, small};

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
