//! The rebuild in many transactions: what others do in the midst of it, what is left of it, and when it is chosen.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::path::Path;

use changeover::changeover::Rebuilds;
use changeover::{Event, Phase, Result, State};

use super::oracle::{Portrait, differences_since};
use super::process::{Folder, execute_past_triggers, number, texts, words};
use super::strangers::{HIDDEN_KEYS, TABLE, WRITES};
use super::support::{Change, Error, File, change, forget};
use super::twins::Twins;

const ROWS: &str = "PRAGMA journal_mode = WAL;
    WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 40)
    INSERT INTO people(k, name) SELECT i, 'name ' || i FROM n;";

/// What the rebuild has in the file.
const OURS: &str =
    "SELECT count(*) FROM sqlite_schema WHERE name LIKE '\\_changeover\\_1\\_%' ESCAPE '\\'";

const PHASES: [Phase; 2] = [Phase::Contract, Phase::Abort];

/// A change that is migrated, and ends online.
fn migrated(table: &str) -> Twins {
    let mut twins = Twins::of(&format!("{table} {ROWS}"))
        .writing(&WRITES)
        .online();
    twins.change.batch_rows = 5;
    twins.apply(Phase::Expand).unwrap();
    twins.change.migrate_data(&twins.file).unwrap();
    twins
}

/// The phase, with somebody who does something in the midst of the copy. Returns how often something was copied or removed
/// in batches.
fn meddled(twins: &Twins, phase: Phase, meddle: impl Fn(&Twins)) -> Result<u32> {
    let (batches, walks) = (Cell::new(0), Cell::new(0));
    let outcome = twins.observed(phase, &mut |event: &Event| {
        walks.set(walks.get() + u32::from(matches!(event, Event::BackfillStarted { .. })));
        batches.set(batches.get() + u32::from(matches!(event, Event::BatchDone { .. })));
        if batches.get() == 3 {
            batches.set(4);
            meddle(twins);
        }
        twins.write();
        ControlFlow::Continue(())
    });
    outcome.map(|_| walks.get())
}

#[track_caller]
fn expect_done(twins: &Twins, phase: Phase) {
    match phase {
        Phase::Abort => twins.expect_aborted(),
        _ => twins.expect_contracted(),
    }
}

#[test]
fn nothing_is_begun_anew_where_nobody_meddles() {
    for phase in PHASES {
        for table in [TABLE, HIDDEN_KEYS] {
            let twins = migrated(table);
            assert_eq!(meddled(&twins, phase, |_| {}).unwrap(), 2);
            expect_done(&twins, phase);
        }
    }
}

#[test]
fn rows_that_a_vacuum_gives_other_rowids_are_copied_anew() {
    for phase in PHASES {
        let twins = migrated(HIDDEN_KEYS);
        let vacuum = "DELETE FROM people WHERE k IN (0, 1, 5, 22); VACUUM";
        let walks = meddled(&twins, phase, |twins| twins.alter(vacuum)).unwrap();
        assert!(walks > 2, "{walks}");
        expect_done(&twins, phase);
    }
}

