//! The terms on which columns are kept in step: expressions for values that do not stay as they are, and new
//! applications that write both columns.

use std::path::PathBuf;

use crate::process::{
    Folder, Ran, execute, expect_error, number, on, open, poll, reply, run, start, texts,
    unchanged, words,
};

/// A table that is expanded.
fn expanded(folder: &Folder, sql: &str, typed: &str) -> PathBuf {
    let db = folder.made(sql);
    words(&db, &format!("expand t new --from old {typed}")).done();
    db
}

/// A data migration by expressions.
fn migrate(db: &std::path::Path, up: &str, down: &str) -> Ran {
    let words = ["migrate-data", "old", "new", "--up", up, "--down", down];
    run(db, words)
}

/// Old and new value of every row.
fn rows(db: &std::path::Path) -> Vec<String> {
    texts(
        db,
        "SELECT ifnull(old, '-') || ':' || ifnull(new, '-') FROM t ORDER BY id",
    )
}

const TABLE: &str = "CREATE TABLE t(id INTEGER PRIMARY KEY, old TEXT NOT NULL);
     INSERT INTO t(old) VALUES (' a '), ('B'), ('')";

#[test]
fn values_are_mapped_both_ways_until_contract() {
    // up, down, the copied rows, what an old application's ' x ' and a new one's 'Y' become.
    let cases = [
        ("trim(old)", "new", [" a :a", "B:B", ":"], " x :x", "Y:Y"),
        (
            "upper(old)",
            "lower(new)",
            [" a : A ", "B:B", ":"],
            " x : X ",
            "y:Y",
        ),
        (
            "nullif(old, '')",
            "ifnull(new, '')",
            [" a : a ", "B:B", ":-"],
            " x : x ",
            "Y:Y",
        ),
        (
            "'<' || old || '>'",
            "trim(new, '<>')",
            [" a :< a >", "B:<B>", ":<>"],
            " x :< x >",
            "Y:Y",
        ),
    ];
    for ((up, down, copied, by_old, by_new), online) in cases
        .into_iter()
        .flat_map(|case| ["never", "always"].map(|online| (case, online)))
    {
        let folder = Folder::new();
        // Where the new value may be NULL, so must the old one.
        let table = if up.starts_with("nullif") {
            TABLE.replace(" NOT NULL", "")
        } else {
            TABLE.to_owned()
        };
        let db = expanded(&folder, &table, "");
        let ran = migrate(&db, up, down).done();
        assert!(ran.stdout.contains("rows migrated"), "{ran:?}");
        assert_eq!(rows(&db), copied, "{up}");
        execute(
            &db,
            "INSERT INTO t(old) VALUES (' x '); INSERT INTO t(new) VALUES ('Y')",
        );
        assert_eq!(rows(&db)[3..], [by_old, by_new], "{up}");
        execute(
            &db,
            "UPDATE t SET old = ' x ' WHERE id = 2; UPDATE t SET new = 'Y' WHERE id = 1",
        );
        assert_eq!(rows(&db)[..2], [by_new, by_old], "{up}");
        words(&db, "verify").done();
        words(
            &db,
            &format!("contract t old --quiet-for 0 --online {online}"),
        )
        .done();
        let new = |row: &str| row.split(':').nth(1).unwrap().replace('-', "");
        assert_eq!(
            texts(
                &db,
                "SELECT ifnull(new, '') FROM t WHERE id IN (1, 2) ORDER BY id"
            ),
            [new(by_new), new(by_old)]
        );
    }
}

#[test]
fn expressions_come_in_messages_too() {
    let folder = Folder::new();
    let db = expanded(&folder, TABLE, "");
    let message = r#"{"type": "migrate", "phase": "migrate_data", "from": "old", "to": "new", "up": "trim(old)", "down": "new"}"#;
    assert_eq!(reply(&db, message)["rows_migrated"], 3);
    assert_eq!(rows(&db), [" a :a", "B:B", ":"]);
}

#[test]
fn values_that_a_map_loses_stay_as_they_were_written() {
    let folder = Folder::new();
    let db = expanded(&folder, TABLE, "");
    migrate(&db, "lower(old)", "new").done();
    assert_eq!(rows(&db), [" a : a ", "B:b", ":"]);
    // An update that writes neither column leaves both alone.
    execute(&db, "UPDATE t SET id = id + 10");
    assert_eq!(rows(&db), [" a : a ", "B:b", ":"]);
    execute(&db, "UPDATE t SET new = 'B' WHERE id = 12");
    assert_eq!(rows(&db)[1], "B:B");
    words(&db, "verify").done();
    words(&db, "abort t --online always").done();
    assert_eq!(
        texts(&db, "SELECT old FROM t ORDER BY id"),
        [" a ", "B", ""]
    );
}

