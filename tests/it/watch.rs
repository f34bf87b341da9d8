//! A change under way, looked at and steered from another process.

use std::path::{Path, PathBuf};
use std::process::Child;

use rusqlite::types::Value as Sql;
use serde_json::{Value, json};

use crate::process::{
    Folder, applications_part, await_end, execute, expect_error, number, on, poll, reply, skipped,
    start, unchanged, value, words,
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

// Status.

#[test]
fn status_tells_how_the_work_gets_on_and_who_does_it() {
    let folder = Folder::new();
    let db = expanded(&folder, 1000);
    let child = paused(&db);
    let number = child.id();
    let ran = poll("a sign of life behind the first batch", || {
        let ran = words(&db, "status").done();
        ran.stdout.contains("locks held").then_some(ran)
    });
    let lines = ran.lines();
    assert!(lines[0].starts_with("users: name -> full_name  migrating, "));
    assert!(lines[1].contains(" of 1000 rows passed"), "{ran:?}");
    assert!(
        lines[2].contains(&format!("at work: process {number}")),
        "{ran:?}"
    );
    assert!(lines[3].contains("locks held: p50 "), "{ran:?}");
    assert!(lines[3].contains("; waited "), "{ran:?}");
    assert!(lines[4].contains("paused, to go on: changeover --db "));
    assert!(lines[5].contains("next: changeover --db "), "{ran:?}");
    let status = reply(&db, r#"{"type": "status", "msg_id": 1}"#);
    let change = &status["changes"][0];
    assert_eq!(
        (&change["paused"], &change["work"]["alive"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(change["work"]["rows"], 1000);
    assert!(change["work"]["lock_max_ms"].as_f64().unwrap() > 0.0);
    words(&db, "resume").done();
    await_end(child, b"").done();
    // What nobody does any more is no news.
    let ran = words(&db, "status").done();
    assert_eq!(ran.lines().len(), 2, "{ran:?}");
}

#[test]
fn status_tells_of_a_run_that_was_killed() {
    let folder = Folder::new();
    let db = expanded(&folder, 1000);
    let mut child = paused(&db);
    child.kill().unwrap();
    child.wait().unwrap();
    let ran = words(&db, "status").done();
    assert!(ran.lines()[2].contains("given up: process "), "{ran:?}");
    let change = &words(&db, "status --json").done().json()["changes"][0];
    assert_eq!(change["work"]["alive"], false);
}

#[test]
fn status_tells_when_old_applications_wrote() {
    let folder = Folder::new();
    let db = expanded(&folder, 10);
    words(&db, "migrate-data name full_name").done();
    let ago = |db: &Path| words(db, "status --json").done().json()["changes"][0].clone();
    assert_eq!(ago(&db)["old_write_seconds_ago"], Value::Null);
    assert!(
        !words(&db, "status")
            .done()
            .stdout
            .contains("old applications")
    );
    execute(&db, "INSERT INTO users(name) VALUES ('by an old one')");
    let seconds = ago(&db)["old_write_seconds_ago"].as_u64().unwrap();
    assert!(seconds < 60, "{seconds}");
    let ran = words(&db, "status").done();
    assert!(ran.stdout.contains("  old applications wrote "), "{ran:?}");
}

#[test]
fn watch_ends_with_the_work() {
    let folder = Folder::new();
    let db = expanded(&folder, 1000);
    // Nothing is under way.
    assert_eq!(words(&db, "status --watch").done().lines().len(), 2);
    let child = paused(&db);
    let watch = start(on(&db).args(["status", "--watch", "0.05", "--json"]));
    std::thread::sleep(std::time::Duration::from_millis(300));
    words(&db, "resume").done();
    await_end(child, b"").done();
    let ran = await_end(watch, b"").done();
    let states: Vec<Value> = ran
        .lines()
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["changes"][0]["state"].clone())
        .collect();
    assert!(states.len() > 2, "{states:?}");
    assert_eq!(
        (&states[0], states.last()),
        (&json!("migrating"), Some(&json!("migrated")))
    );
}

// Ctrl-C.

#[track_caller]
fn signal(child: &Child, which: &str) {
    let kill = std::process::Command::new("kill")
        .args([which, &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
}

#[test]
fn signal_stops_the_copy_behind_a_batch_and_says_how_to_go_on() {
    for which in ["-INT", "-TERM"] {
        let folder = Folder::new();
        let db = expanded(&folder, 1000);
        let child = paused(&db);
        signal(&child, which);
        let ran = await_end(child, b"");
        assert_eq!(ran.code(), 4, "{ran:?}");
        assert!(
            ran.stderr.contains("error: stopped as asked\nhint: "),
            "{ran:?}"
        );
        let next = format!(
            "next: changeover --db {} migrate-data name full_name --batch-rows 10\n",
            db.display()
        );
        assert!(ran.stderr.ends_with(&next), "{ran:?}");
        assert_eq!(
            number(
                &db,
                "SELECT count(*) FROM _changeover_runs WHERE token IS NOT NULL"
            ),
            0
        );
        words(&db, "resume").done();
        let ran = words(&db, "migrate-data name full_name").done();
        assert!(ran.stdout.contains("1000 rows migrated"), "{ran:?}");
    }
}

#[test]
fn signal_ends_a_wait_for_the_lock() {
    let folder = Folder::new();
    let db = expanded(&folder, 10);
    words(&db, "migrate-data name full_name").done();
    let application = crate::process::open(&db);
    application.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut child = start(on(&db).args(["contract", "users", "name", "--busy-timeout", "3600"]));
    // It waits once it says so.
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while line.is_empty() || line.starts_with("warning: ") {
        line.clear();
        std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    }
    assert!(
        line.contains("another connection holds the write lock"),
        "{line}"
    );
    signal(&child, "-INT");
    let ended = await_end(child, b"");
    assert_eq!(ended.code(), 4, "{ended:?}");
    line.clear();
    std::io::Read::read_to_string(&mut said, &mut line).unwrap();
    assert!(line.contains("nothing was changed"), "{line}");
}

#[test]
fn signal_rolls_a_long_transaction_back() {
    let folder = Folder::new();
    let db = expanded(&folder, 400_000);
    words(&db, "migrate-data name full_name").done();
    let before = applications_part(&db);
    let child = start(on(&db).args(["contract", "users", "name", "--online", "never"]));
    let application = rusqlite::Connection::open(&db).unwrap();
    application.busy_timeout(std::time::Duration::ZERO).unwrap();
    poll("the rebuild", || {
        let is_locked = application
            .execute_batch("BEGIN IMMEDIATE; ROLLBACK")
            .is_err();
        is_locked.then_some(())
    });
    signal(&child, "-INT");
    let ran = await_end(child, b"");
    if ran.code() == 0 {
        skipped("the rebuild was faster than the signal");
        return;
    }
    let ran = ran.failed(4, "stopped as asked, and nothing was changed");
    assert!(ran.stderr.contains("next: changeover --db "), "{ran:?}");
    assert_eq!(applications_part(&db), before);
    words(&db, "contract users name").done();
}

#[test]
fn second_signal_ends_the_process_at_once() {
    let folder = Folder::new();
    let db = expanded(&folder, 1000);
    let child = paused(&db);
    // The first finds it unable to go on: somebody keeps the lock that its lease must be given back under.
    let application = crate::process::open(&db);
    application.execute_batch("BEGIN IMMEDIATE").unwrap();
    signal(&child, "-INT");
    std::thread::sleep(std::time::Duration::from_millis(300));
    signal(&child, "-INT");
    assert_eq!(await_end(child, b"").code(), 130);
}

#[test]
fn signal_ends_a_watch() {
    let folder = Folder::new();
    let db = expanded(&folder, 1000);
    let mut child = paused(&db);
    let watch = start(on(&db).args(["status", "--watch", "0.05"]));
    std::thread::sleep(std::time::Duration::from_millis(300));
    signal(&watch, "-INT");
    await_end(watch, b"").done();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn abort_that_was_stopped_is_what_comes_next() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    words(&db, "expand users full_name --from name").done();
    words(&db, "migrate-data name full_name").done();
    // As an abort that was stopped in the middle leaves it.
    execute(&db, "UPDATE _changeover_changes SET state = 'aborting'");
    let status = words(&db, "status").done().stdout;
    assert!(status.contains("next: changeover"), "{status}");
    assert!(status.contains(" abort users\n"), "{status}");
}
