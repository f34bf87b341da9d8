//! Two changeovers at once on one change: one works, the other waits for it, or takes its place.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::application::{Application, expect_twins, make_tables};
use super::process::{
    Folder, await_end, execute, expect_error, number, on, open, poll, reply, start, texts, words,
};

const MIGRATE_DATA: &str = "migrate-data name full_name --batch-rows 20";
const MESSAGE: &str =
    r#"{"type": "migrate", "phase": "migrate_data", "from": "name", "to": "full_name"}"#;
const DONE: &str = "version 2  migrate_name_to_full_name  2000 rows migrated\n";

/// An expanded change, whose data migration pauses behind its first batch.
fn paused(folder: &Folder) -> std::path::PathBuf {
    let db = folder.join("app.db");
    make_tables(&db, "WAL");
    words(&db, "expand people full_name --from name").done();
    execute(
        &db,
        "INSERT INTO _changeover_runs(change_id, paused) VALUES (1, 1)",
    );
    db
}

/// A changeover at work on the data, which waits as long as that for another one.
fn runner(db: &Path, seconds: u32) -> Child {
    let patience = format!("--busy-timeout={seconds}");
    start(on(db).arg(patience).args(MIGRATE_DATA.split(' ')))
}

/// Waits until the runner has the work and has done a batch.
fn await_work_of(db: &Path, runner: &Child) {
    poll("a batch of the runner", || {
        let name = format!("process {} on", runner.id());
        let at_work = format!(
            "SELECT count(*) FROM _changeover_runs WHERE token NOT NULL AND runner LIKE '{name}%' AND rows_passed > 0"
        );
        (number(db, &at_work) == 1).then_some(())
    });
}

fn go_on(db: &Path) {
    execute(db, "UPDATE _changeover_runs SET paused = 0");
}

/// Starts two of them, of which the second waits for the paused first or is told of it, and both answer the same.
#[track_caller]
fn expect_second_to_wait(
    db: &Path,
    start_one: fn(&Path, u32) -> Child,
    answer: &str,
    meanwhile: impl FnOnce(&str),
) {
    let first = start_one(db, 5);
    await_work_of(db, &first);
    let told = format!(
        "another changeover is at work on this change: process {} on",
        first.id()
    );
    await_end(start_one(db, 0), b"").failed(4, &told);
    meanwhile(&told);
    let second = start_one(db, 60);
    go_on(db);
    for runner in [first, second] {
        assert_eq!(await_end(runner, b"").done().stdout, answer);
    }
}

#[test]
fn second_runner_waits_and_gets_the_answer_of_the_first() {
    let folder = Folder::new();
    let db = paused(&folder);
    expect_second_to_wait(&db, runner, DONE, |told| {
        expect_error(&reply(&db, MESSAGE), 11, told);
    });
    assert_eq!(number(&db, "SELECT count(*) FROM _changeover_history"), 2);
    expect_twins(&db, "full_name");
}

#[test]
fn second_runner_takes_over_at_once_when_the_first_is_killed() {
    let folder = Folder::new();
    let db = paused(&folder);
    let mut first = runner(&db, 5);
    await_work_of(&db, &first);
    let second = runner(&db, 60);
    let killed = Instant::now();
    first.kill().unwrap();
    first.wait().unwrap();
    await_work_of(&db, &second);
    let lease = Duration::from_secs(15);
    assert!(killed.elapsed() < lease / 2, "{:?}", killed.elapsed());
    go_on(&db);
    assert_eq!(await_end(second, b"").done().stdout, DONE);
    expect_twins(&db, "full_name");
}

#[test]
fn runner_that_slept_past_its_lease_does_no_harm() {
    let folder = Folder::new();
    let db = paused(&folder);
    go_on(&db);
    let application = Application::start(&db, "name");
    let first = runner(&db, 5);
    await_work_of(&db, &first);
    stop_between_turns(&db, &first);
    execute(
        &db,
        "UPDATE _changeover_runs SET paused = 1, renewed_at = renewed_at - 60000",
    );
    let second = runner(&db, 5);
    await_work_of(&db, &second);
    let done = |db: &Path| {
        texts(
            db,
            "SELECT value || ' of run ' || token FROM _changeover_cursor, _changeover_runs",
        )
    };
    let before = done(&db);
    signal("CONT", &first);
    await_end(first, b"").failed(
        4,
        "another changeover has taken over the work on this change",
    );
    assert_eq!(done(&db), before);
    go_on(&db);
    await_end(second, b"").done();
    application.end();
    expect_twins(&db, "full_name");
    words(&db, "contract people name --quiet-for 0").done();
    expect_twins(&db, "full_name");
}