#[test]
fn what_is_no_function_of_the_one_column_is_refused() {
    for expression in [
        "(SELECT max(old) FROM t)",
        "random()",
        "no_such_function(old)",
        "id",
        "old || id",
        "old) -- ",
        "old) STORED, x AS (old",
        "old), CHECK (1",
        "old, old",
        "old; DROP TABLE t",
        "",
        "max(old) OVER ()",
        "count(*)",
        "sum(old)",
        "?1",
        ":old",
        "date('now')",
        "datetime()",
        "CURRENT_TIMESTAMP",
        "unixepoch('now')",
        "changes()",
        "last_insert_rowid()",
        "\"no such column\"",
        "RAISE(IGNORE)",
        "rowid",
        "NEW.old",
        "t.old",
        "scratch.old",
        "old -- the same",
        "old /* the same",
        "'old",
        "sqlite_version() || randomblob(4)",
    ] {
        let folder = Folder::new();
        let db = expanded(&folder, TABLE, "");
        unchanged(&db, || {
            let ran = migrate(&db, expression, "new");
            assert_eq!(ran.code(), 2, "{expression}: {ran:?}");
            assert!(
                ran.stderr
                    .contains("cannot be used to keep the columns in step"),
                "{expression}: {ran:?}"
            );
            let down = expression.replace("old", "new");
            assert_eq!(migrate(&db, "old", &down).code(), 2, "{down}");
        });
        let message = serde_json::json!({"type": "migrate", "phase": "migrate_data", "from": "old", "to": "new",
                                         "up": expression, "down": "new"});
        expect_error(&reply(&db, &message.to_string()), 12, "cannot be used");
    }
}

/// With values that nobody maps back, the old column would take those of the new one as they are.
#[test]
fn expression_for_one_way_needs_the_other() {
    let folder = Folder::new();
    let db = expanded(&folder, TABLE, "");
    for (one, expression, without) in [
        ("up", "length(old)", "`up` is given without `down`"),
        ("down", "lower(new)", "`down` is given without `up`"),
    ] {
        unchanged(&db, || {
            let option = format!("--{one}");
            let ran = run(&db, ["migrate-data", "old", "new", &option, expression]);
            ran.failed(2, without);
            let message = serde_json::json!({"type": "migrate", "phase": "migrate_data", "from": "old", "to": "new",
                                             one: expression});
            expect_error(&reply(&db, &message.to_string()), 12, without);
        });
    }
}

#[test]
fn data_migration_that_is_refused_does_not_expand_either() {
    let folder = Folder::new();
    let db = folder.made("CREATE TABLE t(id INTEGER PRIMARY KEY, old TEXT UNIQUE DEFAULT 'x')");
    unchanged(&db, || {
        words(&db, "migrate-data old new --expand").failed(3, "it is unique")
    });
    words(&db, "migrate-data old new --expand --write-both").done();
}

#[test]
fn expression_that_fails_for_a_row_is_told() {
    let folder = Folder::new();
    let table = "CREATE TABLE t(id INTEGER PRIMARY KEY, old INTEGER);
         INSERT INTO t(old) VALUES (1), (-9223372036854775807 - 1)";
    let db = expanded(&folder, table, "");
    unchanged(&db, || {
        let ran = migrate(&db, "abs(old)", "new");
        assert_eq!(ran.code(), 3, "{ran:?}");
        assert!(ran.stderr.contains("integer overflow"), "{ran:?}");
    });
}

