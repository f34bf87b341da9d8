//! Verify: whether old and new agree, what is told where they do not, and mending that.

use std::ops::ControlFlow;
use std::path::PathBuf;

use changeover::request::Verify;
use changeover::{Changeover, Error, Options};
use serde_json::json;

use crate::process::{
    Folder, applications_part, execute, execute_past_triggers, expect_error, number, reply, texts,
    unchanged, words,
};

/// A sample whose data are migrated.
fn migrated(folder: &Folder, rows: u32) -> PathBuf {
    let db = folder.seeded(rows);
    words(&db, "expand users full_name --from name").done();
    words(&db, "migrate-data name full_name").done();
    db
}

fn triggers(db: &std::path::Path) -> Vec<String> {
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name";
    texts(db, sql)
}

#[test]
fn columns_that_agree_are_told_with_the_rows_looked_at() {
    let folder = Folder::new();
    let db = migrated(&folder, 25_000);
    for line in ["verify", "verify users", "verify USERS"] {
        let ran = unchanged(&db, || words(&db, line).done());
        assert_eq!(
            ran.stdout,
            "users: name and full_name agree in 25000 rows\n"
        );
        assert_eq!(ran.stderr, "");
    }
    let reply = reply(&db, r#"{"type": "verify", "msg_id": 1}"#);
    let change = json!({"table": "users", "from": "name", "to": "full_name", "state": "migrated", "rows": 25_000,
                        "repaired": null});
    assert_eq!(
        reply,
        json!({"type": "verified", "in_reply_to": 1, "changes": [change]})
    );
}

#[test]
fn nothing_to_compare_is_told() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    let nothing = || {
        let ran = unchanged(&db, || words(&db, "verify").done());
        assert_eq!(
            ran.stdout,
            "nothing to compare: no data migration has begun\n"
        );
        unchanged(&db, || {
            words(&db, "verify users").failed(
                3,
                "table `users` has no open change whose data migration has begun",
            )
        });
    };
    nothing();
    words(&db, "expand users full_name --from name").done();
    nothing();
    words(&db, "verify people").failed(3, "no table `people`");
    words(&db, "migrate-data name full_name").done();
    words(&db, "contract users name").done();
    nothing();
}

#[test]
fn winner_and_dry_run_are_for_a_repair_alone() {
    let folder = Folder::new();
    let db = migrated(&folder, 10);
    for line in ["verify --winner old", "verify --dry-run"] {
        assert_eq!(words(&db, line).code(), 2, "{line}");
    }
    let message = r#"{"type": "verify", "msg_id": 1, "winner": "old"}"#;
    expect_error(&reply(&db, message), 12, "a winner is for a repair alone");
    let message = r#"{"type": "verify", "msg_id": 1, "winer": "old"}"#;
    expect_error(&reply(&db, message), 12, "winer");
}

