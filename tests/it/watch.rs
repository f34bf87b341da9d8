//! A change under way, looked at and steered from another process.

use std::path::{Path, PathBuf};
use std::process::Child;

use rusqlite::types::Value as Sql;
use serde_json::{Value, json};

use crate::process::{
    Folder, await_end, execute, expect_error, number, on, poll, reply, start, unchanged, value,
    words,
};

/// A sample that is expanded.
fn expanded(folder: &Folder, rows: u32) -> PathBuf {
    let db = folder.seeded(rows);
    words(&db, "expand users full_name --from name").done();
    db
}

/// A data migration that has paused behind its first batch.
fn paused(db: &Path) -> Child {
    words(db, "pause users").done();
    let child = start(on(db).args(["migrate-data", "name", "full_name", "--batch-rows", "10"]));
    poll("the first batch", || {
        let run = "SELECT max(rows_passed) FROM _changeover_runs";
        matches!(value(db, run), Sql::Integer(1..)).then_some(())
    });
    child
}

#[test]
fn paused_copy_rests_until_it_is_let_go_on() {
    let folder = Folder::new();
    let db = expanded(&folder, 1000);
    let child = paused(&db);
    let copied = number(&db, "SELECT count(full_name) FROM users");
    assert!(copied < 1000);
    let ran = words(&db, "resume").done();
    assert_eq!(ran.stdout, "users: the work goes on\n");
    let ran = await_end(child, b"").done();
    assert!(ran.stdout.contains("1000 rows migrated"), "{ran:?}");
}

#[test]
fn pause_is_said_once() {
    let folder = Folder::new();
    let db = expanded(&folder, 1000);
    let child = paused(&db);
    // Another sign of life: it has waited for longer than a few looks.
    poll("a renewal", || {
        let renewed = "SELECT renewed_at - started_at > 2500 FROM _changeover_runs";
        (number(&db, renewed) == 1).then_some(())
    });
    // As the sqlite3 shell would.
    execute(&db, "UPDATE _changeover_runs SET paused = 0");
    let ran = await_end(child, b"").done();
    assert_eq!(ran.stderr.matches("paused").count(), 1, "{ran:?}");
    assert!(ran.stderr.contains("`changeover resume`"), "{ran:?}");
}

#[test]
fn pause_and_resume_are_messages_too() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    let say = |kind: &str| reply(&db, &format!(r#"{{"type": "{kind}", "msg_id": 1}}"#));
    let on_table = |kind: &str| reply(&db, &format!(r#"{{"type": "{kind}", "table": "users"}}"#));
    unchanged(&db, || {
        expect_error(&say("pause"), 22, "the file has no open change");
        expect_error(&on_table("pause"), 22, "table `users` has no open change");
        words(&db, "resume nobody").failed(3, "no table `nobody`");
    });
    words(&db, "expand users full_name --from name").done();
    let paused = || number(&db, "SELECT paused FROM _changeover_runs");
    assert_eq!(
        say("pause"),
        json!({"type": "pause_ok", "in_reply_to": 1, "tables": ["users"]})
    );
    assert_eq!(paused(), 1);
    assert_eq!(on_table("resume")["tables"], json!(["users"]));
    assert_eq!(paused(), 0);
    let ran = words(&db, "pause --json users").done();
    assert_eq!(ran.json(), json!({"type": "pause_ok", "tables": ["users"]}));
    assert_eq!(paused(), 1);
    let _: Value = on_table("resume");
}
