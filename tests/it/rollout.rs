//! Rollouts: of a real application under load, and of whatever else the file of one may say.

mod commands;
mod file;
mod fleet;

use std::io::{BufRead, BufReader, Read};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use serde_json::json;

use super::process::{await_end, execute, finish, poll, start};

use fleet::Fleet;

#[test]
fn every_instance_moves_and_no_request_fails() {
    let fleet = Fleet::of_old_versions();
    let ran = fleet.under_load(|load| {
        load.await_writes();
        let ran = fleet.roll_out();
        load.await_writes();
        ran
    });
    let lines = ran.done();
    assert_eq!(
        lines.lines(),
        [
            "version 1  add_full_name_column  entries (id, name, message, full_name NULL)",
            lines.lines()[1],
            "guest-1: healthy in the new version",
            "guest-2: healthy in the new version",
            "guest-3: healthy in the new version",
            "version 3  remove_name_column  entries (id, full_name, message)",
        ]
    );
    assert_eq!(fleet.columns(), ["full_name", "id", "message"]);
}

#[test]
fn broken_instance_is_put_back_and_both_versions_go_on_until_it_is_mended() {
    let fleet = Fleet::of_old_versions();
    fleet.mark("guest-2", "broken");
    fleet.under_load(|load| {
        load.await_writes();
        let ran = fleet.roll_out();
        assert_eq!(ran.code(), 3, "{ran:?}");
        let said = &ran.stderr;
        assert!(
            said.contains("guest-2: not healthy in the new version"),
            "{said}"
        );
        assert!(
            said.contains("it is back in the old version, and healthy"),
            "{said}"
        );
        assert!(said.contains("next: changeover --db"), "{said}");
        assert_eq!(
            ran.lines()[2..],
            [
                "guest-1: healthy in the new version",
                "guest-2: healthy in the old version"
            ]
        );
        assert_eq!(fleet.columns(), ["full_name", "id", "message", "name"]);
        load.await_writes();
        fleet.unmark("guest-2", "broken");
        let ran = fleet.roll_out().done();
        assert!(!ran.stderr.contains("guest-1: deploying"), "{ran:?}");
        assert!(ran.stderr.contains("guest-2: deploying"), "{ran:?}");
        load.await_writes();
    });
    assert_eq!(fleet.columns(), ["full_name", "id", "message"]);
}

#[test]
fn killed_at_any_step_it_goes_on() {
    let fleet = Fleet::of_old_versions();
    fleet.under_load(|load| {
        load.await_writes();
        for sign in [
            "guest-1: deploying",
            "guest-1: healthy",
            "guest-2: deploying",
            "guest-3: deploying",
        ] {
            kill_at(&mut fleet.changeover(&["rollout", "rollout.json"]), sign);
        }
        let ran = fleet.roll_out().done();
        assert!(!ran.stderr.contains("guest-1: deploying"), "{ran:?}");
        load.await_writes();
    });
    assert_eq!(fleet.columns(), ["full_name", "id", "message"]);
}

#[test]
fn all_instances_move_at_once_where_the_file_says_so() {
    let fleet = Fleet::of_old_versions();
    fleet.describe(|rollout| rollout["at_once"] = 3.into());
    let ran = fleet.under_load(|load| {
        load.await_writes();
        let ran = fleet.roll_out().done();
        load.await_writes();
        ran
    });
    let said = &ran.stderr;
    let begun = said.rfind(": deploying").unwrap();
    assert_eq!(said[..begun].matches(": deploying").count(), 2, "{said}");
    assert_eq!(fleet.columns(), ["full_name", "id", "message"]);
}

#[test]
fn instance_that_the_file_does_not_name_keeps_the_gate_shut() {
    let fleet = Fleet::of_old_versions();
    fleet.describe(|rollout| rollout["gate"] = json!({"quiet_for": 0, "wait": 0}));
    // It registers once there is a ledger.
    let expand = "expand entries full_name --from name".split(' ');
    finish(&mut fleet.changeover(&expand.collect::<Vec<_>>()), b"").done();
    execute(
        &fleet.db,
        "INSERT INTO _changeover_instances (name, version) VALUES ('forgotten', 0)",
    );
    let ran = fleet.roll_out();
    assert_eq!(ran.code(), 3, "{ran:?}");
    assert!(ran.stderr.contains("`forgotten`"), "{ran:?}");
    assert!(ran.stderr.contains("next: changeover --db"), "{ran:?}");
    assert_eq!(fleet.columns(), ["full_name", "id", "message", "name"]);
    execute(
        &fleet.db,
        "DELETE FROM _changeover_instances WHERE name = 'forgotten'",
    );
    fleet.roll_out().done();
    assert_eq!(fleet.columns(), ["full_name", "id", "message"]);
}

#[test]
fn asked_to_stop_it_ends_behind_the_instance_that_is_under_way() {
    let fleet = Fleet::of_old_versions();
    fleet.under_load(|load| {
        load.await_writes();
        let mut rollout = start(&mut fleet.changeover(&["rollout", "rollout.json"]));
        let mut said = BufReader::new(rollout.stderr.take().unwrap()).lines();
        said.find(|line| line.as_ref().unwrap() == "guest-1: deploying");
        let pid = rollout.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        let said: Vec<String> = said.map(Result::unwrap).collect();
        let ran = await_end(rollout, b"");
        assert_eq!(ran.code(), 4, "{ran:?}");
        assert_eq!(ran.lines()[2..], ["guest-1: healthy in the new version"]);
        assert!(!said.iter().any(|it| it.contains("guest-2")), "{said:?}");
        assert!(
            said.last().unwrap().starts_with("next: changeover"),
            "{said:?}"
        );
        fleet.roll_out().done();
        load.await_writes();
    });
    assert_eq!(fleet.columns(), ["full_name", "id", "message"]);
}

/// Kills a process once it has said something.
fn kill_at(command: &mut Command, sign: &str) {
    let mut child = start(command);
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let said = Mutex::new(String::new());
    thread::scope(|scope| {
        let said = &said;
        let hear = |source: Box<dyn Read + Send>| {
            scope.spawn(move || {
                for line in BufReader::new(source).lines().map_while(Result::ok) {
                    *said.lock().unwrap() += &format!("{line}\n");
                }
            });
        };
        hear(Box::new(stdout));
        hear(Box::new(stderr));
        poll(sign, || {
            let said = said.lock().unwrap();
            assert!(child.try_wait().unwrap().is_none(), "{said}");
            said.contains(sign).then_some(())
        });
        child.kill().unwrap();
        child.wait().unwrap();
    });
}