#[test]
fn rows_that_disagree_are_counted_and_named_and_mended_as_told() {
    for (winner, value) in [("old", "Wrong"), ("new", "Right")] {
        let folder = Folder::new();
        let db = migrated(&folder, 20_000);
        execute_past_triggers(
            &db,
            "UPDATE users SET name = 'Wrong', full_name = 'Right' WHERE rowid % 9000 = 0",
        );
        let sentence = "`name` and `full_name` hold different values in 2 rows, for instance where rowid = 9000; rowid = 18000";
        unchanged(&db, || words(&db, "verify").failed(3, sentence));
        expect_error(
            &reply(&db, r#"{"type": "verify", "table": "users"}"#),
            22,
            sentence,
        );
        // Whose value counts is no decision of ours.
        words(&db, "verify --repair").failed(3, sentence);
        // And contract finds it before anybody has to wait.
        let plan = words(&db, "plan contract users name").done().stdout;
        assert!(
            plan.contains("transaction 1: look for rows in which the two differ"),
            "{plan}"
        );
        unchanged(&db, || {
            words(&db, "contract users name").failed(3, sentence)
        });
        let ran = words(&db, &format!("verify users --repair --winner {winner}")).done();
        assert_eq!(
            ran.stdout,
            "users: 2 rows mended\nusers: name and full_name agree in 20000 rows\n"
        );
        let right =
            format!("SELECT count(*) FROM users WHERE full_name = '{value}' AND name = full_name");
        assert_eq!(number(&db, &right), 2);
        assert_eq!(number(&db, "SELECT count(*) FROM _changeover_cursor"), 0);
        words(&db, "contract users name").done();
    }
}

#[test]
fn rows_without_a_new_value_need_no_decision() {
    let folder = Folder::new();
    let db = migrated(&folder, 1000);
    execute_past_triggers(
        &db,
        "UPDATE users SET full_name = NULL WHERE rowid % 100 = 0",
    );
    words(&db, "verify").failed(3, "hold different values in 10 rows");
    let reply = reply(&db, r#"{"type": "verify", "msg_id": 1, "repair": true}"#);
    assert_eq!(
        reply["changes"][0]["repaired"],
        json!({"triggers": 0, "rows": 10})
    );
    let ran = words(&db, "verify --repair").done();
    assert_eq!(
        ran.stdout,
        "users: nothing to mend\nusers: name and full_name agree in 1000 rows\n"
    );
}

#[test]
fn triggers_that_are_gone_or_altered_are_told_and_put_back() {
    let drop = "DROP TRIGGER _changeover_1_insert";
    let alter = "PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = replace(sql, 'AFTER INSERT', 'BEFORE INSERT') WHERE name = '_changeover_1_insert'";
    for (damage, fault) in [(drop, "is missing"), (alter, "was altered")] {
        let folder = Folder::new();
        let db = migrated(&folder, 100);
        let before = triggers(&db);
        execute(&db, damage);
        let sentence = format!("trigger `_changeover_1_insert` {fault}");
        unchanged(&db, || {
            let ran = words(&db, "verify").failed(3, &sentence);
            assert!(
                ran.stderr.contains("`changeover verify --repair`"),
                "{ran:?}"
            );
            words(&db, "contract users name").failed(3, &sentence);
            words(&db, "abort users").failed(3, &sentence);
            expect_error(&reply(&db, r#"{"type": "verify"}"#), 22, &sentence);
            let plan = words(&db, "verify --repair --dry-run").done().stdout;
            assert!(plan.contains("CREATE TRIGGER"), "{plan}");
        });
        execute(&db, "INSERT INTO users(name) VALUES ('meanwhile')");
        let ran = words(&db, "verify --repair").done();
        assert_eq!(
            ran.stdout,
            "users: 1 trigger put back, 1 row mended\nusers: name and full_name agree in 101 rows\n"
        );
        assert_eq!(triggers(&db), before);
        words(&db, "verify").done();
        words(&db, "contract users name --quiet-for 0").done();
    }
}

#[test]
fn change_without_its_triggers_can_be_ended_where_one_side_wins() {
    for (line, left) in [
        ("contract users name --winner new", "full_name"),
        ("abort users --winner old", "name"),
        (
            "contract users name --winner new --online always",
            "full_name",
        ),
        ("abort users --winner old --online always", "name"),
    ] {
        let folder = Folder::new();
        let db = migrated(&folder, 10);
        execute(
            &db,
            "DROP TRIGGER _changeover_1_insert; DROP TRIGGER _changeover_1_update",
        );
        words(&db, line).done();
        assert!(applications_part(&db).contains(&format!("users({left} TEXT NOT NULL)")));
    }
}

#[test]
fn rows_that_are_not_copied_yet_are_not_held_against_a_migration() {
    let folder = Folder::new();
    let db = migrated(&folder, 100);
    // As a run that was killed in the middle leaves it.
    execute_past_triggers(
        &db,
        "UPDATE _changeover_changes SET state = 'migrating', text_synced = NULL,
         text_after = (SELECT sql FROM sqlite_schema WHERE name = 'users');
         DELETE FROM _changeover_history WHERE phase = 'migrate_data';
         UPDATE users SET full_name = NULL WHERE rowid > 50",
    );
    words(&db, "verify").failed(3, "was altered");
    let ran = words(&db, "verify --repair").done();
    assert_eq!(
        ran.stdout,
        "users: 2 triggers put back\n\
         users: name and full_name agree in 100 rows, as far as they are copied\n"
    );
}

/// Once a column is gone, SQLite takes its name in double quotes for a string, with which no row agrees.
#[test]
fn change_that_ends_while_it_is_verified_is_not_taken_for_one_that_disagrees() {
    let folder = Folder::new();
    let db = migrated(&folder, 25_000);
    let mut verifying = Changeover::open(&db, Options::default()).unwrap();
    let mut is_contracted = false;
    let outcome = verifying.verify(&Verify::default(), &mut |_| {
        if !is_contracted {
            words(&db, "contract users name").done();
            is_contracted = true;
        }
        ControlFlow::Continue(())
    });
    assert!(
        matches!(outcome, Err(Error::NothingToVerify(_))),
        "{outcome:?}"
    );
}
