//! What others do to the schema in the middle of a change: it is carried through, or the change says what stands in its
//! way and touches nothing.

use std::cell::Cell;
use std::ops::ControlFlow;

use changeover::changeover::Repaired;
use changeover::request::{Verify, Winner};
use changeover::{Changeover, Event, Options, Phase, Result, unobserved};

use super::support::{Error, forget};
use super::twins::Twins;

pub(crate) const TABLE: &str = "CREATE TABLE people(k INTEGER PRIMARY KEY, name TEXT NOT NULL CHECK (name <> ''), age INT /* in years */);
    CREATE INDEX by_name ON people(name);
    CREATE TABLE seen(k, name);";

/// The rows have keys that SQLite may change.
pub(crate) const HIDDEN_KEYS: &str = "CREATE TABLE people(k INT, name TEXT NOT NULL, age INT);";

const ROWS: &str = "PRAGMA journal_mode = WAL;
    WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 9)
    INSERT INTO people(k, name) SELECT i, 'name ' || i FROM n;";

/// What applications write that know neither `k` nor `age`, and call the table `people`.
pub(crate) const WRITES: [&str; 3] = [
    "INSERT INTO people({name}) VALUES ('came as ' || {n})",
    "UPDATE people SET {name} = {name} || ' ' || {n} WHERE rowid % 3 = {n} % 3",
    "DELETE FROM people WHERE rowid = {n} % 12",
];

/// When somebody comes in between.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Moment {
    /// Before rows are copied.
    Expanded,
    /// While they are, and the copy is stopped then.
    Stopped,
    /// While they are.
    Copying,
    /// While both columns are written.
    Migrated,
}

const MOMENTS: [Moment; 4] = [
    Moment::Expanded,
    Moment::Stopped,
    Moment::Copying,
    Moment::Migrated,
];