#[test]
fn vacuum_while_the_copy_rests_is_noticed_too() {
    for phase in PHASES {
        let twins = migrated(HIDDEN_KEYS);
        let batches = Cell::new(0);
        let stopped = twins.observed(phase, &mut |event: &Event| {
            batches.set(batches.get() + u32::from(matches!(event, Event::BatchDone { .. })));
            match batches.get() {
                3 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
        twins.alter("DELETE FROM people WHERE k IN (0, 1, 5, 22); VACUUM");
        twins.apply_under_writes(phase);
        expect_done(&twins, phase);
    }
}

#[test]
fn what_others_do_to_the_schema_is_carried_through() {
    for sql in [
        "ALTER TABLE people ADD COLUMN mail TEXT DEFAULT 'x' NOT NULL",
        "ALTER TABLE people RENAME COLUMN age TO years",
        "ALTER TABLE people RENAME COLUMN k TO id",
        "ALTER TABLE people DROP COLUMN age",
        "CREATE INDEX i ON people(age, {name} DESC)",
        "CREATE UNIQUE INDEX i ON people(k, lower({name})) WHERE k > 3",
        "DROP INDEX by_name",
        "CREATE TRIGGER t AFTER DELETE ON people BEGIN INSERT INTO seen VALUES (OLD.k, OLD.{name}); END",
        "CREATE VIEW v AS SELECT k, {name} FROM people; CREATE VIEW w AS SELECT * FROM people",
        "CREATE TABLE pets(owner REFERENCES people ON DELETE SET NULL); INSERT INTO pets VALUES (NULL)",
        "ALTER TABLE seen RENAME TO looked_at",
        "ALTER TABLE people RENAME TO persons; ALTER TABLE persons RENAME TO people",
        "CREATE TABLE other(x); DROP TABLE other",
        "VACUUM",
    ] {
        for phase in PHASES {
            let twins = migrated(TABLE);
            if let Err(error) = meddled(&twins, phase, |twins| twins.alter(sql)) {
                panic!("{phase}, {sql}: {error}");
            }
            expect_done(&twins, phase);
        }
    }
}

#[test]
fn table_that_is_renamed_in_the_midst_is_found_by_its_new_name() {
    for phase in PHASES {
        let mut twins = migrated(TABLE);
        let is_renamed = Cell::new(false);
        let outcome = twins.observed(phase, &mut |event: &Event| {
            if matches!(event, Event::BatchDone { .. }) && !is_renamed.replace(true) {
                twins.alter("ALTER TABLE people RENAME TO persons");
            }
            ControlFlow::Continue(())
        });
        if phase == Phase::Contract {
            let error = outcome.unwrap_err();
            assert_eq!(error.hint().unwrap(), "did you mean `persons`?");
        }
        twins.change.table = "persons";
        twins.apply(phase).unwrap();
        expect_done(&twins, phase);
    }
}

#[test]
fn triggers_of_ours_that_are_dropped_in_the_midst_are_noticed() {
    for phase in PHASES {
        let twins = migrated(TABLE);
        let drop = "DROP TRIGGER _changeover_1_noted_before_update";
        let walks = meddled(&twins, phase, |twins| {
            twins.file.execute(drop);
            twins.execute("name", "UPDATE people SET {name} = 'unseen' WHERE k = 2");
        });
        assert!(walks.unwrap() > 2);
        expect_done(&twins, phase);
    }
}

/// A contract that was killed behind the cutover.
fn cut_over() -> Twins {
    let twins = migrated(TABLE);
    let stopped = twins.observed(Phase::Contract, &mut |event: &Event| match event {
        Event::CutOver { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    assert_eq!(twins.state(), Some(State::Contracted));
    assert!(number(&twins.file.path(), OURS) > 0);
    twins
}

#[test]
fn old_content_that_a_kill_has_left_goes_with_the_next_phase() {
    let next: [fn(&Twins) -> Result<()>; 4] = [
        |twins| twins.apply(Phase::Contract).map(drop),
        |twins| {
            change("seen", "name", "called")
                .expand(&twins.file)
                .map(drop)
        },
        |twins| {
            change("people", "full_name", "name")
                .expand(&twins.file)
                .map(drop)
        },
        |twins| forget(&twins.file),
    ];
    for go_on in next {
        let twins = cut_over();
        twins.write();
        let copy = twins.copy();
        copy.apply(Phase::Contract).unwrap();
        copy.expect_contracted();
        go_on(&twins).unwrap();
        assert_eq!(number(&twins.file.path(), OURS), 0);
    }
}

/// Every index of the table, and where its content begins.
fn roots(db: &Path) -> Vec<String> {
    texts(
        db,
        "SELECT name || ' at ' || rootpage FROM sqlite_schema
         WHERE type = 'index' AND tbl_name = 'people' AND name NOT LIKE '\\_changeover%' ESCAPE '\\' ORDER BY name",
    )
}

#[test]
fn indexes_stay_where_they_are() {
    for phase in PHASES {
        let twins = migrated(
            "CREATE TABLE people(k INT UNIQUE, name TEXT, age INT, PRIMARY KEY (name, k));
             CREATE INDEX by_name ON people(name COLLATE NOCASE DESC) WHERE name > 'b';
             CREATE INDEX by_length ON people(length(name), age);",
        );
        let before = roots(&twins.file.path());
        assert_eq!(before.len(), 4);
        twins.apply(phase).unwrap();
        assert_eq!(roots(&twins.file.path()), before);
        expect_done(&twins, phase);
    }
}

#[test]
fn what_cannot_be_done_online_is_refused_or_done_at_once() {
    let file = File::of(
        "CREATE TABLE t(name TEXT, rowid INT, oid INT, _rowid_ INT); INSERT INTO t VALUES ('a', 3, 2, 1), ('b', 1, 1, 1)",
    );
    let online = change("t", "name", "full_name").untold().online();
    let at_once = Change {
        rebuilds: Rebuilds::Auto,
        ..online
    };
    let before = Portrait::of(&file);
    online.expand(&file).unwrap();
    let bytes = file.bytes();
    let error = online.abort(&file).unwrap_err();
    let told = "table `t` cannot be rebuilt online: three of its columns have the names by which rowids are found";
    assert!(error.to_string().ends_with(told), "{error}");
    assert!(file.bytes() == bytes);
    at_once.abort(&file).unwrap();
    assert_eq!(differences_since(&before, &file), [""; 0]);
}

#[test]
fn row_that_is_replaced_by_a_default_in_an_expression_is_noticed() {
    let setup = "UPDATE people SET age = k + 495; CREATE UNIQUE INDEX few ON people(age + 0)";
    let replace = "INSERT OR REPLACE INTO people(k, {name}, age) VALUES (77, 'new', NULL)";
    for phase in PHASES {
        let twins = migrated(
            "CREATE TABLE people(k INTEGER PRIMARY KEY, name TEXT, age INT NOT NULL DEFAULT 500);",
        );
        twins.alter(setup);
        let is_replaced = Cell::new(false);
        let outcome = twins.observed(phase, &mut |event: &Event| {
            if matches!(event, Event::BackfillDone { .. }) && !is_replaced.replace(true) {
                twins.alter(replace);
            }
            ControlFlow::Continue(())
        });
        outcome.unwrap();
        expect_done(&twins, phase);
    }
}

#[test]
fn value_that_turns_into_its_equal_is_carried_too() {
    for phase in PHASES {
        let twins = migrated(
            "CREATE TABLE people(k TEXT COLLATE NOCASE PRIMARY KEY, name TEXT, age) WITHOUT ROWID;",
        );
        twins.alter(
            "INSERT INTO people(k, name, age) VALUES ('!a', 'first', 0.0), ('!b', 'second', 1)",
        );
        let is_written = Cell::new(false);
        let outcome = twins.observed(phase, &mut |event: &Event| {
            if matches!(event, Event::BatchDone { .. }) && !is_written.replace(true) {
                twins.alter("UPDATE people SET age = -0.0 WHERE k = '!a'");
                twins.alter("UPDATE people SET k = '!B', age = 1.0 WHERE k = '!b'");
            }
            ControlFlow::Continue(())
        });
        outcome.unwrap();
        expect_done(&twins, phase);
    }
}

#[test]
fn unique_key_that_nothing_tells_before_a_row_is_written_is_refused() {
    const REFUSED: [&str; 5] = [
        "CREATE UNIQUE INDEX i ON people(age, e)",
        "CREATE UNIQUE INDEX i ON people(age, name || k)",
        "CREATE UNIQUE INDEX i ON people(age, c)",
        "CREATE UNIQUE INDEX i ON people(age, d)",
        "CREATE UNIQUE INDEX i ON people(age, d + 1)",
    ];
    const TAKEN: [&str; 3] = [
        "CREATE UNIQUE INDEX i ON people(age, k)",
        "CREATE UNIQUE INDEX i ON people(age, age / 2) WHERE k > 2",
        "CREATE INDEX i ON people(c, d, k + 1)",
    ];
    for (index, is_taken) in REFUSED
        .map(|it| (it, false))
        .into_iter()
        .chain(TAKEN.map(|it| (it, true)))
    {
        let twins = migrated(
            "CREATE TABLE people(k INTEGER PRIMARY KEY, name TEXT, age INT, size INT NOT NULL DEFAULT 3,
                                 c AS (k + age), d AS (size + 1), e AS (age + 1) STORED);",
        );
        twins.alter(index);
        for phase in PHASES {
            let mut twins = twins.copy();
            match twins.apply(phase) {
                Ok(_) => assert!(is_taken, "{index}"),
                Err(error) => {
                    assert!(!is_taken, "{index}: {error}");
                    let told = "what its unique index `i` holds of a row is not known before the row is written";
                    assert!(error.to_string().ends_with(told), "{error}");
                    twins.change.rebuilds = Rebuilds::Auto;
                    twins.apply(phase).unwrap();
                }
            }
            expect_done(&twins, phase);
        }
    }
}

#[test]
fn children_follow_the_rows_that_a_winner_settles() {
    let folder = Folder::new();
    let db = folder.made(
        "CREATE TABLE t(name TEXT UNIQUE); INSERT INTO t VALUES ('a'), ('b'), ('e');
         CREATE TABLE child(name REFERENCES t(name) ON UPDATE CASCADE); INSERT INTO child VALUES ('a'), ('b')",
    );
    words(&db, "expand t code --from name").done();
    words(&db, "migrate-data name code").done();
    execute_past_triggers(
        &db,
        "DROP INDEX _changeover_1_index_1; UPDATE t SET code = 'b' WHERE name = 'e'",
    );
    let contract = "contract t name --online always --winner new";
    let sentence = "the rows do not allow it: UNIQUE constraint failed: t.name";
    words(&db, contract).failed(3, sentence);
    execute_past_triggers(
        &db,
        "UPDATE t SET code = 'c' WHERE name = 'a'; UPDATE t SET code = 'd' WHERE name = 'e'",
    );
    words(&db, contract).done();
    assert_eq!(texts(&db, "SELECT code FROM t"), ["c", "b", "d"]);
    assert_eq!(texts(&db, "SELECT name FROM child"), ["c", "b"]);
    assert_eq!(
        number(&db, "SELECT count(*) FROM pragma_foreign_key_check"),
        0
    );
}

#[test]
fn plan_says_which_way_and_why() {
    let folder = Folder::new();
    let db = folder.seeded(2000);
    words(&db, "expand users full_name --from name").done();
    words(&db, "migrate-data name full_name").done();
    let online = "`users` is rebuilt online, in transactions of a few milliseconds";
    let why = "in one it would hold the write lock for more than";
    for phase in ["contract users name", "abort users"] {
        let plan = |how: &str| words(&db, &format!("plan {phase} {how}")).done().stdout;
        for at_once in [
            "",
            "--max-hold 1000",
            "--online never",
            "--online never --max-hold 0",
        ] {
            assert!(!plan(at_once).contains("online"), "{at_once}");
        }
        for (long, most) in [("--max-hold 0", "0ns"), ("--max-hold 0.1", "100µs")] {
            let plan = plan(long);
            assert!(plan.contains(online), "{plan}");
            assert!(
                plan.contains(&format!("{why} {most}; meanwhile that takes up to")),
                "{plan}"
            );
        }
        let plan = plan("--online always");
        assert!(plan.contains(online) && !plan.contains(why), "{plan}");
    }
}

#[test]
fn large_rows_and_large_pages_take_long_too() {
    for (page, rows, size) in [(4096, 100, 1 << 20), (65536, 10_000, 4096)] {
        let folder = Folder::new();
        let db = folder.made(&format!(
            "PRAGMA page_size = {page}; CREATE TABLE users (name TEXT, picture BLOB);
             WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO users SELECT 'name ' || i, zeroblob({size}) FROM n"
        ));
        words(&db, "expand users full_name --from name").done();
        words(&db, "migrate-data name full_name").done();
        let plan = words(&db, "plan contract users name").done().stdout;
        assert!(plan.contains("rebuilt online"), "{page}: {plan}");
    }
}

#[test]
fn phase_that_was_begun_online_goes_on_so_or_ends_at_once() {
    for (rebuilds, walks) in [(Rebuilds::Auto, 2), (Rebuilds::AtOnce, 1)] {
        for phase in PHASES {
            let mut twins = migrated(TABLE);
            let stopped = twins.observed(phase, &mut |event: &Event| match event {
                Event::BatchDone { .. } => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            });
            assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
            twins.write();
            twins.change.rebuilds = rebuilds;
            assert_eq!(meddled(&twins, phase, |_| {}).unwrap(), walks);
            expect_done(&twins, phase);
        }
    }
}