#[test]
fn migration_begun_with_other_expressions_is_refused() {
    let folder = Folder::new();
    let db = expanded(&folder, TABLE, "");
    words(&db, "pause t").done();
    let arguments = "migrate-data old new --up trim(old) --down new --batch-rows 1";
    let mut child = start(on(&db).args(arguments.split(' ')));
    poll("the first batch", || {
        let passed = number(&db, "SELECT max(rows_passed) FROM _changeover_runs");
        (passed > 0).then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    words(&db, "resume t").done();
    unchanged(&db, || {
        migrate(&db, "upper(old)", "new").failed(3, "was begun otherwise")
    });
    migrate(&db, "trim(old)", "new").done();
    assert_eq!(rows(&db), [" a :a", "B:B", ":"]);
    let twice = || {
        migrate(&db, "trim(old)", "new").done();
        words(&db, "migrate-data old new").done();
        let ran = migrate(&db, "upper(old)", "new");
        ran.failed(3, "was begun otherwise");
    };
    unchanged(&db, twice);
    words(&db, "contract t old --quiet-for 0").done();
    unchanged(&db, twice);
}

#[test]
fn new_applications_write_both_columns_where_they_must() {
    let cases = [
        (
            "CREATE TABLE t(old INTEGER PRIMARY KEY, b); INSERT INTO t VALUES (1, 2)",
            "part of the key",
        ),
        (
            "CREATE TABLE t(old TEXT, b, PRIMARY KEY(b, old)) WITHOUT ROWID; INSERT INTO t VALUES ('a', 1)",
            "part of the key",
        ),
        (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, old TEXT UNIQUE DEFAULT 'x'); INSERT INTO t(old) VALUES ('a')",
            "it is unique",
        ),
        (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, old TEXT UNIQUE ON CONFLICT IGNORE); INSERT INTO t(old) VALUES ('a')",
            "ON CONFLICT",
        ),
        (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, old TEXT NOT NULL ON CONFLICT IGNORE); INSERT INTO t(old) VALUES ('a')",
            "ON CONFLICT",
        ),
        (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, old TEXT, c AS (old) NOT NULL); INSERT INTO t(old) VALUES ('a')",
            "NOT NULL",
        ),
        (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, old TEXT); INSERT INTO t(old) VALUES ('a');
             CREATE TABLE log(said NOT NULL);
             CREATE TRIGGER logged AFTER INSERT ON t BEGIN INSERT INTO log VALUES (NEW.old); END",
            "NOT NULL",
        ),
    ];
    for (table, reason) in cases {
        let folder = Folder::new();
        let db = folder.made(table);
        words(&db, "expand t new").done();
        unchanged(&db, || {
            let ran = words(&db, "migrate-data old new")
                .failed(3, "new applications cannot leave out `old` in table `t`");
            assert!(ran.stderr.contains(reason), "{table}: {ran:?}");
            assert!(ran.stderr.contains("--write-both"), "{ran:?}");
        });
        let message = r#"{"type": "migrate", "phase": "migrate_data", "from": "old", "to": "new"}"#;
        expect_error(&reply(&db, message), 22, "cannot leave out `old`");
        let message = message.replace('}', r#", "write_both": true}"#);
        assert_eq!(reply(&db, &message)["rows_migrated"], 1, "{table}");
        execute(&db, "UPDATE t SET old = 7, new = 7");
        words(&db, "verify").done();
        assert_eq!(number(&db, "SELECT new = old FROM t"), 1);
    }
}

/// A table with a row, whose columns are kept in step.
fn in_step(folder: &Folder, sql: &str) -> PathBuf {
    let db = folder.made(sql);
    words(&db, "expand t new --from old").done();
    words(&db, "migrate-data old new").done();
    db
}

#[test]
fn a_value_that_a_trigger_of_the_application_takes_back_is_taken_back_in_both_columns() {
    let folder = Folder::new();
    let db = in_step(
        &folder,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, old TEXT);
         INSERT INTO t VALUES (1, 'a');
         CREATE TRIGGER trimmed AFTER UPDATE OF old ON t WHEN NEW.old <> trim(NEW.old)
         BEGIN UPDATE t SET old = trim(NEW.old) WHERE id = NEW.id; END",
    );
    for (column, value, both) in [
        ("new", "'a '", "a:a"),
        ("old", "' a'", "a:a"),
        ("new", "' b '", "b:b"),
    ] {
        execute(&db, &format!("UPDATE t SET {column} = {value}"));
        assert_eq!(rows(&db), [both], "{column}");
    }
}

#[test]
fn a_statement_that_a_check_fails_writes_neither_column() {
    let folder = Folder::new();
    let db = in_step(
        &folder,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, old TEXT DEFAULT '' CHECK (old <> ''));
         INSERT INTO t VALUES (1, 'a')",
    );
    for column in ["old", "new"] {
        for policy in ["", "OR FAIL", "OR IGNORE", "OR REPLACE"] {
            let update = format!("UPDATE {policy} t SET {column} = ''");
            let error = open(&db).execute_batch(&update).unwrap_err().to_string();
            assert!(
                error.starts_with("CHECK constraint failed"),
                "{update}: {error}"
            );
            assert_eq!(rows(&db), ["a:a"], "{update}");
        }
    }
}

#[test]
fn constraints_that_say_on_conflict_go_on_deciding() {
    for (policy, left) in [("IGNORE", ["a:a", "b:b"]), ("REPLACE", ["b:b", "a:a"])] {
        let folder = Folder::new();
        let db = folder.made(&format!(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, old TEXT UNIQUE ON CONFLICT {policy});
             INSERT INTO t VALUES (1, 'a'), (2, 'b')"
        ));
        words(&db, "expand t new --from old").done();
        words(&db, "migrate-data old new --write-both").done();
        execute(&db, "INSERT INTO t(id, old) VALUES (3, 'a')");
        assert_eq!(rows(&db), left, "{policy}");
        execute(&db, "INSERT INTO t(id, old, new) VALUES (4, 'a', 'a')");
        assert_eq!(rows(&db), left, "{policy}");
    }
}
