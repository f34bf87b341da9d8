//! What others do in the midst of it.

use std::cell::Cell;
use std::ops::ControlFlow;

use changeover::Event;
use changeover::changeover::Rebuilds;
use changeover::unobserved;

use super::super::process::{execute_past_triggers, texts};
use super::super::support::{Error, File};
use super::{add_beside, expect_index, expect_none, index, open, small};

/// Gives the table an index, with somebody who does something behind the `n`th event. Returns whether that came, and whether
/// the index was made at once in the end.
fn meddled(file: &File, n: u32, meddle: impl Fn()) -> Option<bool> {
    let (events, at_once) = (Cell::new(0), Cell::new(false));
    let made = add_beside(
        file,
        &index("i", &["age", "lower(name) DESC"]),
        &mut |event| {
            if matches!(event, Event::PhaseDone { .. }) {
                return ControlFlow::Continue(());
            }
            at_once.set(at_once.get() || matches!(event, Event::IndexesAtOnce { .. }));
            if events.replace(events.get() + 1) == n {
                meddle();
            }
            ControlFlow::Continue(())
        },
    );
    if let Err(error) = made {
        panic!("behind event {n}: {error}");
    }
    expect_index(file, "i");
    (events.get() > n).then_some(at_once.get())
}

#[test]
fn nobody_has_to_meddle() {
    let file = small();
    assert_eq!(meddled(&file, u32::MAX, || {}), None);
    assert_eq!(file.text("i"), "CREATE INDEX i ON t(age, lower(name) DESC)");
}

#[test]
fn vacuum_and_the_schemas_changes_are_noticed_whenever_they_come() {
    for sql in [
        "DELETE FROM t WHERE id < 9; VACUUM",
        "ALTER TABLE t ADD COLUMN mail TEXT DEFAULT 'x'",
        "CREATE INDEX other ON t(name, age)",
        "CREATE UNIQUE INDEX other ON t(id, name)",
        "CREATE TRIGGER log AFTER UPDATE ON t BEGIN DELETE FROM t WHERE id = NEW.id + 1; END",
        "CREATE TABLE unrelated(x)",
    ] {
        let mut n = 0;
        loop {
            let file = small();
            let done = meddled(&file, n, || {
                file.execute(sql);
                file.execute(
                    "UPDATE t SET age = age + 1 WHERE id % 3 = 0; DELETE FROM t WHERE id = 30",
                );
            });
            match done {
                None => break,
                Some(at_once) => assert!(!at_once, "{sql} behind event {n}"),
            }
            n += 1;
        }
        assert!(n > 8, "{n} events");
    }
}

#[test]
fn writes_past_the_triggers_are_found_by_the_comparison() {
    let mut made_at_once = 0;
    for n in 0.. {
        let file = small();
        let done = meddled(&file, n, || {
            execute_past_triggers(
                &file.path(),
                "UPDATE t SET age = age + 1 WHERE id = 3; INSERT INTO t VALUES (100, 'new', 1); \
                 DELETE FROM t WHERE id = 7",
            );
        });
        match done {
            None => break,
            Some(at_once) => made_at_once += u32::from(at_once),
        }
    }
    // Before the rows are read nothing is lost on them, and behind the comparison nothing can be seen.
    assert!(made_at_once > 3, "{made_at_once} times");
}

#[test]
fn table_that_is_renamed_in_the_midst_is_found_by_its_new_name() {
    let file = small();
    let asked = index("i", &["name"]);
    let is_renamed = Cell::new(false);
    let outcome = add_beside(&file, &asked, &mut |event| {
        if matches!(event, Event::BatchDone { .. }) && !is_renamed.replace(true) {
            file.execute("ALTER TABLE t RENAME TO people");
        }
        ControlFlow::Continue(())
    });
    let Err(Error::NoSuchTable { nearest, .. }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(nearest, Some("people".into()));
    let mut asked = asked;
    asked.table = "people".into();
    add_beside(&file, &asked, &mut unobserved).unwrap();
    expect_index(&file, "i");
    assert_eq!(file.text("i"), "CREATE INDEX i ON people(name)");
}

#[test]
fn column_that_goes_in_the_midst_takes_the_index_along() {
    let file = small();
    let asked = index("i", &["age"]);
    let is_gone = Cell::new(false);
    let outcome = add_beside(&file, &asked, &mut |event| {
        if matches!(event, Event::BatchDone { .. }) && !is_gone.replace(true) {
            file.execute("ALTER TABLE t DROP COLUMN age");
        }
        ControlFlow::Continue(())
    });
    assert!(
        matches!(outcome, Err(Error::NotAnIndex { .. })),
        "{outcome:?}"
    );
    expect_none(&file, "i");
    file.execute("INSERT INTO t VALUES (1000, 'x')");
}

#[test]
fn verify_finds_what_an_index_lacks_and_what_it_has_too_much() {
    let file = small();
    add_beside(&file, &index("i", &["age"]), &mut unobserved).unwrap();
    // Rows are written while SQLite does not know the index, as a program might that tampers with the schema.
    file.execute(
        "PRAGMA writable_schema = ON;
         CREATE TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'i';
         DELETE FROM sqlite_schema WHERE name = 'i';",
    );
    file.execute("INSERT INTO t VALUES (500, 'x', 3); DELETE FROM t WHERE id IN (1, 2); UPDATE t SET age = 100 WHERE id = 5");
    file.execute(
        "PRAGMA writable_schema = ON;
         INSERT INTO sqlite_schema SELECT * FROM kept; DROP TABLE kept;",
    );
    let verified = open(&file.path(), Rebuilds::Auto).verify_index(&"i".into(), &mut unobserved);
    let Err(Error::IndexDiffers { faults, .. }) = verified else {
        panic!("{verified:?}");
    };
    assert_eq!(
        faults,
        [
            "it does not find 2 of the rows, for instance where id = 5; id = 500",
            "it has 40 entries for 39 rows"
        ]
    );
    assert_eq!(texts(&file.path(), "REINDEX i"), [""; 0]);
    expect_index(&file, "i");
}
