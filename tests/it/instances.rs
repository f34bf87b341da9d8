//! Instances: told by command, by message, and with the statement of `docs/instances.md` in several languages.

// As it stands in the document, for an application of its own.
#[allow(unreachable_pub)]
mod application;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::documents::{blocks, root};
use crate::process::{
    Conversation, Folder, execute, expect_error, reply, run, skipped, texts, unchanged, words,
};

fn document() -> std::path::PathBuf {
    root().join("docs/instances.md")
}

/// The one block of a kind that the page has.
fn snippet(kind: &str) -> String {
    let blocks = blocks(&document(), kind);
    assert_eq!(blocks.len(), 1, "blocks of {kind}");
    blocks.concat()
}

// The statement.

#[test]
fn every_snippet_says_the_one_statement() {
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let statement = squeezed(&snippet("sql"));
    for kind in ["python", "js", "ruby", "go", "rust"] {
        assert!(squeezed(&snippet(kind)).contains(&statement), "{kind}");
    }
}

#[test]
fn snippet_in_rust_is_the_one_that_is_tested() {
    let file = root().join("tests/it/instances/application.rs");
    assert_eq!(snippet("rust"), fs::read_to_string(file).unwrap());
}

#[test]
fn snippet_in_rust_registers_and_retires() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    let connection = Connection::open(&db).unwrap();
    assert!(!application::register(&connection, "app", 0).unwrap());
    make_ledger(&db);
    for _ in 0..2 {
        assert!(application::register(&connection, "app", 0).unwrap());
        expect_listed(&db, std::process::id());
    }
    application::retire(&connection, "app").unwrap();
    assert_eq!(list(&db), json!([]));
}

const PYTHON: &str = "
import sys

connection = sqlite3.connect(sys.argv[1])
for line in sys.stdin:
    said = register(connection, 0) if line == 'register\\n' else retire(connection)
    print('true' if said else 'false', flush=True)
";

#[test]
fn snippet_in_python_registers_and_retires() {
    expect_process("python3", "python", PYTHON);
}

const NODE: &str = "
function open(path) {
  try {
    return new (require('node:sqlite').DatabaseSync)(path);
  } catch {
    return new (require('better-sqlite3'))(path);
  }
}
const connection = open(process.argv[2]);
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  console.log(line === 'register' ? register(connection, 0) : retire(connection) ?? false);
});
";

#[test]
fn snippet_in_node_registers_and_retires() {
    expect_process("node", "js", NODE);
}

/// Runs the snippet of a kind as a process that registers or retires when it is told to.
fn expect_process(program: &str, kind: &str, driver: &str) {
    let folder = Folder::new();
    let db = folder.seeded(10);
    let script = folder.join("application");
    fs::write(&script, snippet(kind) + driver).unwrap();
    let mut command = Command::new(program);
    command.arg(script).arg(&db);
    let trial = command.stdin(Stdio::null()).output();
    match trial {
        Ok(output) if output.status.success() => {}
        Ok(output) => return skipped(&String::from_utf8_lossy(&output.stderr)),
        Err(error) => return skipped(&format!("{program}: {error}")),
    }
    let mut process = Conversation::start(&mut command);
    assert_eq!(process.ask("register"), "false");
    make_ledger(&db);
    for _ in 0..2 {
        assert_eq!(process.ask("register"), "true");
        expect_listed(&db, process.child.id());
    }
    assert_eq!(process.ask("retire"), "false");
    assert_eq!(list(&db), json!([]));
    process.child.kill().unwrap();
    process.child.wait().unwrap();
}

/// Has the file get a ledger before any change.
fn make_ledger(db: &Path) {
    words(db, "instance register first --version 0").done();
    words(db, "instance retire first").done();
}

fn list(db: &Path) -> Value {
    words(db, "instance list --json").done().json()["instances"].take()
}

/// There is one instance, which is that process.
#[track_caller]
fn expect_listed(db: &Path, pid: u32) {
    let list = list(db);
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    let instance = &list[0];
    assert_eq!(instance["pid"], pid, "{list}");
    assert_eq!(instance["live"], true, "{list}");
    assert_eq!(instance["version"], 0, "{list}");
    assert_eq!(instance["lease_seconds"], 60, "{list}");
}

// Messages and commands.

