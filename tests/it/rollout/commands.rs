//! The commands of a rollout, and what is told of them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::file::good;
use crate::process::{
    Dice, Folder, Ran, await_end, finish, number, on, poll, start, texts, unchanged,
};

/// A sample, and a rollout of three instances that are nothing but commands.
struct Site {
    folder: Folder,
    db: PathBuf,
}

impl Site {
    fn of(change: impl FnOnce(&mut Value)) -> Self {
        let folder = Folder::new();
        let site = Self {
            db: folder.seeded(3),
            folder,
        };
        site.describe(change);
        site
    }

    fn describe(&self, change: impl FnOnce(&mut Value)) {
        let mut rollout = good();
        change(&mut rollout);
        fs::write(self.folder.join("rollout.json"), rollout.to_string()).unwrap();
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut command = on(&self.db);
        command.args(["rollout", "rollout.json"]).args(options);
        command.current_dir(self.folder.path());
        command
    }

    fn roll_out(&self, options: &[&str]) -> Ran {
        finish(&mut self.command(options), b"")
    }

    /// What the commands have written.
    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

#[test]
fn commands_know_the_instance_and_the_version() {
    let site = Site::of(|_| ());
    site.roll_out(&[]).done();
    assert_eq!(site.log(), ["deploy a 2", "deploy b 2", "deploy c 2"]);
    site.roll_out(&[]).done();
    assert_eq!(site.log().len(), 3, "nothing is done twice");
}

#[test]
fn dry_run_prints_everything_and_does_nothing() {
    let site = Site::of(|_| ());
    for json in [&[][..], &["--json"]] {
        let options = [&["--dry-run"], json].concat();
        let ran = unchanged(&site.db, || site.roll_out(&options)).done();
        for word in ["ALTER TABLE", "echo deploy", "echo restore", "\"true\""] {
            let word = if json.is_empty() {
                word.to_owned()
            } else {
                word.replace('"', "\\\"")
            };
            assert!(ran.stdout.contains(&word), "{word} in {}", ran.stdout);
        }
    }
    assert_eq!(site.log(), [""; 0]);
    site.describe(|rollout| rollout["instances"][1]["health"]["command"] = json!(["false"]));
    assert_eq!(site.roll_out(&[]).code(), 3);
    let ran = unchanged(&site.db, || site.roll_out(&["--dry-run"])).done();
    assert!(ran.stdout.contains("applied already"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("DROP TABLE"),
        "contract is planned: {}",
        ran.stdout
    );
}

#[test]
fn command_that_fails_is_told_with_its_last_words() {
    let deploy = "seq 100; echo out of order >&2; exit 7";
    let site = Site::of(|rollout| rollout["instances"][1]["deploy"] = json!(["sh", "-c", deploy]));
    let ran = site.roll_out(&[]);
    assert_eq!(ran.code(), 3, "{ran:?}");
    let said = &ran.stderr;
    assert!(said.contains("failed, exit status: 7"), "{said}");
    assert!(said.contains("\n  | 100\n  | out of order\n"), "{said}");
    assert!(
        !said.contains("| 10\n"),
        "the beginning is left out: {said}"
    );
    assert_eq!(site.log(), ["deploy a 2", "restore b 0"]);
    assert!(!said.contains("guest-3"), "{said}");
}

#[test]
fn program_that_is_not_there_is_told() {
    let site = Site::of(|rollout| rollout["instances"][0]["deploy"] = json!(["./depoly"]));
    let ran = site.roll_out(&[]);
    assert_eq!(ran.code(), 3, "{ran:?}");
    assert!(ran.stderr.contains("./depoly: not found"), "{ran:?}");
}

#[test]
fn command_that_hangs_is_ended_with_all_that_it_started() {
    let deploy = "sleep 600 & echo $! >sleeping; wait";
    let site = Site::of(|rollout| {
        rollout["instances"][0]["deploy"] = json!(["sh", "-c", deploy]);
        rollout["instances"][0]["timeout"] = 0.3.into();
    });
    let begun = Instant::now();
    let ran = site.roll_out(&[]);
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(ran.code(), 3, "{ran:?}");
    assert!(ran.stderr.contains("took longer than 300ms"), "{ran:?}");
    assert_eq!(site.log(), ["restore a 0"]);
    let pid = fs::read_to_string(site.folder.join("sleeping")).unwrap();
    poll("the end of what it started", || {
        let state = Command::new("ps")
            .args(["-o", "stat=", "-p", pid.trim()])
            .output()
            .unwrap();
        let state = String::from_utf8(state.stdout).unwrap();
        (state.is_empty() || state.starts_with('Z')).then_some(())
    });
}

#[test]
fn what_a_command_leaves_running_holds_nothing_up() {
    let deploy = "sleep 5 & true";
    let site = Site::of(|rollout| rollout["instances"][0]["deploy"] = json!(["sh", "-c", deploy]));
    let begun = Instant::now();
    site.roll_out(&[]).done();
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn instance_that_cannot_be_put_back_is_told() {
    let site = Site::of(|rollout| {
        let instance = &mut rollout["instances"][0];
        instance["health"]["command"] = json!(["false"]);
        instance["restore"] = Value::Null;
    });
    let ran = site.roll_out(&[]);
    assert_eq!(ran.code(), 3, "{ran:?}");
    assert!(
        ran.stderr.contains("it has no `restore` command"),
        "{ran:?}"
    );
    site.describe(|rollout| rollout["instances"][0]["health"]["command"] = json!(["false"]));
    let ran = site.roll_out(&[]);
    assert!(
        ran.stderr.contains("nor is it in the old version"),
        "{ran:?}"
    );
    assert_eq!(site.log(), ["deploy a 2", "deploy a 2", "restore a 0"]);
}

#[test]
fn instance_is_done_with_the_command_that_the_file_names() {
    let site = Site::of(|rollout| rollout["instances"][2]["health"]["command"] = json!(["false"]));
    assert_eq!(site.roll_out(&[]).code(), 3);
    site.describe(|rollout| {
        let deploy = "echo anew $CHANGEOVER_INSTANCE >>log";
        rollout["instances"][0]["deploy"] = json!(["sh", "-c", deploy]);
    });
    site.roll_out(&[]).done();
    let log = site.log();
    assert_eq!(
        log,
        [
            "deploy a 2",
            "deploy b 2",
            "deploy c 2",
            "restore c 0",
            "anew a",
            "deploy c 2"
        ]
    );
}

#[test]
fn instance_that_is_healthy_no_more_is_deployed_anew() {
    let site = Site::of(|rollout| {
        rollout["instances"][0]["health"]["command"] = json!(["test", "-e", "log"]);
        rollout["instances"][1]["health"]["command"] = json!(["false"]);
    });
    assert_eq!(site.roll_out(&[]).code(), 3);
    fs::remove_file(site.folder.join("log")).unwrap();
    site.describe(|rollout| {
        rollout["instances"][0]["health"]["command"] = json!(["test", "-e", "log"]);
    });
    site.roll_out(&[]).done();
    assert_eq!(site.log(), ["deploy a 2", "deploy b 2", "deploy c 2"]);
}

#[test]
fn old_column_is_held_where_the_file_says_so() {
    let site = Site::of(|rollout| rollout["change"]["hold"] = json!(3600));
    for _ in 0..2 {
        let said = site.roll_out(&[]).done();
        let held = "version 3  hold_name_column  users (full_name)";
        assert_eq!(said.lines().last(), Some(&held));
    }
    assert_eq!(site.log(), ["deploy a 2", "deploy b 2", "deploy c 2"]);
    assert_eq!(
        texts(&site.db, "SELECT state FROM _changeover_changes"),
        ["held"]
    );
    let alike = "SELECT count(*) FROM users WHERE name = full_name";
    assert_eq!(number(&site.db, alike), 3);
}

#[test]
fn one_rollout_of_a_file_runs_at_a_time() {
    let site = Site::of(|rollout| {
        let deploy = "touch begun; while [ ! -e end ]; do sleep 0.01; done";
        rollout["instances"][0]["deploy"] = json!(["sh", "-c", deploy]);
    });
    let first = start(&mut site.command(&[]));
    poll("the first", || {
        site.folder.join("begun").exists().then_some(())
    });
    site.roll_out(&[])
        .failed(4, "another changeover is at work");
    fs::write(site.folder.join("end"), "").unwrap();
    await_end(first, b"").done();
}

#[test]
fn json_tells_each_step_on_a_line() {
    let site = Site::of(|rollout| {
        rollout["instances"].as_array_mut().unwrap().truncate(1);
        let check = "test -e up || { touch up; exit 1; }";
        rollout["instances"][0]["health"]["command"] = json!(["sh", "-c", check]);
    });
    let ran = site.roll_out(&["--json"]).done();
    assert_eq!(ran.stderr, "");
    let lines = ran.lines();
    let lines: Vec<Value> = lines
        .iter()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    let told: Vec<(&str, &str)> = lines
        .iter()
        .map(|it| {
            (
                it["type"].as_str().unwrap(),
                it["step"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("migration_applied", ""),
            ("data_migrated", ""),
            ("instance", "deploying"),
            ("instance", "unanswered"),
            ("instance", "healthy"),
            ("migration_applied", ""),
        ]
    );
    assert_eq!(lines[3]["attempt"], 1);
    assert_eq!(lines[3]["of"], 2);
}

#[test]
fn killed_at_any_moment_it_never_runs_two_commands_on_an_instance() {
    // What is in the middle of its work when the next one comes finds that out.
    let command = |version: &str| {
        let work = "mkdir $0.lock || echo overlap >>log; sleep 0.2; echo $1 >$0.is; rmdir $0.lock";
        json!([
            "sh",
            "-c",
            format!(
                "set -- {version}; {}",
                work.replace("$0", "$CHANGEOVER_INSTANCE")
            )
        ])
    };
    let site = Site::of(|rollout| {
        for instance in rollout["instances"].as_array_mut().unwrap() {
            (instance["deploy"], instance["restore"]) = (command("new"), command("old"));
            let is_up = "test -e $CHANGEOVER_INSTANCE.is && test ! -e broken";
            instance["health"]["command"] = json!(["sh", "-c", is_up]);
        }
    });
    let mut dice = Dice::new();
    for turn in 0..12 {
        // Now and then it is on the way back that it is killed.
        let broken = site.folder.join("broken");
        let _ = if turn % 3 == 0 {
            fs::write(broken, "")
        } else {
            fs::remove_file(broken)
        };
        let mut rollout = start(&mut site.command(&[]));
        thread::sleep(Duration::from_millis(dice.roll(300).into()));
        rollout.kill().unwrap();
        rollout.wait().unwrap();
    }
    let _ = fs::remove_file(site.folder.join("broken"));
    site.roll_out(&[]).done();
    assert_eq!(site.log(), [""; 0]);
    for name in ["a", "b", "c"] {
        assert_eq!(
            fs::read_to_string(site.folder.join(&format!("{name}.is"))).unwrap(),
            "new\n"
        );
    }
}

#[test]
fn healthy_is_who_answers_with_success_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/up", listener.local_addr().unwrap());
    let site = Site::of(|rollout| {
        rollout["instances"].as_array_mut().unwrap().truncate(1);
        rollout["instances"][0]["health"] =
            json!({"url": url, "timeout": 0.3, "attempts": 9, "interval": 0.01});
    });
    let server = thread::spawn(move || {
        let answers = [
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
            "no HTTP\r\n\r\n",
            "",
            "HTTP/1.1 204 No Content\r\n\r\n",
        ];
        // Those that are kept open never answer more.
        let mut open = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            open.push(stream);
        }
    });
    let ran = site.roll_out(&["--json"]).done();
    server.join().unwrap();
    let problems: Vec<&str> = ran
        .lines()
        .into_iter()
        .filter(|it| it.contains("unanswered"))
        .collect();
    assert_eq!(problems.len(), 4, "{problems:?}");
    for (problem, word) in problems.iter().zip(["503", "302", "", "timeout"]) {
        assert!(problem.contains(word), "{problem}");
    }
}

#[test]
fn ledger_goes_with_all_that_a_rollout_keeps() {
    let site = Site::of(|_| ());
    site.roll_out(&[]).done();
    finish(on(&site.db).arg("forget"), b"").done();
    let left = texts(
        &site.db,
        "SELECT name FROM sqlite_schema WHERE name LIKE '\\_change%' ESCAPE '\\'",
    );
    assert_eq!(left, [""; 0]);
}