/// Files on which somebody does something in the middle of the change; and what the data migration then came to, if it
/// was tried.
fn meddled(table: &str, moment: Moment, meddle: impl Fn(&Twins)) -> (Twins, Result<()>) {
    let twins = Twins::of(&format!("{table} {ROWS}")).writing(&WRITES);
    twins.apply(Phase::Expand).unwrap();
    if moment == Moment::Expanded {
        meddle(&twins);
        return (twins, Ok(()));
    }
    let batches = Cell::new(0);
    let mut observer = |event: &Event| {
        batches.set(batches.get() + u32::from(matches!(event, Event::BatchDone { .. })));
        if batches.get() == 2 && matches!(moment, Moment::Stopped | Moment::Copying) {
            batches.set(3);
            meddle(&twins);
            if moment == Moment::Stopped {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    };
    let outcome = match twins.observed(Phase::MigrateData, &mut observer) {
        Ok(_) | Err(Error::Stopped | Error::CalledOff) => Ok(()),
        Err(error) => Err(error),
    };
    if moment == Moment::Migrated {
        meddle(&twins);
    }
    (twins, outcome)
}

/// Whatever is done in the middle is there in the end, and there too when the change is undone.
#[track_caller]
fn is_carried(table: &str, moment: Moment, meddle: impl Fn(&Twins)) {
    let (twins, outcome) = meddled(table, moment, meddle);
    outcome.unwrap();
    twins.write();
    let (finished, undone) = (twins.copy().online(), twins.copy().online());
    let other = twins.copy();
    twins.finish();
    other.undo();
    finished.finish();
    undone.undo();
}

/// Tests that something done in the middle, to the file and to its twin, is carried through.
macro_rules! carry {
    ($($test:ident: $sql:expr;)+) => {
        $(
            #[test]
            fn $test() {
                for moment in MOMENTS {
                    is_carried(TABLE, moment, |twins| twins.alter($sql));
                }
            }
        )+
    };
}

carry! {
    column_is_added: "ALTER TABLE people ADD COLUMN mail TEXT";
    columns_are_added:
        "ALTER TABLE people ADD COLUMN a TEXT DEFAULT 'x, (y' NOT NULL;
         ALTER TABLE people ADD COLUMN b INT CHECK (b IN (1, 2)); ALTER TABLE people ADD COLUMN c AS (max(b, age))";
    column_is_renamed: "ALTER TABLE people RENAME COLUMN age TO years";
    key_is_renamed: "ALTER TABLE people RENAME COLUMN k TO id";
    column_is_dropped: "ALTER TABLE people DROP COLUMN age";
    columns_are_renamed_dropped_and_added:
        "ALTER TABLE people RENAME COLUMN k TO id; ALTER TABLE people DROP COLUMN age;
         ALTER TABLE people ADD COLUMN age REAL DEFAULT 1.5";
    table_is_renamed_to_and_fro: "ALTER TABLE people RENAME TO persons; ALTER TABLE persons RENAME TO people";
    indexes_are_made: "CREATE INDEX i ON people(age); CREATE INDEX j ON people({name}, age)";
    index_is_dropped: "DROP INDEX by_name";
    trigger_is_made:
        "CREATE TRIGGER t AFTER DELETE ON people BEGIN INSERT INTO seen VALUES (OLD.k, OLD.{name}); END";
    views_are_made: "CREATE VIEW v AS SELECT k, {name} FROM people; CREATE VIEW w AS SELECT * FROM people";
    children_are_made: "CREATE TABLE pets(owner REFERENCES people ON DELETE SET NULL, name); INSERT INTO pets VALUES (8, 'Rex')";
    another_table_is_renamed: "ALTER TABLE seen RENAME TO looked_at";
}

#[test]
fn hidden_keys_are_changed_by_a_vacuum() {
    for moment in MOMENTS {
        is_carried(HIDDEN_KEYS, moment, |twins| {
            twins.alter("DELETE FROM people WHERE k IN (0, 1, 5); VACUUM");
        });
    }
}

#[test]
fn table_that_was_renamed_is_followed_by_its_change() {
    for moment in MOMENTS {
        let rename = |twins: &Twins| twins.alter("ALTER TABLE people RENAME TO persons");
        let (mut twins, outcome) = meddled(TABLE, moment, rename);
        if moment == Moment::Copying {
            expect_hint(&outcome.unwrap_err(), "did you mean `persons`?");
        }
        let other = twins.copy();
        other.apply(Phase::Abort).unwrap();
        other.expect_aborted();
        if moment == Moment::Migrated {
            expect_hint(
                &twins.apply(Phase::Contract).unwrap_err(),
                "did you mean `persons`?",
            );
        }
        twins.change.table = "persons";
        // Stopped as soon as it has begun it still knows the table.
        let _ = twins.observed(Phase::MigrateData, &mut |_: &Event| ControlFlow::Break(()));
        for phase in [Phase::MigrateData, Phase::Contract] {
            twins.apply(phase).unwrap();
        }
        twins.expect_contracted();
    }
}

#[test]
fn what_cannot_be_carried_through_is_told_until_it_is_undone() {
    for (done, undone) in [
        (
            "ALTER TABLE people RENAME COLUMN name TO called",
            "ALTER TABLE people RENAME COLUMN called TO name",
        ),
        (
            "ALTER TABLE people RENAME COLUMN full_name TO called",
            "ALTER TABLE people RENAME COLUMN called TO full_name",
        ),
        (
            "ALTER TABLE people ADD CONSTRAINT grown CHECK (age > 17)",
            "ALTER TABLE people DROP CONSTRAINT grown",
        ),
    ] {
        let (twins, _) = meddled(TABLE, Moment::Migrated, |twins| twins.file.execute(done));
        for phase in [Phase::Contract, Phase::Abort] {
            let error = twins.apply(phase).unwrap_err();
            assert!(matches!(error, Error::TableChanged { .. }), "{error}");
            expect_hint(&error, "undo what was done to the table");
        }
        twins.file.execute(undone);
        let other = twins.copy();
        twins.finish();
        other.undo();
    }
}

#[test]
fn triggers_of_ours_that_were_dropped_while_rows_are_copied_are_made_again() {
    for moment in [Moment::Stopped, Moment::Copying] {
        let drop = |twins: &Twins| twins.file.execute("DROP TRIGGER _changeover_1_insert");
        let (twins, outcome) = meddled(TABLE, moment, drop);
        outcome.unwrap();
        twins.apply(Phase::MigrateData).unwrap();
        twins.finish();
    }
}

#[test]
fn rows_that_fell_out_of_step_without_our_triggers_are_told() {
    let (twins, _) = meddled(TABLE, Moment::Migrated, |twins| {
        twins.file.execute("DROP TRIGGER _changeover_1_update");
    });
    twins.execute("name", "UPDATE people SET {name} = 'another' WHERE k = 3");
    let error = twins.apply(Phase::Contract).unwrap_err();
    let text = error.to_string();
    assert!(
        text.ends_with("trigger `_changeover_1_update` is missing"),
        "{text}"
    );
    let repair = Verify {
        table: None,
        repair: true,
        winner: Some(Winner::Old),
        index: None,
    };
    let mut changeover = Changeover::open(&twins.file.path(), Options::default()).unwrap();
    let verified = changeover.verify(&repair, &mut unobserved).unwrap();
    assert_eq!(
        verified[0].repaired,
        Some(Repaired {
            triggers: 1,
            rows: 1
        })
    );
    drop(changeover);
    twins.apply(Phase::Contract).unwrap();
    twins.expect_contracted();
}

#[test]
fn what_the_ledger_keeps_of_a_run_may_get_lost() {
    for table in ["_changeover_runs", "_changeover_cursor"] {
        for moment in MOMENTS {
            let delete = |twins: &Twins| twins.file.execute(&format!("DELETE FROM {table}"));
            let (twins, outcome) = meddled(TABLE, moment, delete);
            if moment == Moment::Copying && table == "_changeover_runs" {
                assert!(matches!(outcome, Err(Error::TakenOver)), "{outcome:?}");
            }
            let other = twins.copy();
            twins.finish();
            other.undo();
        }
    }
}

#[test]
fn ledger_of_an_open_change_is_not_forgotten() {
    for moment in MOMENTS {
        let (twins, _) = meddled(TABLE, moment, |twins| {
            let outcome = forget(&twins.file);
            assert!(matches!(outcome, Err(Error::ForgetOpen(_))), "{outcome:?}");
        });
        twins.finish();
    }
}

#[track_caller]
fn expect_hint(error: &Error, words: &str) {
    let hint = error.hint().unwrap_or_default();
    assert!(hint.contains(words), "{error}, {hint}");
}