const REGISTER: &str = r#"{"type": "register_instance", "name": "web", "version": 0}"#;
const HEARTBEAT: &str = r#"{"type": "heartbeat", "name": "web"}"#;
const RETIRE: &str = r#"{"type": "retire_instance", "name": "web"}"#;

#[test]
fn instance_registers_lives_on_and_retires() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    let answer = |kind: &str| json!({"type": kind, "in_reply_to": null, "name": "web", "version": 0, "lease_seconds": 60});
    assert_eq!(reply(&db, REGISTER), answer("register_instance_ok"));
    execute(
        &db,
        "UPDATE _changeover_instances SET seen_at = seen_at - 50",
    );
    assert_eq!(reply(&db, HEARTBEAT), answer("heartbeat_ok"));
    let silence = list(&db)[0]["seen_seconds_ago"].as_i64().unwrap();
    assert!(silence < 50, "{silence}");
    for was_there in [true, false] {
        let answer = json!({"type": "retire_instance_ok", "in_reply_to": null, "name": "web", "was_registered": was_there});
        assert_eq!(reply(&db, RETIRE), answer);
    }
    let ran = words(&db, "instance retire web").done();
    assert_eq!(ran.stdout, "web was not registered\n");
}

#[test]
fn heartbeat_of_who_is_not_believed_to_live_is_refused() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    unchanged(&db, || {
        expect_error(&reply(&db, HEARTBEAT), 20, "no live instance `web`");
        words(&db, "instance heartbeat web").failed(3, "register again");
        assert_eq!(reply(&db, RETIRE)["was_registered"], false);
    });
    reply(&db, REGISTER);
    execute(
        &db,
        "UPDATE _changeover_instances SET seen_at = seen_at - 70",
    );
    unchanged(&db, || {
        expect_error(
            &reply(&db, HEARTBEAT),
            20,
            "its lease has ended; register again",
        );
    });
    reply(&db, REGISTER);
    assert_eq!(reply(&db, HEARTBEAT)["type"], "heartbeat_ok");
}

#[test]
fn registering_again_replaces() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    let line = "instance register web --version 0 --lease 5m --app-version 1.0 --pid 7";
    words(&db, line).done();
    reply(&db, REGISTER);
    let mut list = list(&db);
    list[0]
        .as_object_mut()
        .unwrap()
        .retain(|key, _| !key.contains("seconds_"));
    assert_eq!(
        list,
        json!([{"name": "web", "version": 0, "app_version": null, "pid": null, "live": true, "lease_seconds": 60}])
    );
}