#[test]
fn runner_whose_change_is_aborted_says_so_and_ends() {
    let folder = Folder::new();
    let db = paused(&folder);
    let application = Application::start(&db, "name");
    let runner = runner(&db, 5);
    await_work_of(&db, &runner);
    words(&db, "abort people").done();
    application.await_writes();
    go_on(&db);
    let told = "no change waits for data to go from `name` to `full_name`";
    expect_to_end_with(told, runner);
    application.end();
    expect_twins(&db, "name");
    let table = "SELECT sql FROM sqlite_schema WHERE name = 'people' OR name LIKE '\\_changeover\\_1%' ESCAPE '\\'";
    assert_eq!(
        texts(&db, table),
        ["CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT NOT NULL, age INT DEFAULT 3)"]
    );
}

/// A runner that is refused, having told perhaps that it pauses.
#[track_caller]
fn expect_to_end_with(told: &str, runner: Child) {
    let ran = await_end(runner, b"");
    assert_eq!(ran.code(), 3, "{ran:?}");
    assert!(ran.stderr.contains(told), "{ran:?}");
}

/// A migrated change, whose contract pauses behind its first batch.
fn paused_contract(folder: &Folder) -> std::path::PathBuf {
    let db = folder.join("app.db");
    make_tables(&db, "WAL");
    words(&db, "expand people full_name --from name").done();
    words(&db, "migrate-data name full_name").done();
    execute(
        &db,
        "UPDATE _changeover_runs SET paused = 1, rows_passed = 0",
    );
    db
}

/// A changeover at work on the contract.
fn contractor(db: &Path, seconds: u32) -> Child {
    let patience = format!("--busy-timeout={seconds}");
    let line = "contract people name --online always --batch-rows 20 --quiet-for 0";
    start(on(db).arg(patience).args(line.split(' ')))
}

const CONTRACTED: &str = "version 3  remove_name_column  people (id, full_name, age NULL)\n";

#[test]
fn second_contract_waits_and_gets_the_answer_of_the_first() {
    let folder = Folder::new();
    let db = paused_contract(&folder);
    expect_second_to_wait(&db, contractor, CONTRACTED, |_| {});
    assert_eq!(number(&db, "SELECT count(*) FROM _changeover_history"), 3);
    expect_twins(&db, "full_name");
}

#[test]
fn second_contract_takes_over_at_once_when_the_first_is_killed() {
    let folder = Folder::new();
    let db = paused_contract(&folder);
    let application = Application::start(&db, "full_name");
    let mut first = contractor(&db, 5);
    await_work_of(&db, &first);
    let second = contractor(&db, 60);
    first.kill().unwrap();
    first.wait().unwrap();
    await_work_of(&db, &second);
    application.await_writes();
    go_on(&db);
    assert_eq!(await_end(second, b"").done().stdout, CONTRACTED);
    application.end();
    expect_twins(&db, "full_name");
}

#[test]
fn contract_that_is_aborted_says_so_and_ends() {
    for online in ["always", "never"] {
        let folder = Folder::new();
        let db = paused_contract(&folder);
        let application = Application::start(&db, "name");
        let runner = contractor(&db, 5);
        await_work_of(&db, &runner);
        words(&db, &format!("abort people --online {online}")).done();
        application.await_writes();
        go_on(&db);
        let ran = await_end(runner, b"");
        assert_eq!(ran.code(), 3, "{ran:?}");
        // It may notice while the abort is still at work.
        let told = ["no change replaces column `name`", "the change is aborting"];
        let is_told = told.iter().any(|it| ran.stderr.contains(it));
        assert!(is_told, "{ran:?}");
        application.end();
        expect_twins(&db, "name");
        let table = "SELECT sql FROM sqlite_schema WHERE name = 'people' OR name LIKE '\\_changeover\\_1%' ESCAPE '\\'";
        assert_eq!(
            texts(&db, table),
            ["CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT NOT NULL, age INT DEFAULT 3)"]
        );
    }
}

/// Stops a process while it does not hold the write lock.
fn stop_between_turns(db: &Path, process: &Child) {
    let connection = open(db);
    connection.busy_timeout(Duration::ZERO).unwrap();
    poll("a moment between two turns", || {
        signal("STOP", process);
        let is_free = can_write(&connection);
        if !is_free {
            signal("CONT", process);
        }
        is_free.then_some(())
    });
}

fn can_write(connection: &Connection) -> bool {
    connection
        .execute_batch("BEGIN IMMEDIATE; ROLLBACK")
        .is_ok()
}

fn signal(name: &str, process: &Child) {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{name}")).arg(process.id().to_string());
    assert!(kill.status().unwrap().success());
}
