//! The gate before contract: each kind of evidence keeps it shut, and no longer than it should.

use std::path::{Path, PathBuf};
use std::process::Child;

use changeover::changeover::Changeover;
use changeover::request::{Contract, Request};
use changeover::{Event, Options, unobserved};
use serde_json::{Value, json};

use crate::process::{
    Conversation, EXPAND, Folder, MIGRATE, await_end, execute, expect_error, finish, number, on,
    open, poll, replies, reply, skipped, start, texts, unchanged, words,
};
use crate::support::Error;

/// A sample whose data are migrated: version 2.
fn migrated(folder: &Folder) -> PathBuf {
    let db = folder.seeded(10);
    replies(&db, format!("{EXPAND}\n{MIGRATE}\n"));
    db
}

const CONTRACT: &str = "contract users name";

/// Contract is refused for one reason, in words, in JSON and as an error of the message, and the file stays as it was.
#[track_caller]
fn shut(db: &Path, terms: &str, sentence: &str) {
    let line = format!("{CONTRACT} {terms}");
    unchanged(db, || {
        let ran = words(db, &line).failed(3, sentence);
        assert_eq!(ran.stderr.matches("\n  - ").count(), 1, "{ran:?}");
        assert!(ran.stderr.contains("\nhint: `changeover who` shows"));
        let ran = words(db, &format!("{line} --json"));
        assert_eq!(ran.code(), 3, "{ran:?}");
        expect_error(&ran.json(), 22, sentence);
        let plan = words(db, &format!("plan {line}")).done();
        let warned = format!("-- warning: the gate is shut: {sentence}");
        assert!(plan.stdout.contains(&warned), "{plan:?}");
    });
    if terms.is_empty() {
        let change = &reply(db, r#"{"type": "who"}"#)["changes"][0];
        assert_eq!(change["gate"], "shut", "{change}");
        let finding = change["reasons"][0]["finding"].as_str().unwrap();
        let is_it = sentence.starts_with(finding) || finding.starts_with(sentence);
        assert!(is_it, "{finding}");
        expect_error(&reply(db, MESSAGE), 22, sentence);
    }
}

const MESSAGE: &str =
    r#"{"type": "migrate", "phase": "contract", "table": "users", "remove_column": "name"}"#;

/// Contract is let pass.
#[track_caller]
fn opens(db: &Path, terms: &str) {
    let ran = words(db, &format!("{CONTRACT} {terms}")).done();
    assert!(ran.stdout.starts_with("version 3  remove_name_column"));
}

// Instances.

#[test]
fn live_instance_of_before_keeps_it_shut_until_it_retires() {
    let folder = Folder::new();
    let db = migrated(&folder);
    words(&db, "instance register web-1 --version 1").done();
    words(&db, "instance register web-2 --version 2").done();
    shut(
        &db,
        "",
        "instance `web-1` knows version 1, and the new column came with version 2",
    );
    words(&db, "instance retire web-1").done();
    opens(&db, "");
}

#[test]
fn instance_that_learns_opens_it() {
    let folder = Folder::new();
    let db = migrated(&folder);
    words(&db, "instance register web-1 --version 0").done();
    shut(&db, "", "instance `web-1` knows version 0");
    words(&db, "instance register web-1 --version 2").done();
    opens(&db, "");
}

#[test]
fn every_reason_is_named() {
    let folder = Folder::new();
    let db = migrated(&folder);
    for name in ["a", "b"] {
        words(&db, &format!("instance register {name} --version 1")).done();
    }
    execute(&db, "INSERT INTO users(name) VALUES ('by an old version')");
    let ran = words(&db, CONTRACT).failed(3, "instance `a`");
    for sentence in ["instance `b`", "an application still writes `name` alone"] {
        assert!(ran.stderr.contains(sentence), "{ran:?}");
    }
}

/// A process that registers with a lease of so many seconds, and then does nothing.
fn instance(db: &Path, seconds: u32) -> Conversation {
    let mut process = Conversation::start(on(db).arg("node"));
    let said = process.ask(&format!(
        r#"{{"type": "register_instance", "name": "killed", "version": 1, "lease_seconds": {seconds}, "pid": {}}}"#,
        process.child.id()
    ));
    assert!(said.contains("register_instance_ok"), "{said}");
    process
}

#[test]
fn instance_that_is_killed_counts_until_its_lease_ends() {
    let folder = Folder::new();
    let db = migrated(&folder);
    let mut process = instance(&db, 3);
    process.child.kill().unwrap();
    process.child.wait().unwrap();
    words(&db, CONTRACT).failed(3, "instance `killed` knows version 1");
    let ran = words(&db, &format!("{CONTRACT} --wait 1m")).done();
    assert!(
        ran.stderr
            .contains("waiting until the gate opens:\n  - instance `killed`")
    );
}

#[test]
fn version_that_nobody_can_know_is_not_believed() {
    let folder = Folder::new();
    let db = migrated(&folder);
    execute(
        &db,
        "INSERT INTO _changeover_instances(name, version) VALUES ('prophet', 9)",
    );
    shut(
        &db,
        "",
        "instance `prophet` says version 9, which the file has not come to: it is not believed",
    );
}

#[test]
fn heartbeat_of_the_far_future_is_none() {
    let folder = Folder::new();
    let db = migrated(&folder);
    for (name, seen_at) in [
        ("a", "9223372036854775807"),
        ("b", "-9223372036854775807"),
        ("c", "4000000000000"),
    ] {
        execute(
            &db,
            &format!(
                "INSERT INTO _changeover_instances(name, version, seen_at) VALUES ('{name}', 0, {seen_at})"
            ),
        );
    }
    let ran = words(&db, "instance list").done();
    assert_eq!(ran.stdout.matches("ended").count(), 3, "{ran:?}");
    opens(&db, "");
}

// Writes of the old column.

#[test]
fn write_of_the_old_column_keeps_it_shut_while_it_is_fresh() {
    let folder = Folder::new();
    let db = migrated(&folder);
    // The new column alone, and both, are no old versions' way to write.
    execute(&db, "INSERT INTO users(full_name) VALUES ('new')");
    execute(
        &db,
        "UPDATE users SET name = 'both', full_name = 'both' WHERE name = 'new'",
    );
    execute(&db, "UPDATE users SET name = 'old' WHERE name = 'both'");
    shut(
        &db,
        "",
        "an application still writes `name` alone; stop the old versions",
    );
    shut(
        &db,
        "--quiet-for 1h",
        "an application still writes `name` alone",
    );
    let waiting = r#""quiet_for": 3600}"#;
    expect_error(
        &reply(&db, &MESSAGE.replace('}', &format!(", {waiting}"))),
        22,
        "still writes",
    );
    let ran = words(&db, &format!("{CONTRACT} --quiet-for 2 --wait 1m")).done();
    assert!(ran.stdout.starts_with("version 3"), "{ran:?}");
}

#[test]
fn instance_that_says_it_is_new_and_writes_as_of_old_is_caught() {
    let folder = Folder::new();
    let db = migrated(&folder);
    words(&db, "instance register liar --version 2").done();
    execute(&db, "UPDATE users SET name = 'old' WHERE rowid = 1");
    shut(&db, "", "an application still writes `name` alone");
    opens(&db, "--quiet-for 0");
}

// Processes.

/// A `sqlite3` shell that has read from the file and stays open; none where there is no such program.
fn shell(db: &Path) -> Option<Child> {
    use std::io::Write as _;
    let mut command = std::process::Command::new("sqlite3");
    let started = command
        .arg(db)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn();
    let Ok(mut shell) = started else {
        skipped("there is no sqlite3");
        return None;
    };
    let input = shell.stdin.as_mut().unwrap();
    input.write_all(b"SELECT count(*) FROM users;\n").unwrap();
    poll("the shell in the census", || {
        let who = words(db, "who --json").done().json();
        let Some(processes) = who["processes"].as_array() else {
            return Some(());
        };
        let pid = shell.id();
        processes.iter().any(|it| it["pid"] == pid).then_some(())
    });
    Some(shell)
}

#[test]
fn shell_that_was_left_open_is_named_and_refused_only_where_that_is_strict() {
    if !Path::new("/proc/locks").exists() {
        return skipped("this system does not tell who has a file open");
    }
    for journal in ["WAL", "DELETE"] {
        let folder = Folder::new();
        let db = folder.seeded(10);
        execute(&db, &format!("PRAGMA journal_mode = {journal}"));
        let Some(mut shell) = shell(&db) else { return };
        replies(&db, format!("{EXPAND}\n{MIGRATE}\n"));
        let named = format!("process {} (`sqlite3 ", shell.id());
        let ran = words(&db, &format!("{CONTRACT} --strict")).failed(3, &named);
        assert!(ran.stderr.contains("is older than version 2"), "{ran:?}");
        let plan = words(&db, &format!("plan {CONTRACT}")).done();
        assert!(
            plan.stdout.contains(&format!("-- warning: {named}")),
            "{plan:?}"
        );
        let who = words(&db, "who").done();
        assert!(who.stdout.contains("the gate is open"), "{who:?}");
        assert!(
            who.stdout.contains(&format!("  - warning: {named}")),
            "{who:?}"
        );
        // A process that says who it is.
        let register = format!("instance register shell --version 2 --pid {}", shell.id());
        words(&db, &register).done();
        let plan = words(&db, &format!("plan {CONTRACT} --strict")).done();
        assert!(!plan.stdout.contains(&named), "{plan:?}");
        words(&db, "instance retire shell").done();
        let ran = words(&db, CONTRACT).done();
        assert!(
            ran.stderr.starts_with(&format!("warning: {named}")),
            "{ran:?}"
        );
        shell.kill().unwrap();
        shell.wait().unwrap();
    }
}

#[test]
fn process_that_began_later_is_no_reason() {
    let folder = Folder::new();
    let db = migrated(&folder);
    // Linux tells the start of a process to a hundredth of a second, and what may be older is taken for older.
    let later = "SELECT unixepoch('subsec') - unixepoch(applied_at, 'subsec') > 0.05 FROM _changeover_history WHERE version = 2";
    poll("a moment that is later", || {
        (number(&db, later) == 1).then_some(())
    });
    let Some(mut shell) = shell(&db) else { return };
    opens(&db, "--strict");
    shell.kill().unwrap();
    shell.wait().unwrap();
}

// Waiting.

#[test]
fn waiting_contract_goes_on_when_the_last_instance_retires() {
    let folder = Folder::new();
    let db = migrated(&folder);
    for name in ["a", "b"] {
        words(&db, &format!("instance register {name} --version 1")).done();
    }
    let mut waiting = start(on(&db).args(["contract", "users", "name", "--wait", "5m"]));
    let mut said = std::io::BufReader::new(waiting.stderr.take().unwrap());
    let mut heard = String::new();
    let mut hear = |sentence: &str| {
        while !heard.contains(sentence) {
            heard.clear();
            assert!(
                std::io::BufRead::read_line(&mut said, &mut heard).unwrap() > 0,
                "{sentence}"
            );
        }
    };
    hear("instance `b`");
    words(&db, "instance retire a").done();
    // What it waits for is another thing now.
    hear("waiting until the gate opens:");
    hear("instance `b`");
    assert_eq!(
        number(&db, "SELECT max(version) FROM _changeover_history"),
        2
    );
    words(&db, "instance retire b").done();
    let ran = await_end(waiting, b"").done();
    assert!(ran.stdout.starts_with("version 3"), "{ran:?}");
}

#[test]
fn waiting_contract_gives_up_in_time_and_at_ctrl_c() {
    let folder = Folder::new();
    let db = migrated(&folder);
    words(&db, "instance register a --version 1").done();
    unchanged(&db, || {
        let ran = words(&db, &format!("{CONTRACT} --wait 0.3"));
        assert_eq!(ran.code(), 3, "{ran:?}");
        assert!(ran.stderr.starts_with("waiting until the gate opens:\n"));
        assert!(ran.stderr.contains("\nerror: the gate is shut"), "{ran:?}");
        let message = MESSAGE.replace('}', r#", "wait": 0.3}"#);
        expect_error(&reply(&db, &message), 22, "instance `a`");
        // With --json nothing but the reply is said.
        let ran = words(&db, &format!("{CONTRACT} --wait 0.3 --json"));
        assert_eq!(ran.stderr, "");
        expect_error(&ran.json(), 22, "instance `a`");

        let mut waiting = start(on(&db).args(["contract", "users", "name", "--wait", "5m"]));
        let mut said = std::io::BufReader::new(waiting.stderr.take().unwrap());
        let mut heard = String::new();
        std::io::BufRead::read_line(&mut said, &mut heard).unwrap();
        let mut kill = std::process::Command::new("kill");
        finish(kill.args(["-INT", &waiting.id().to_string()]), b"").done();
        assert_eq!(await_end(waiting, b"").code(), 4);
        std::io::Read::read_to_string(&mut said, &mut heard).unwrap();
        assert!(heard.contains("nothing was changed"), "{heard}");
    });
}

#[test]
fn library_tells_what_is_waited_for_and_what_was_passed() {
    let folder = Folder::new();
    let db = migrated(&folder);
    words(&db, "instance register a --version 1").done();
    let contract = Contract {
        wait: std::time::Duration::from_mins(1),
        ..Contract::of("users", "name")
    };
    let mut changeover = Changeover::open(&db, Options::default()).unwrap();
    let mut told = Vec::new();
    let outcome = changeover.apply(&Request::Contract(contract.clone()), &mut |event| {
        told.push(event.clone());
        std::ops::ControlFlow::Break(())
    });
    assert!(matches!(outcome, Err(Error::CalledOff)), "{outcome:?}");
    let [Event::GateShut { reasons }] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(
        reasons[0].starts_with("instance `a` knows version 1"),
        "{reasons:?}"
    );
    let forced = Contract {
        force: true,
        reason: Some("a test".parse().unwrap()),
        ..contract
    };
    told.clear();
    let outcome = changeover.apply(&Request::Contract(forced), &mut |event| {
        told.push(event.clone());
        std::ops::ControlFlow::Continue(())
    });
    assert_eq!(outcome.unwrap().forced.as_deref(), Some("a test"));
    let [Event::GatePassed { in_spite_of }, ..] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(in_spite_of[0].starts_with("instance `a` knows version 1"));
}

// Force.

#[test]
fn force_goes_past_it_and_its_reason_is_kept() {
    for online in ["always", "never"] {
        let folder = Folder::new();
        let db = migrated(&folder);
        words(&db, "instance register a --version 1").done();
        let args = [
            "contract", "users", "name", "--online", online, "--force", "--reason", "it hangs",
        ];
        let ran = finish(on(&db).args(args), b"").done();
        assert!(
            ran.stderr
                .starts_with("warning: instance `a` knows version 1"),
            "{ran:?}"
        );
        let history = words(&db, "history").done();
        assert!(
            history.lines()[2].ends_with("users (full_name)  (forced: it hangs)"),
            "{history:?}"
        );
        let history = reply(&db, r#"{"type": "history"}"#);
        let forced: Vec<&Value> = history["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["forced"])
            .collect();
        assert_eq!(forced, [&json!(null), &json!(null), &json!("it hangs")]);
    }
}

#[test]
fn force_needs_a_reason_and_does_not_pass_over_rows() {
    let folder = Folder::new();
    let db = migrated(&folder);
    unchanged(&db, || {
        let with = |fields: &str| reply(&db, &MESSAGE.replace('}', &format!(", {fields}}}")));
        expect_error(&with(r#""force": true"#), 12, "`force` needs a `reason`");
        expect_error(
            &with(r#""reason": "why""#),
            12,
            "a `reason` is for `force` alone",
        );
        expect_error(
            &with(r#""force": true, "reason": """#),
            12,
            "`reason`: it must be neither empty",
        );
        expect_error(&with(r#""force": "yes""#), 12, "`force`");
        assert_eq!(words(&db, "contract users name --force").code(), 2);
        assert_eq!(words(&db, "contract users name --reason why").code(), 2);
    });
    let connection = open(&db);
    let config = rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER;
    connection.set_db_config(config, false).unwrap();
    connection
        .execute_batch("UPDATE users SET name = 'other' WHERE rowid = 1")
        .unwrap();
    drop(connection);
    words(&db, "contract users name --force --reason why").failed(3, "hold different values");
    words(
        &db,
        "contract users name --force --reason why --online always",
    )
    .failed(3, "hold different values");
}

// The rest.

#[test]
fn contract_that_is_under_way_goes_on_without_asking() {
    let folder = Folder::new();
    let db = migrated(&folder);
    execute(&db, "UPDATE _changeover_runs SET paused = 1");
    let line = [
        "contract",
        "users",
        "name",
        "--online",
        "always",
        "--batch-rows",
        "2",
    ];
    let mut child = start(on(&db).args(line));
    poll("the state of the change", || {
        let state = texts(&db, "SELECT state FROM _changeover_changes");
        (state == ["contracting"]).then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    words(&db, "instance register late --version 1").done();
    let who = words(&db, "who").done();
    assert!(
        who.stdout
            .contains("the gate was passed: contract is under way"),
        "{who:?}"
    );
    words(&db, "resume").done();
    finish(on(&db).args(line), b"").done();
}

#[test]
fn terms_that_make_no_sense_are_refused() {
    let folder = Folder::new();
    let db = migrated(&folder);
    unchanged(&db, || {
        for fields in [
            r#""quiet_for": -1"#,
            r#""quiet_for": "long""#,
            r#""quiet_for": 1e300"#,
            r#""quiet_for": null"#,
            r#""wait": -0.5"#,
            r#""wait": []"#,
            r#""strict": 1"#,
            r#""force": true, "reason": 7"#,
        ] {
            let message = MESSAGE.replace('}', &format!(", {fields}}}"));
            let field = fields
                .rsplit(", ")
                .next()
                .unwrap()
                .split('"')
                .nth(1)
                .unwrap();
            expect_error(&reply(&db, &message), 12, &format!("`{field}`"));
        }
        for terms in [
            "--quiet-for -1",
            "--quiet-for=-1",
            "--quiet-for x",
            "--quiet-for 5d",
            "--wait 1e300",
            "--wait=",
        ] {
            let ran = words(&db, &format!("{CONTRACT} {terms}"));
            assert_eq!(ran.code(), 2, "{terms}: {ran:?}");
        }
    });
}

#[test]
fn change_that_is_not_migrated_says_so_to_those_who_ask() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    unchanged(&db, || {
        let who = words(&db, "who").done();
        assert!(who.stdout.contains("no instance is registered"), "{who:?}");
        assert!(who.stdout.contains("no change is open"), "{who:?}");
        assert!(who.stdout.contains("leaves no trace"), "{who:?}");
    });
    words(&db, "expand users full_name --from name").done();
    let who = reply(&db, r#"{"type": "who", "msg_id": 1}"#);
    let change = &who["changes"][0];
    assert_eq!(change["reasons"][0]["kind"], "not_migrated", "{who}");
    assert_eq!(change["reasons"][0]["remedy"], "run migrate data", "{who}");
}

#[test]
fn evidence_is_bounded_however_much_there_is() {
    let folder = Folder::new();
    let db = migrated(&folder);
    execute(
        &db,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO _changeover_instances(name, version, seen_at) SELECT 'ended ' || i, 0, i FROM n;
         INSERT INTO _changeover_instances(name, version) VALUES ('the last', 1)",
    );
    assert_eq!(words(&db, "instance list").done().lines().len(), 1001);
    shut(&db, "", "instance `the last` knows version 1");
    // Whoever registers clears away those that ended long ago.
    words(&db, "instance register the-next --version 2").done();
    assert_eq!(number(&db, "SELECT count(*) FROM _changeover_instances"), 2);
    let mut changeover = Changeover::open(&db, Options::default()).unwrap();
    let contract = Request::Contract(Contract::of("users", "name"));
    let refused = changeover.apply(&contract, &mut unobserved);
    assert!(
        matches!(refused, Err(Error::GateShut { .. })),
        "{refused:?}"
    );
}