#[test]
fn what_nobody_can_mean_is_refused() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    let long = "x".repeat(900_000);
    let fields = |name: &str, more: &str| {
        format!(r#"{{"type": "register_instance", "name": "{name}", "version": 0{more}}}"#)
    };
    let names = [
        "",
        "a\\nb",
        "\\u0000",
        "\\u001b[2J",
        "\\u202eabc",
        long.as_str(),
    ];
    unchanged(&db, || {
        for name in names {
            for kind in ["register_instance", "heartbeat", "retire_instance"] {
                let message = fields(name, "").replace("register_instance", kind);
                let message = match kind {
                    "register_instance" => message,
                    _ => message.replace(r#", "version": 0"#, ""),
                };
                expect_error(
                    &reply(&db, &message),
                    12,
                    "`name`: it must be neither empty nor",
                );
            }
        }
        for lease in [
            "0",
            "-1",
            "86401",
            "31557600000",
            "1e300",
            "1.5",
            "\"60\"",
            "null",
            "9223372036854775808",
        ] {
            let message = fields("web", &format!(r#", "lease_seconds": {lease}"#));
            expect_error(&reply(&db, &message), 12, "`lease_seconds`");
        }
        for version in ["-1", "4294967296", "1.5", "\"2\"", "null", "[]"] {
            let message =
                fields("web", "").replace(r#""version": 0"#, &format!(r#""version": {version}"#));
            expect_error(&reply(&db, &message), 12, "`version`");
        }
        for more in [
            r#", "pid": 0"#,
            r#", "pid": -1"#,
            r#", "app_version": """#,
            r#", "app_version": 7"#,
            r#", "port": 80"#,
        ] {
            let field = more.split('"').nth(1).unwrap();
            expect_error(&reply(&db, &fields("web", more)), 12, &format!("`{field}`"));
        }
        let ahead = fields("web", "").replace(r#""version": 0"#, r#""version": 1"#);
        expect_error(
            &reply(&db, &ahead),
            22,
            "says version 1, and the file has come to 0",
        );
        for line in [
            "",
            "web",
            "web --version -1",
            "web --version 0 --lease 0",
            "web --version 0 --lease 25h",
            "web --version 0 --lease=-5",
        ] {
            assert_eq!(
                words(&db, &format!("instance register {line}")).code(),
                2,
                "{line}"
            );
        }
        assert_eq!(
            run(&db, ["instance", "register", "", "--version", "0"]).code(),
            2
        );
        assert_eq!(run(&db, ["instance", "heartbeat", "a\nb"]).code(), 2);
        words(&db, "instance register web --version 1").failed(3, "says version 1");
    });
}

#[test]
fn table_refuses_what_nobody_can_mean() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    make_ledger(&db);
    let connection = Connection::open(&db).unwrap();
    let insert = |columns: &str, values: &str| {
        let sql = format!("INSERT INTO _changeover_instances ({columns}) VALUES ({values})");
        connection.execute(&sql, [])
    };
    for name in [
        "NULL",
        "''",
        "7",
        "x'61'",
        "'a' || char(0) || 'b'",
        "'a' || char(10)",
        "char(27) || '[2J'",
        "char(127)",
        "char(133)",
        "printf('%.201c', 'x')",
        "printf('%.1000000c', 'x')",
    ] {
        let outcome = insert("name, version", &format!("{name}, 0"));
        // A column of TEXT takes a number for its text.
        assert_eq!(outcome.is_ok(), name == "7", "{name}: {outcome:?}");
    }
    for (columns, values) in [
        ("version", "NULL"),
        ("version", "-1"),
        ("version", "4294967296"),
        ("version", "'new'"),
        ("version", "1.5"),
        ("version, lease_seconds", "0, 0"),
        ("version, lease_seconds", "0, -60"),
        ("version, lease_seconds", "0, 86401"),
        ("version, lease_seconds", "0, 31557600000"),
        ("version, lease_seconds", "0, 'long'"),
        ("version, pid", "0, 0"),
        ("version, pid", "0, 'me'"),
        ("version, app_version", "0, x'00'"),
        ("version, app_version", "0, printf('%.201c', 'x')"),
        ("version, seen_at", "0, 'now'"),
        ("version, seen_at", "0, NULL"),
        ("version, seen_at", "0, 1e300"),
    ] {
        let outcome = insert(&format!("name, {columns}"), &format!("'web', {values}"));
        assert!(outcome.is_err(), "{columns}: {values}");
    }
    for name in ["Zoë's", "李", "a]b^c-d*e?f[g"] {
        let sql = "INSERT INTO _changeover_instances (name, version) VALUES (?1, 0)";
        connection.execute(sql, params![name]).unwrap();
    }
}

#[test]
fn text_that_is_none_is_shown_all_the_same() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    make_ledger(&db);
    execute(
        &db,
        "INSERT INTO _changeover_instances (name, version, app_version)
         VALUES (CAST(x'61ff' AS TEXT), 0, 'a' || char(27) || '[2J')",
    );
    let ran = words(&db, "instance list").done();
    assert!(ran.stdout.contains("a\u{fffd}"), "{ran:?}");
    assert!(!ran.stdout.contains('\u{1b}'), "{ran:?}");
    words(&db, "who").done();
    words(&db, "who --json").done();
}

#[test]
fn ledger_of_before_has_no_instances_and_gets_a_place_for_them() {
    let folder = Folder::new();
    let fixture = root().join("fixtures/ledgers/v3-migrated.sql");
    let db = folder.made(&fs::read_to_string(fixture).unwrap());
    unchanged(&db, || {
        assert_eq!(list(&db), json!([]));
        expect_error(&reply(&db, HEARTBEAT), 20, "no live instance");
        assert_eq!(reply(&db, RETIRE)["was_registered"], false);
        let who = reply(&db, r#"{"type": "who"}"#);
        assert_eq!(who["changes"][0]["gate"], "open", "{who}");
    });
    reply(&db, REGISTER);
    words(&db, "contract users name").failed(3, "instance `web` knows version 0");
    words(&db, "instance retire web").done();
    words(&db, "contract users name").done();
    words(&db, "forget").done();
    let ours = "SELECT name FROM sqlite_schema WHERE name LIKE '\\_changeover%' ESCAPE '\\'";
    assert_eq!(texts(&db, ours), [""; 0]);
}
