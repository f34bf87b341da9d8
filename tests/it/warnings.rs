//! What the plan of a data migration warns of, and only where there is such.

use crate::process::{Folder, words};

/// The warnings for a table whose column `old` gives way, without those that are always there.
fn warned(sql: &str) -> Vec<String> {
    let folder = Folder::new();
    let db = folder.made(sql);
    words(&db, "expand t new --from old").done();
    let plan = words(&db, "plan migrate-data old new --json").done().json();
    let warnings = plan["plans"][0]["warnings"].as_array().unwrap();
    let mut warnings: Vec<String> = warnings
        .iter()
        .map(|it| it.as_str().unwrap().to_owned())
        .collect();
    assert!(warnings[0].contains("BEGIN IMMEDIATE"), "{warnings:?}");
    assert!(warnings[1].contains("RETURNING"), "{warnings:?}");
    warnings.drain(..2);
    warnings
}

#[track_caller]
fn one(warnings: &[String], words: &[&str]) {
    let [warning] = warnings else {
        panic!("{warnings:?}");
    };
    for word in words {
        assert!(warning.contains(word), "{word}: {warning}");
    }
}

const WAL: &str = "PRAGMA journal_mode = wal;";

#[test]
fn nothing_more_is_said_of_a_plain_table() {
    let plain = warned(&format!(
        "{WAL} CREATE TABLE t(id INTEGER PRIMARY KEY, old)"
    ));
    assert!(plain.is_empty(), "{plain:?}");
}

#[test]
fn journal_is_named_where_readers_and_writers_wait() {
    one(
        &warned("CREATE TABLE t(old)"),
        &["PRAGMA journal_mode = wal"],
    );
}

#[test]
fn triggers_of_the_table_are_named() {
    let sql = format!(
        "{WAL} CREATE TABLE t(old); CREATE TABLE other(a);
         CREATE TRIGGER mine AFTER UPDATE ON t BEGIN SELECT 1; END;
         CREATE TRIGGER elsewhere AFTER UPDATE ON other BEGIN SELECT 1; END"
    );
    let warnings = warned(&sql);
    one(&warnings, &["fire again", "`mine`"]);
    assert!(!warnings[0].contains("elsewhere"));
}

#[test]
fn indexes_are_named_with_the_time_that_they_take() {
    let sql = format!(
        "{WAL} CREATE TABLE t(id INTEGER PRIMARY KEY, old); CREATE INDEX i ON t(old);
         INSERT INTO t(id) VALUES (1), (1000000)"
    );
    one(
        &warned(&sql),
        &["about 1.0 s for 1000000 rows", "CREATE INDEX"],
    );
    let sql =
        format!("{WAL} CREATE TABLE t(k PRIMARY KEY, old) WITHOUT ROWID; CREATE INDEX i ON t(old)");
    one(&warned(&sql), &["indexes are made: `CREATE INDEX"]);
}

#[test]
fn room_that_indexes_take_beside_their_table_is_told() {
    let folder = Folder::new();
    let sql = format!(
        "{WAL} CREATE TABLE t(id INTEGER PRIMARY KEY, old); CREATE INDEX i ON t(old);
         INSERT INTO t(old) VALUES (1)"
    );
    let db = folder.made(&sql);
    for (line, beside) in [
        (
            "plan migrate-data old new --expand",
            "indexes are built beside the table",
        ),
        (
            "add-index t old --name j --dry-run",
            "the index is built beside `t`",
        ),
    ] {
        // The log, and some pages.
        let takes = "meanwhile that takes up to 33 MiB of the disk";
        let plan = |how: &str| words(&db, &format!("{line} --online {how}")).done().stdout;
        let plans = [plan("always"), plan("never")];
        let told = plans
            .each_ref()
            .map(|it| it.contains(beside) && it.contains(takes));
        assert_eq!(told, [true, false], "{plans:?}");
    }
}
