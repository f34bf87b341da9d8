//! A contract that holds the old column, and its undoing.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;

use changeover::changeover::Rebuilds;
use changeover::{Event, Phase, State};
use rusqlite::Connection;

use super::process::{
    Folder, await_end, execute, expect_error, number, on, poll, reply, start, texts, unchanged,
    words,
};
use super::stops::{TABLES, some_of_each_kind};
use super::strangers::{TABLE, WRITES};
use super::support::Error;
use super::twins::Twins;

/// More tables whose rows are told apart in different ways, each with what hangs on a table.
const MORE_TABLES: [&str; 3] = [
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
    let tables = TABLES.iter().chain(&MORE_TABLES);
    tables.enumerate().flat_map(twins)
}

fn held() -> impl Iterator<Item = Twins> {
    migrated().inspect(|twins| {
        twins.apply(Phase::Hold).unwrap();
        assert_eq!(twins.state(), Some(State::Held));
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

/// Some of the moments at which a phase can be stopped while applications write: of each kind of event the first, the second and the last.
fn moments(twins: &Twins, phase: Phase) -> BTreeSet<usize> {
    let mut events = Vec::new();
    let outcome = twins.observed(phase, &mut |event: &Event| {
        twins.write();
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
            let old_content =
                "SELECT count(*) FROM sqlite_schema WHERE name = '_changeover_1_shadow'";
            assert_eq!(number(&twins.file.path(), old_content), 0);
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

/// Twins of a table with a column of every kind of constraint whose old column is held.
fn held_among_strangers() -> [Twins; 2] {
    let twins = Twins::of(&format!("PRAGMA journal_mode = WAL; {TABLE} {ROWS}"));
    let twins = twins.writing(&WRITES);
    for phase in [Phase::Expand, Phase::MigrateData, Phase::Hold] {
        twins.apply(phase).unwrap();
    }
    let mut online = twins.copy().online();
    online.change.batch_rows = 4;
    [twins, online]
}

#[test]
fn what_others_do_to_the_schema_meanwhile_is_carried_through() {
    for sql in [
        "ALTER TABLE people ADD COLUMN mail TEXT DEFAULT 'x' NOT NULL",
        "ALTER TABLE people RENAME COLUMN age TO years; ALTER TABLE people ADD COLUMN b CHECK (b > 1)",
        "ALTER TABLE people DROP COLUMN age",
        "CREATE INDEX i ON people(age)",
        "CREATE TRIGGER t AFTER DELETE ON people BEGIN INSERT INTO seen(k) VALUES (OLD.k); END",
        "CREATE TABLE pets(owner REFERENCES people ON DELETE SET NULL); INSERT INTO pets VALUES (7)",
        "DROP INDEX by_name",
        "VACUUM",
    ] {
        for twins in held_among_strangers() {
            twins.alter(sql);
            twins.write();
            let other = twins.copy();
            twins.apply(Phase::Contract).unwrap();
            twins.expect_contracted();
            other.apply_under_writes(Phase::Undo);
            other.write();
            let again = other.copy();
            again.finish();
            assert!(other.undo(), "{sql}");
        }
    }
}

#[test]
fn what_others_make_of_the_new_name_stays_and_is_in_the_way_of_abort_alone() {
    for twins in held_among_strangers() {
        twins.file.execute(
            "CREATE INDEX theirs ON people(full_name, k); CREATE VIEW v AS SELECT full_name FROM people",
        );
        twins.apply(Phase::Undo).unwrap();
        twins.write();
        expect_alike(&twins.file.application());
        let error = twins.apply(Phase::Abort).unwrap_err().to_string();
        for named in [
            "index `theirs` uses `full_name`",
            "view `v` uses `full_name`",
        ] {
            assert!(error.contains(named), "{error}");
        }
        twins.file.execute("DROP INDEX theirs; DROP VIEW v");
        assert!(twins.undo());
    }
}

#[test]
fn what_others_make_of_the_old_name_is_in_the_way_of_its_removal_alone() {
    for twins in held_among_strangers() {
        twins.alter(
            "CREATE INDEX theirs ON people(name, age); CREATE VIEW v AS SELECT name FROM people",
        );
        let error = twins.apply(Phase::Contract).unwrap_err().to_string();
        for named in ["index `theirs` uses `name`", "view `v` uses `name`"] {
            assert!(error.contains(named), "{error}");
        }
        twins.apply(Phase::Undo).unwrap();
        twins.write();
        assert!(twins.undo());
    }
}

#[test]
fn column_that_others_rename_drop_or_make_anew_is_not_taken_for_the_held_one() {
    for (sql, is_gone) in [
        ("ALTER TABLE people RENAME COLUMN name TO called", false),
        (
            "ALTER TABLE people RENAME COLUMN full_name TO called",
            false,
        ),
        (
            "ALTER TABLE people DROP COLUMN name; ALTER TABLE people ADD COLUMN name TEXT",
            false,
        ),
        (
            "ALTER TABLE people ADD CONSTRAINT grown CHECK (age > 17)",
            false,
        ),
        ("ALTER TABLE people DROP COLUMN name", true),
    ] {
        for twins in held_among_strangers() {
            twins.file.execute(sql);
            let before = twins.file.text("people");
            let error = twins.apply(Phase::Undo).unwrap_err();
            let is_told = matches!(
                error,
                Error::TableChanged { .. } | Error::NoSuchColumn { .. }
            );
            assert!(is_told, "{sql}: {error}");
            assert_eq!(twins.file.text("people"), before);
            if is_gone {
                twins.apply(Phase::Contract).unwrap();
                twins.expect_contracted();
            }
        }
    }
}

#[test]
fn table_that_is_renamed_is_followed() {
    for mut twins in held_among_strangers() {
        twins.alter("DROP INDEX by_name; ALTER TABLE people RENAME TO persons");
        twins.change.table = "persons";
        let back = twins.copy();
        twins.apply(Phase::Contract).unwrap();
        twins.expect_contracted();
        back.apply(Phase::Undo).unwrap();
        back.apply(Phase::Abort).unwrap();
        back.expect_aborted();
    }
}

/// A file with a change that is migrated.
fn file_with(folder: &Folder, table: &str, migrate: &str) -> PathBuf {
    let db = folder.made(&format!(
        "{table}; INSERT INTO t(name) VALUES ('12'), ('b '), ('C')"
    ));
    words(&db, "expand t called --from name").done();
    words(&db, &format!("migrate-data name called {migrate}")).done();
    db
}

const HOLD: &str = "contract t name --quiet-for 0 --hold 1h";

#[test]
fn values_that_are_mapped_can_be_read_and_brought_back() {
    let folder = Folder::new();
    let table = "CREATE TABLE t(k INTEGER PRIMARY KEY, name TEXT)";
    let db = file_with(&folder, table, "--up upper(name) --down lower(called)");
    words(&db, HOLD).done();
    execute(&db, "INSERT INTO t(called) VALUES ('NEW')");
    let names = ["12", "b ", "c", "new"];
    assert_eq!(texts(&db, "SELECT name FROM t"), names);
    words(&db, "undo t").done();
    words(&db, "verify t").done();
    assert_eq!(texts(&db, "SELECT name FROM t"), names);
    execute(&db, "INSERT INTO t(name) VALUES ('old')");
    assert_eq!(texts(&db, "SELECT called FROM t WHERE k = 5"), ["OLD"]);
    words(&db, "abort t").done();
}

#[test]
fn key_can_be_held_where_both_columns_are_written() {
    for online in ["never", "auto --max-hold 0"] {
        for table in [
            "CREATE TABLE t(name TEXT PRIMARY KEY, n INT) WITHOUT ROWID",
            "CREATE TABLE t(n INT, name TEXT COLLATE NOCASE, PRIMARY KEY(name))",
        ] {
            let folder = Folder::new();
            let db = file_with(&folder, table, "--write-both");
            let before = texts(&db, "SELECT text_before FROM _changeover_changes");
            // Beside the key it holds nothing, or both columns, as the one or the other is the key.
            execute(&db, "CREATE INDEX theirs ON t(called)");
            words(&db, &format!("{HOLD} --online {online}")).done();
            execute(&db, "INSERT INTO t(called) VALUES ('new')");
            assert_eq!(texts(&db, "PRAGMA integrity_check"), ["ok"]);
            words(&db, "undo t --online auto --max-hold 0").done();
            words(&db, "verify t").done();
            execute(&db, "INSERT INTO t(name, called) VALUES ('both', 'both')");
            assert_eq!(texts(&db, "PRAGMA integrity_check"), ["ok"]);
            execute(&db, "DROP INDEX theirs");
            words(&db, &format!("abort t --online {online}")).done();
            assert_eq!(
                texts(&db, "SELECT sql FROM sqlite_schema WHERE name = 't'"),
                before
            );
            let names = ["12", "C", "b ", "both", "new"];
            assert_eq!(
                texts(&db, "SELECT name FROM t ORDER BY CAST(name AS BLOB)"),
                names
            );
        }
    }
}

#[test]
fn what_cannot_be_held_is_refused() {
    let folder = Folder::new();
    let strict = "CREATE TABLE t(k INTEGER PRIMARY KEY, name TEXT) STRICT";
    let db = file_with(&folder, strict, "--up upper(name) --down lower(called)");
    let sentence = "`name` cannot be held: the table is STRICT";
    unchanged(&db, || words(&db, HOLD).failed(3, sentence));
    let folder = Folder::new();
    let db = file_with(
        &folder,
        "CREATE TABLE t(name TEXT); CREATE TABLE kept(it)",
        "",
    );
    execute(
        &db,
        "CREATE TRIGGER keep AFTER DELETE ON t BEGIN INSERT INTO kept SELECT * FROM t; END",
    );
    let sentence = "contract with a hold would break what is in the file:\n  - trigger `keep` would fail: table kept has 1 columns but 2 values were supplied";
    unchanged(&db, || words(&db, HOLD).failed(3, sentence));
    words(&db, "contract t name --quiet-for 0").done();
}

#[test]
fn hold_is_for_a_second_to_a_year() {
    let folder = Folder::new();
    let db = file_with(&folder, "CREATE TABLE t(name TEXT)", "");
    for time in ["0", "0.5", "9000h", "8766000h", "1e300", "soon", "-1"] {
        unchanged(&db, || {
            words(&db, &format!("contract t name --hold={time}")).failed(2, "--hold")
        });
    }
    for time in ["0", "-1", "0.5", "1e10", "\"1h\"", "true"] {
        let message = format!(
            r#"{{"type": "migrate", "phase": "contract", "table": "t", "remove_column": "name", "hold": {time}}}"#
        );
        unchanged(&db, || expect_error(&reply(&db, &message), 12, "hold"));
    }
    let both = r#"{"type": "migrate", "phase": "contract", "table": "t", "remove_column": "name", "hold": 9, "now": true}"#;
    expect_error(
        &reply(&db, both),
        12,
        "`hold` begins a hold, and `now` ends one",
    );
}

#[test]
fn column_is_held_until_its_time_is_over_or_now() {
    let folder = Folder::new();
    let db = file_with(&folder, "CREATE TABLE t(name TEXT); CREATE TABLE u(a)", "");
    words(&db, "undo t").failed(3, "table `t` has no contract that holds the old column");
    words(&db, HOLD).done();
    let contract = "contract t name --quiet-for 0";
    for (line, sentence) in [
        (
            contract,
            "column `name` of table `t` is held for 60 min more",
        ),
        (
            "abort t",
            "the contract of table `t` must be undone first: the change is held",
        ),
        (
            "expand t other",
            "table `t` has an open change: `called` is held",
        ),
        ("forget", "the file has an open change on table `t`"),
        (
            "verify t",
            "table `t` has no open change whose data migration has begun",
        ),
        (
            "undo u",
            "table `u` has no contract that holds the old column",
        ),
    ] {
        unchanged(&db, || words(&db, line).failed(3, sentence));
    }
    for line in [
        "plan undo t",
        "undo t --dry-run",
        "contract t name --now --dry-run",
    ] {
        unchanged(&db, || words(&db, line).done());
    }
    // What was asked for and done is answered again, and nothing else holds up another table.
    let again = words(&db, HOLD).done().stdout;
    assert!(again.starts_with("version 3  hold_name_column"), "{again}");
    words(&db, "expand u b --from a").done();
    let over = "UPDATE _changeover_changes SET held_until = held_until - 3600000 WHERE id = 1";
    execute(&db, over);
    let status = words(&db, "status").done().stdout;
    assert!(
        status.contains("the hold has ended, to bring it back"),
        "{status}"
    );
    words(&db, "instance register web-1 --version 1").done();
    words(&db, contract).failed(3, "instance `web-1` knows version 1");
    words(&db, "instance retire web-1").done();
    words(&db, contract).done();
    assert_eq!(number(&db, "SELECT count(*) FROM _changeover_texts"), 0);
    let text = "CREATE TABLE t(called TEXT)";
    assert_eq!(
        texts(&db, "SELECT sql FROM sqlite_schema WHERE name = 't'"),
        [text]
    );
}

#[test]
fn undo_that_is_killed_goes_on() {
    let folder = Folder::new();
    let db = folder.seeded(20_000);
    execute(
        &db,
        "PRAGMA journal_mode = WAL; CREATE INDEX by_name ON users(name)",
    );
    let original = texts(&db, "SELECT sql FROM sqlite_schema ORDER BY rowid");
    words(&db, "expand users full_name --from name").done();
    words(&db, "migrate-data name full_name").done();
    words(&db, "contract users name --hold 1h").done();
    execute(
        &db,
        "UPDATE users SET full_name = full_name || '!' WHERE rowid % 7 = 0",
    );
    let names = texts(&db, "SELECT full_name FROM users ORDER BY rowid");
    let undo = ["undo", "users", "--online", "always", "--batch-rows", "50"];
    let mut child = start(on(&db).args(undo));
    let is_copying = "SELECT 'yes' FROM _changeover_changes WHERE state = 'undoing'
        AND EXISTS (SELECT 1 FROM _changeover_runs WHERE rows_passed > 0)
        AND EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_changeover_1_shadow')";
    poll("rows are copied", || texts(&db, is_copying).pop());
    child.kill().unwrap();
    await_end(child, b"");
    assert_eq!(
        texts(&db, "SELECT state FROM _changeover_changes"),
        ["undoing"]
    );
    execute(
        &db,
        "UPDATE users SET full_name = 'after the kill' WHERE rowid = 3",
    );
    words(&db, "undo users").done();
    words(&db, "verify users").done();
    let now = texts(&db, "SELECT name FROM users ORDER BY rowid");
    assert_eq!(
        (now.len(), now[2].as_str()),
        (names.len(), "after the kill")
    );
    assert_eq!(now[3..], names[3..]);
    words(&db, "abort users").done();
    let ours = "name NOT LIKE '\\_changeover%' ESCAPE '\\' AND tbl_name NOT LIKE '\\_changeover%' ESCAPE '\\'";
    let text = format!("SELECT sql FROM sqlite_schema WHERE {ours} ORDER BY rowid");
    assert_eq!(texts(&db, &text), original);
}
