//! Files, names and moments that nobody wishes for: each is refused in words, or passes and leaves nothing half done.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::process::{
    CONTRACT, CONTRACTED, Conversation, EXPAND, EXPANDED, Folder, MIGRATE, MIGRATED, Ran,
    applications_part, await_end, bytes, changeover, everything, execute, execute_past_triggers,
    expect_error, finish, number, on, open, poll, program, replies, reply, run, skipped, start,
    texts, unchanged, words,
};

const PHASES: [&str; 3] = [
    "expand users full_name",
    "migrate-data name full_name",
    "contract users name",
];

/// A refusal in words and in JSON, which leave the file byte for byte.
#[track_caller]
fn refused(db: &Path, line: &str, exit: i32, code: u64, sentence: &str) {
    unchanged(db, || {
        words(db, line).failed(exit, sentence);
        let ran = words(db, &format!("--json {line}"));
        assert_eq!((ran.code(), ran.stderr.as_str()), (exit, ""), "{line}");
        expect_error(&ran.json(), code, sentence);
    });
}

// Files.

#[test]
fn file_that_is_no_database_is_refused() {
    let folder = Folder::new();
    let db = folder.join("app.db");
    let encrypted = (0..8192_u32)
        .map(|at| u8::try_from(at * 167 % 251).unwrap())
        .collect();
    for content in [
        b"just a text, and long enough to be looked at\n".repeat(100),
        b"xy".to_vec(),
        encrypted,
    ] {
        fs::write(&db, content).unwrap();
        for line in PHASES
            .iter()
            .chain(&["status", "history", "abort users", "forget"])
        {
            refused(&db, line, 1, 13, "the file is not a SQLite database");
        }
        unchanged(&db, || {
            finish(on(&db).arg("node"), EXPAND.as_bytes()).failed(1, "not a SQLite database")
        });
    }
}

#[test]
fn file_that_is_not_there_is_refused_and_not_made() {
    let folder = Folder::new();
    for path in ["app.db", "no/app.db"] {
        let db = folder.join(path);
        for line in PHASES.iter().chain(&["status", "plan abort users", "node"]) {
            words(&db, line).failed(3, &format!("error: no file `{}`\n", db.display()));
        }
        expect_error(&words(&db, "--json status").json(), 20, "no file");
    }
    fs::write(folder.join("file"), "").unwrap();
    let ran = words(&folder.join("file/app.db"), "status");
    assert_eq!(ran.code(), 1, "{ran:?}");
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn folder_is_refused() {
    let folder = Folder::new();
    for line in ["status", "expand users full_name", "node"] {
        words(folder.path(), line).failed(1, "is not a file");
    }
    expect_error(
        &words(folder.path(), "--json status").json(),
        13,
        "is not a file",
    );
    assert!(folder.names().is_empty());
}

#[test]
fn empty_file_is_a_database_without_tables() {
    let folder = Folder::new();
    let db = folder.join("app.db");
    fs::write(&db, "").unwrap();
    refused(&db, "expand users full_name", 3, 20, "no table `users`");
    refused(
        &db,
        "migrate-data name full_name --expand",
        3,
        20,
        "no table has a column `name`",
    );
    unchanged(&db, || {
        assert_eq!(words(&db, "status").done().stdout, "no change yet\n");
    });
    assert_eq!(bytes(&db), b"");
}

#[test]
fn truncated_file_is_told_to_be_damaged() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let whole = bytes(&db);
    for length in [whole.len() / 2, whole.len() - 4096, whole.len() / 2 + 77] {
        fs::write(&db, &whole[..length]).unwrap();
        for line in PHASES {
            let line = if line.starts_with("migrate") {
                "migrate-data name full_name --expand"
            } else {
                line
            };
            unchanged(&db, || {
                let ran = words(&db, line);
                let ran = ran.failed(
                    1,
                    "error: the file is damaged: database disk image is malformed\n",
                );
                assert!(
                    ran.stderr.contains("hint: `PRAGMA integrity_check`"),
                    "{ran:?}"
                );
            });
        }
    }
    fs::write(&db, &whole[..50]).unwrap();
    refused(&db, "expand users full_name", 1, 13, "the file is damaged");
}

#[test]
fn corrupted_page_stops_the_copy_and_nothing_is_recorded() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    words(&db, "expand users full_name").done();
    execute(&db, "PRAGMA wal_checkpoint(TRUNCATE)");
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'users'";
    let page = 4096 * (usize::try_from(number(&db, root)).unwrap() - 1);
    let mut content = bytes(&db);
    content[page..page + 4096].fill(0x5a);
    fs::write(&db, &content).unwrap();
    for line in ["migrate-data name full_name", "abort users"] {
        let ran = words(&db, line).failed(1, "the file is damaged");
        assert!(ran.stderr.contains("malformed"), "{ran:?}");
    }
    assert_eq!(number(&db, "SELECT count(*) FROM _changeover_history"), 1);
    assert!(words(&db, "status").done().stdout.starts_with("users: "));
}

/// The program as a user whom the permissions of files bind; none where there is no such user to be had.
fn as_bound_user(folder: &Folder, db: &Path) -> Option<Command> {
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let mut command = if folder.path().metadata().unwrap().uid() == 0 {
        // Wherever the program lies, its copy can be reached.
        let copy = folder.join("changeover");
        fs::copy(program(), &copy).unwrap();
        let mut nobody = Command::new(&copy);
        nobody
            .uid(65534)
            .gid(65534)
            .env_remove("CHANGEOVER_DB")
            .arg("--version");
        if !nobody.output().is_ok_and(|output| output.status.success()) {
            skipped("permissions do not bind root, and no other user can be had here");
            return None;
        }
        let mut nobody = Command::new(&copy);
        nobody.uid(65534).gid(65534).env_remove("CHANGEOVER_DB");
        nobody
    } else {
        changeover()
    };
    command.arg("--db").arg(db);
    Some(command)
}

#[test]
fn file_that_may_not_be_written_is_refused_and_can_be_looked_at() {
    let folder = Folder::new();
    let db = folder.made("CREATE TABLE users(name TEXT NOT NULL); INSERT INTO users VALUES ('a')");
    fs::set_permissions(&db, Permissions::from_mode(0o444)).unwrap();
    for line in ["status", "plan expand users full_name"] {
        let Some(mut command) = as_bound_user(&folder, &db) else {
            return;
        };
        unchanged(&db, || finish(command.args(line.split(' ')), b"").done());
    }
    let mut command = as_bound_user(&folder, &db).unwrap();
    unchanged(&db, || {
        let ran = finish(command.args(PHASES[0].split(' ')), b"");
        let ran = ran.failed(
            1,
            "error: the file cannot be written: attempt to write a readonly database\n",
        );
        assert!(
            ran.stderr
                .contains("hint: make the file and its folder writable"),
            "{ran:?}"
        );
    });
    fs::set_permissions(&db, Permissions::from_mode(0o000)).unwrap();
    let mut command = as_bound_user(&folder, &db).unwrap();
    let ran = finish(command.arg("status"), b"");
    ran.failed(1, "unable to open");
}

#[test]
fn folder_that_may_not_be_written_is_refused() {
    let folder = Folder::new();
    let inner = folder.join("inner");
    fs::create_dir(&inner).unwrap();
    let db = inner.join("app.db");
    execute(
        &db,
        "CREATE TABLE users(name TEXT NOT NULL); INSERT INTO users VALUES ('a')",
    );
    fs::set_permissions(&db, Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(&inner, Permissions::from_mode(0o555)).unwrap();
    if let Some(mut command) = as_bound_user(&folder, &db) {
        unchanged(&db, || {
            finish(command.args(PHASES[0].split(' ')), b"").failed(1, "the file cannot be written")
        });
    }
    fs::set_permissions(&inner, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn path_that_is_no_text_is_a_path_all_the_same() {
    let folder = Folder::new();
    let db = folder.path().join(OsStr::from_bytes(b"\xff\xfe app.db"));
    finish(
        changeover().arg("seed").arg(&db).args(["--rows", "10"]),
        b"",
    )
    .done();
    for line in PHASES {
        words(&db, line).done();
    }
    assert_eq!(number(&db, "SELECT count(full_name) FROM users"), 10);
}

#[test]
fn path_that_sqlite_would_read_otherwise_is_a_path_all_the_same() {
    let folder = Folder::new();
    let app = folder.seeded(10);
    let on = |name: &str, line: &str| {
        let mut command = changeover();
        command.current_dir(folder.path());
        command.args(["--db", name]).args(line.split(' '));
        finish(&mut command, b"").done();
    };
    for name in ["file:app.db", "file:app.db?mode=ro", ":memory:"] {
        let mut seed = changeover();
        seed.current_dir(folder.path());
        finish(seed.args(["seed", name, "--rows", "10"]), b"").done();
        for line in PHASES {
            on(name, line);
        }
        assert_eq!(
            number(&folder.join(name), "SELECT count(full_name) FROM users"),
            10
        );
    }
    assert_eq!(number(&app, "SELECT count(name) FROM users"), 10);
    assert_eq!(folder.names().len(), 4);
}

// Names.

#[test]
fn name_that_is_not_there_is_refused_with_the_nearest() {
    let folder = Folder::new();
    let db = folder.made("CREATE TABLE users(name TEXT, mail TEXT); CREATE TABLE orders(id)");
    refused(&db, "expand user full_name", 3, 20, "no table `user`");
    unchanged(&db, || {
        words(&db, "expand user x").failed(3, "hint: did you mean `users`?\n")
    });
    unchanged(&db, || {
        words(&db, "expand users x --from nmae").failed(3, "hint: did you mean `name`?\n")
    });
    refused(&db, "expand invoices x", 3, 20, "no table `invoices`");
    unchanged(&db, || {
        assert!(!words(&db, "expand invoices x").stderr.contains("hint"));
    });
    refused(
        &db,
        "contract users nam",
        3,
        20,
        "table `users` has no column `nam`",
    );
    refused(&db, "abort order", 3, 20, "did you mean `orders`?");
    refused(
        &db,
        "migrate-data telephone phone --expand",
        3,
        20,
        "no table has a column `telephone`",
    );
    refused(
        &db,
        "migrate-data maill phone --expand --table users",
        3,
        20,
        "did you mean `mail`?",
    );
    // Letter case counts as in SQLite: not at all.
    words(&db, "expand USERS Full_Name --from NAME").done();
    words(&db, "migrate-data NAME FULL_NAME").done();
    let ran = words(&db, "contract Users Name").done();
    assert_eq!(
        ran.stdout,
        "version 3  remove_name_column  users (Full_Name NULL, mail NULL)\n"
    );
}

#[test]
fn what_is_no_ordinary_table_is_refused() {
    let folder = Folder::new();
    let db = folder.made(
        "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT); CREATE VIEW v AS SELECT * FROM t;
         CREATE VIRTUAL TABLE f USING fts5(name); CREATE INDEX i ON t(name); ANALYZE",
    );
    let cases = [
        ("v", 10, "`v` is a view, not an ordinary table"),
        ("f", 10, "`f` is a virtual table, not an ordinary table"),
        (
            "f_content",
            10,
            "`f_content` is part of a virtual table, not an ordinary table",
        ),
        (
            "sqlite_sequence",
            10,
            "`sqlite_sequence` is SQLite's own, not an ordinary table",
        ),
        (
            "sqlite_stat1",
            10,
            "`sqlite_stat1` is SQLite's own, not an ordinary table",
        ),
        (
            "sqlite_schema",
            10,
            "`sqlite_schema` is SQLite's own, not an ordinary table",
        ),
        (
            "SQLite_Schema",
            10,
            "is SQLite's own, not an ordinary table",
        ),
        ("i", 20, "no table `i`"),
        ("main.t", 20, "no table `main.t`"),
        ("pragma_table_info", 20, "no table `pragma_table_info`"),
    ];
    for (name, code, sentence) in cases {
        for line in [
            format!("expand {name} x"),
            format!("contract {name} name"),
            format!("abort {name}"),
        ] {
            refused(&db, &line, 3, code, sentence);
        }
        refused(
            &db,
            &format!("migrate-data name x --expand --table {name}"),
            3,
            code,
            sentence,
        );
    }
    words(&db, "expand t x --from name").done();
    for ours in [
        "_changeover_changes",
        "_changeover_history",
        "_CHANGEOVER_ledger_format",
    ] {
        refused(
            &db,
            &format!("expand {ours} x"),
            3,
            10,
            "is changeover's own, not an ordinary table",
        );
    }
}

#[test]
fn odd_names_go_through_all_phases_and_back() {
    let odd = [
        "a\"b",
        "it's",
        "a`b",
        "[x]",
        "a]b",
        "x; DROP TABLE users; --",
        "/* x */",
        "?1",
        ":x",
        "$x",
        "order",
        "select",
        "a",
        "1",
        "größe",
        "😀",
        "a b",
        " ",
        "\t",
        "\n",
        "%s",
        "\\",
        "NULL",
        "true",
        "''",
        "\"\"",
    ];
    for name in odd {
        let folder = Folder::new();
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let db = folder.made(&format!(
            "PRAGMA journal_mode = wal; CREATE TABLE {quoted}(id INTEGER PRIMARY KEY, {quoted} TEXT NOT NULL); INSERT INTO {quoted} VALUES (1, 'v')"
        ));
        let new = format!("{name}{name}");
        let before = applications_part(&db);
        let mut node = Conversation::start(on(&db).arg("node"));
        let mut said = |body: Value| {
            let reply: Value = serde_json::from_str(&node.ask(&body.to_string())).unwrap();
            assert_ne!(reply["type"], "error", "{name}: {reply}");
            reply
        };
        let mut change = |old: &str, new: &str| {
            said(
                json!({"type": "migrate", "phase": "expand", "table": name, "add_column": new, "from": old}),
            );
            let migrated = said(
                json!({"type": "migrate", "phase": "migrate_data", "from": old, "to": new, "table": name}),
            );
            assert_eq!(migrated["rows_migrated"], 1);
            said(
                json!({"type": "migrate", "phase": "contract", "table": name, "remove_column": old}),
            );
        };
        change(name, &new);
        let columns = format!(
            "SELECT name FROM pragma_table_info('{}')",
            name.replace('\'', "''")
        );
        assert_eq!(texts(&db, &columns), ["id", &new]);
        change(&new, name);
        said(json!({"type": "migrate", "phase": "expand", "table": name, "add_column": new}));
        said(json!({"type": "abort", "table": name}));
        assert_eq!(texts(&db, &columns), ["id", name]);
        let unquoted = |text: &str| text.replace(['"', '\\'], "");
        assert_eq!(unquoted(&applications_part(&db)), unquoted(&before));
    }
}

#[test]
fn name_that_no_statement_can_hold_is_refused() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    let cases = [
        (
            json!({"phase": "expand", "table": "users", "add_column": ""}),
            12,
            "cannot be empty or hold a NUL",
        ),
        (
            json!({"phase": "expand", "table": "users", "add_column": "full\0name"}),
            12,
            "cannot be empty or hold a NUL",
        ),
        (
            json!({"phase": "expand", "table": "users\0", "add_column": "full_name"}),
            20,
            "no table",
        ),
        (
            json!({"phase": "expand", "table": "", "add_column": "full_name"}),
            20,
            "no table",
        ),
        (
            json!({"phase": "expand", "table": "users", "add_column": "x", "from": "name\0"}),
            20,
            "has no column",
        ),
        (
            json!({"phase": "expand", "table": "users", "add_column": "x", "column_type": "TEXT\0"}),
            12,
            "is not a column type",
        ),
        (
            json!({"phase": "migrate_data", "from": "name", "to": ""}),
            12,
            "cannot be empty or hold a NUL",
        ),
        (
            json!({"phase": "migrate_data", "from": "name", "to": "\0"}),
            12,
            "cannot be empty or hold a NUL",
        ),
        (
            json!({"phase": "migrate_data", "from": "", "to": "x"}),
            20,
            "column",
        ),
        (
            json!({"phase": "migrate_data", "from": "name", "to": "x", "table": ""}),
            20,
            "no table",
        ),
        (
            json!({"phase": "contract", "table": "users", "remove_column": ""}),
            20,
            "has no column",
        ),
        (
            json!({"phase": "contract", "table": "users", "remove_column": "name\0"}),
            20,
            "has no column",
        ),
        (json!({"phase": "abort", "table": "\0"}), 20, "no table"),
    ];
    unchanged(&db, || {
        for (mut body, code, sentence) in cases {
            body["type"] = "migrate".into();
            expect_error(&reply(&db, &body.to_string()), code, sentence);
        }
    });
}

#[test]
fn name_that_sqlite_or_changeover_keeps_for_itself_is_refused() {
    let folder = Folder::new();
    let db = folder.made("CREATE TABLE users(name TEXT); CREATE TABLE odd(_changeover_probe_1, a)");
    let own = "bears a name that begins like changeover's own";
    refused(&db, "expand users _changeover_probe_1", 3, 10, own);
    refused(&db, "expand users _CHANGEOVER_x", 3, 10, own);
    refused(&db, "expand odd b --from a", 3, 10, own);
    for alias in ["rowid", "_rowid_", "OID"] {
        let sentence = format!("neither adds nor renames a column called `{alias}`");
        refused(
            &db,
            &format!("expand users {alias} --allow-breaking"),
            3,
            10,
            &sentence,
        );
    }
    words(&db, "migrate-data name sqlite_x --expand").done();
    words(&db, "contract users name").done();
    let folder = Folder::new();
    let strange =
        folder.made("CREATE TABLE users(name TEXT); CREATE INDEX _changeover_i ON users(name)");
    let sentence =
        "`_changeover_i` is in the file and bears a name that begins like changeover's own";
    refused(&strange, "expand users full_name", 3, 10, sentence);
}

#[test]
fn column_that_exists_is_refused() {
    let folder = Folder::new();
    let db = folder.made("CREATE TABLE users(name TEXT, mail TEXT, low AS (lower(name)))");
    for column in ["name", "mail", "MAIL", "low"] {
        let sentence = format!("table `users` already has a column `{column}`");
        refused(&db, &format!("expand users {column}"), 3, 21, &sentence);
    }
    refused(
        &db,
        "migrate-data name mail --expand",
        3,
        21,
        "table `users` already has a column `mail`",
    );
    // Added by someone else after ours was undone.
    words(&db, "expand users full_name").done();
    words(&db, "abort users").done();
    execute(&db, "ALTER TABLE users ADD COLUMN full_name TEXT");
    refused(
        &db,
        "expand users full_name",
        3,
        21,
        "already has a column `full_name`",
    );
}

#[test]
fn type_that_is_no_type_is_refused() {
    let folder = Folder::new();
    let db = folder.made("CREATE TABLE users(name TEXT); CREATE TABLE s(name TEXT) STRICT");
    let types = [
        "TEXT); DROP TABLE users; --",
        "TEXT CHECK(1)",
        "TEXT DEFAULT 1",
        "TEXT NOT NULL",
        "TEXT COLLATE NOCASE",
        "TEXT UNIQUE",
        "TEXT PRIMARY KEY",
        "TEXT REFERENCES users",
        "TEXT AS (1)",
        "TEXT GENERATED ALWAYS AS (1)",
        "TEXT, other TEXT",
        "TEXT;",
        "TEXT -- x",
        "TEXT /* x",
        "VARCHAR(3",
        ")",
        "'",
        "\"",
        "?1",
        "TEXT)",
    ];
    unchanged(&db, || {
        for kind in types {
            let ran = run(&db, ["expand", "users", "x", "--type", kind]);
            ran.failed(2, &format!("error: `{kind}` is not a column type\n"));
            let body = json!({"type": "migrate", "phase": "expand", "table": "users", "add_column": "x", "column_type": kind});
            expect_error(&reply(&db, &body.to_string()), 12, "is not a column type");
        }
        for kind in ["VARCHAR(3)", "", "TEXT CHECK(1)", "NUMERIC"] {
            let ran = run(&db, ["expand", "s", "x", "--type", kind]);
            ran.failed(2, "is not a column type: a STRICT table takes INT, INTEGER, REAL, TEXT, BLOB or ANY\n");
        }
    });
    let taken = [
        "VARCHAR(3)",
        "decimal(10, 2)",
        "unsigned big int",
        "double precision",
        "",
    ];
    for (number, kind) in (0..).zip(taken) {
        run(
            &db,
            ["expand", "users", &format!("x{number}"), "--type", kind],
        )
        .done();
        assert_eq!(
            texts(
                &db,
                &format!("SELECT type FROM pragma_table_info('users') WHERE name = 'x{number}'")
            ),
            [kind]
        );
        words(&db, "abort users").done();
    }
    run(&db, ["expand", "s", "x", "--type", "any"]).done();
}

// The order of the phases.

#[test]
fn phases_out_of_order_are_refused() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    refused(
        &db,
        "contract users name",
        3,
        22,
        "no change replaces column `name` of table `users`",
    );
    refused(
        &db,
        "migrate-data name full_name",
        3,
        22,
        "no change waits for data to go from `name` to `full_name`",
    );
    refused(
        &db,
        "abort users",
        3,
        22,
        "table `users` has no open change",
    );
    words(&db, "expand users full_name").done();
    refused(
        &db,
        "contract users name",
        3,
        22,
        "the data of `name` is not migrated: the change is expanded",
    );
    refused(
        &db,
        "contract users full_name",
        3,
        22,
        "no change replaces column `full_name` of table `users`",
    );
    refused(
        &db,
        "migrate-data nam full_name",
        3,
        20,
        "did you mean `name`?",
    );
    refused(
        &db,
        "migrate-data name fullname",
        3,
        22,
        "no change waits for data to go from `name` to `fullname`",
    );
    words(&db, "migrate-data name full_name").done();
    refused(
        &db,
        "contract users full_name",
        3,
        22,
        "no change replaces column `full_name` of table `users`",
    );
    words(&db, "contract users name").done();
    refused(
        &db,
        "abort users",
        3,
        22,
        "table `users` has no open change",
    );
    refused(&db, "migrate-data full_name name", 3, 22, "no change waits");
}

#[test]
fn second_change_of_a_table_waits_for_the_first() {
    let folder = Folder::new();
    let db = folder.made("CREATE TABLE users(name TEXT, mail TEXT); CREATE TABLE other(name TEXT)");
    words(&db, "expand users full_name").done();
    for state in ["expanded", "migrated"] {
        let sentence = format!("table `users` has an open change: `full_name` is {state}");
        refused(&db, "expand users email", 3, 22, &sentence);
        refused(&db, "migrate-data mail email --expand", 3, 22, &sentence);
        if state == "expanded" {
            words(&db, "migrate-data name full_name").done();
        }
    }
    // Another table is another matter.
    words(&db, "expand other email").done();
    words(&db, "contract users name").done();
    words(&db, "migrate-data mail email --expand --table users").done();
}

#[test]
fn table_that_someone_else_changed_in_between_is_told() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    words(&db, "expand users full_name").done();
    execute(&db, "ALTER TABLE users DROP COLUMN full_name");
    let ran = unchanged(&db, || words(&db, "migrate-data name full_name"));
    assert_eq!(ran.code(), 3, "{ran:?}");
    execute(
        &db,
        "ALTER TABLE users ADD COLUMN full_name TEXT; ALTER TABLE users ADD COLUMN age INT DEFAULT 7",
    );
    words(&db, "migrate-data name full_name").done();
    let ran = words(&db, "contract users name").done();
    assert_eq!(
        ran.stdout,
        "version 3  remove_name_column  users (full_name, age NULL)\n"
    );
    assert_eq!(number(&db, "SELECT sum(age) FROM users"), 70);
    execute(&db, "DROP TABLE users");
    refused(&db, "contract users name", 3, 20, "no table `users`");
}

// Rows that disagree.

#[test]
fn change_whose_column_or_table_someone_else_dropped_can_be_aborted() {
    for (gone, schema) in [
        ("ALTER TABLE users DROP COLUMN full_name", "users (name)"),
        ("DROP TABLE users", "users ()"),
    ] {
        let folder = Folder::new();
        let db = folder.seeded(3);
        words(&db, "expand users full_name --from name").done();
        execute(&db, gone);
        let ran = words(&db, "--json abort users").done().json();
        assert_eq!(
            (&ran["version"], &ran["schema"]),
            (&2.into(), &schema.into())
        );
        words(&db, "forget").done();
    }
}

#[test]
fn data_migration_begins_anew_where_the_table_got_another_key() {
    let folder = Folder::new();
    let db = folder.made(
        "CREATE TABLE t(k, l, name TEXT, PRIMARY KEY(k, l)) WITHOUT ROWID; INSERT INTO t VALUES (1, 1, 'a'), (2, 2, 'b')",
    );
    words(&db, "expand t code --from name").done();
    // As a run leaves it that was killed behind its first batch.
    execute(
        &db,
        "UPDATE _changeover_changes SET state = 'migrating'; INSERT INTO _changeover_cursor VALUES (1, 0, 1), (1, 1, 1);
         CREATE TABLE kept AS SELECT * FROM t; DROP TABLE t; CREATE TABLE t(k, l, name TEXT, code TEXT);
         INSERT INTO t SELECT * FROM kept; DROP TABLE kept",
    );
    words(&db, "migrate-data name code --batch-rows 1").done();
    assert_eq!(texts(&db, "SELECT code FROM t"), ["a", "b"]);
}

/// A migrated change, on which applications wrote what the two columns do not agree on.
fn disagreeing(folder: &Folder) -> PathBuf {
    let db = folder.made("CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT)");
    execute(&db, "INSERT INTO users(name) SELECT 'n' || value FROM generate(20)".replace("generate(20)", "(WITH RECURSIVE g(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM g WHERE value < 20) SELECT value FROM g)").as_str());
    words(&db, "expand users full_name").done();
    words(&db, "migrate-data name full_name").done();
    execute_past_triggers(
        &db,
        "UPDATE users SET name = 'old' WHERE id BETWEEN 3 AND 9; UPDATE users SET full_name = 'new' WHERE id = 20",
    );
    db
}

#[test]
fn contract_of_rows_that_disagree_is_refused_until_one_side_wins() {
    for (winner, third, last, online) in [
        ("old", "old", "n20", "never"),
        ("new", "n3", "new", "never"),
        ("old", "old", "n20", "always"),
        ("new", "n3", "new", "always"),
    ] {
        let folder = Folder::new();
        let db = disagreeing(&folder);
        refused(
            &db,
            "contract users name",
            3,
            22,
            "`name` and `full_name` hold different values in 8 rows, for instance where id = 3; id = 4; id = 5; id = 6; id = 7",
        );
        unchanged(&db, || {
            words(&db, "contract users name").failed(3, "winner `old` or `new` (--winner)")
        });
        words(
            &db,
            &format!("contract users name --winner {winner} --online {online}"),
        )
        .done();
        let rows = texts(&db, "SELECT full_name FROM users ORDER BY id");
        assert_eq!(
            (rows[2].as_str(), rows[19].as_str(), rows.len()),
            (third, last, 20)
        );
    }
}

#[test]
fn abort_that_would_lose_values_is_refused_until_one_side_wins() {
    for (winner, third, last, online) in [
        ("old", "old", "n20", "never"),
        ("new", "n3", "new", "never"),
        ("old", "old", "n20", "always"),
        ("new", "n3", "new", "always"),
    ] {
        let folder = Folder::new();
        let db = disagreeing(&folder);
        refused(
            &db,
            "abort users",
            3,
            22,
            "column `full_name` holds values that are nowhere else, in 8 rows, for instance where id = 3",
        );
        words(
            &db,
            &format!("abort users --winner {winner} --online {online}"),
        )
        .done();
        let rows = texts(&db, "SELECT name FROM users ORDER BY id");
        assert_eq!(
            (rows[2].as_str(), rows[19].as_str(), rows.len()),
            (third, last, 20)
        );
    }
}

#[test]
fn value_that_a_constraint_does_not_allow_is_refused() {
    let folder = Folder::new();
    let db = folder.made("CREATE TABLE t(name TEXT UNIQUE); INSERT INTO t VALUES ('a'), ('b')");
    words(&db, "expand t code --from name").done();
    words(&db, "migrate-data name code").done();
    execute_past_triggers(
        &db,
        "DROP INDEX _changeover_1_index_1; UPDATE t SET code = 'b' WHERE name = 'a'",
    );
    let sentence = "the rows do not allow it: UNIQUE constraint failed: t.code";
    refused(&db, "contract t name --winner new", 3, 22, sentence);
    words(&db, "contract t name --winner old").done();
    let folder = Folder::new();
    let strict = folder.made("CREATE TABLE t(name TEXT) STRICT; INSERT INTO t VALUES ('a')");
    words(&strict, "expand t code --from name --type INTEGER").done();
    words(&strict, "migrate-data name code").failed(3, "cannot store TEXT value in INTEGER");
}

#[test]
fn winner_that_other_tables_do_not_refer_to_is_refused() {
    let folder = Folder::new();
    let db = folder.made(
        "CREATE TABLE t(name TEXT UNIQUE); INSERT INTO t VALUES ('a'), ('b');
         CREATE TABLE child(name REFERENCES t(name) ON UPDATE CASCADE); INSERT INTO child VALUES ('a')",
    );
    words(&db, "expand t code --from name").done();
    words(&db, "migrate-data name code").done();
    execute_past_triggers(&db, "UPDATE t SET code = 'c' WHERE name = 'a'");
    let sentence =
        "the rows do not allow it: foreign keys of `child` would be violated otherwise than today";
    refused(&db, "contract t name --winner new", 3, 22, sentence);
    words(&db, "contract t name --winner old").done();
}

#[test]
fn data_migration_of_rows_that_disagree_is_refused_before_a_row_is_touched() {
    for (winner, held) in [("old", "a"), ("new", "b")] {
        let folder = Folder::new();
        let db = folder.seeded(3000);
        words(&db, "expand users full_name").done();
        execute(
            &db,
            "UPDATE users SET name = 'a', full_name = 'b' WHERE rowid IN (7, 2999)",
        );
        let line = "migrate-data name full_name --batch-rows 100";
        let sentence = "`name` and `full_name` hold different values in 2 rows, for instance where rowid = 7; rowid = 2999";
        refused(&db, line, 3, 22, sentence);
        words(&db, &format!("{line} --winner {winner}")).done();
        assert_eq!(
            number(
                &db,
                "SELECT count(*) FROM users WHERE name IS NOT full_name"
            ),
            0
        );
        assert_eq!(
            texts(&db, "SELECT name FROM users WHERE rowid IN (7, 2999)"),
            [held, held]
        );
        words(&db, "contract users name").done();
    }
}

#[test]
fn rows_written_between_data_migration_and_contract_arrive() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    words(&db, "expand users full_name").done();
    words(&db, "migrate-data name full_name").done();
    execute(
        &db,
        "INSERT INTO users(name) VALUES ('late'), ('later'); DELETE FROM users WHERE rowid = 5",
    );
    // The new application writes both.
    execute(
        &db,
        "INSERT INTO users(name, full_name) VALUES ('both', 'both')",
    );
    let names = texts(&db, "SELECT name FROM users ORDER BY rowid");
    unchanged(&db, || assert_eq!(replies(&db, MIGRATE), [MIGRATED]));
    words(&db, "contract users name --quiet-for 0").done();
    assert_eq!(
        texts(&db, "SELECT full_name FROM users ORDER BY rowid"),
        names
    );
    assert_eq!(names.len(), 1002);
}

#[test]
fn row_that_has_the_new_value_alone_is_refused_by_contract_and_by_abort() {
    let folder = Folder::new();
    let db = folder.made("CREATE TABLE users(name TEXT)");
    words(&db, "expand users full_name").done();
    words(&db, "migrate-data name full_name").done();
    execute_past_triggers(&db, "INSERT INTO users(full_name) VALUES ('new')");
    refused(
        &db,
        "contract users name",
        3,
        22,
        "hold different values in 1 row, for instance where rowid = 1",
    );
    refused(
        &db,
        "abort users",
        3,
        22,
        "holds values that are nowhere else, in 1 row, for instance where rowid = 1",
    );
    words(&db, "abort users --winner new").done();
    assert_eq!(texts(&db, "SELECT name FROM users"), ["new"]);
}

// Several at once.

#[test]
fn processes_at_once_make_each_version_once_and_answer_alike() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    for (line, version) in PHASES.into_iter().zip(1..) {
        let children: Vec<_> = (0..4)
            .map(|_| {
                start(
                    on(&db)
                        .args(["--busy-timeout", "60", "--batch-rows", "100"])
                        .args(line.split(' ')),
                )
            })
            .collect();
        let said: Vec<String> = children
            .into_iter()
            .map(|child| await_end(child, b"").done().stdout)
            .collect();
        assert!(
            said[0].starts_with(&format!("version {version}  ")),
            "{said:?}"
        );
        assert!(said.iter().all(|it| *it == said[0]), "{said:?}");
    }
    assert_eq!(number(&db, "SELECT count(*) FROM _changeover_history"), 3);
    assert_eq!(number(&db, "SELECT count(full_name) FROM users"), 1000);
}

#[test]
fn processes_that_hear_the_same_message_at_one_moment_answer_alike() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let mut nodes: Vec<Conversation> = (0..8)
        .map(|_| {
            Conversation::start(on(&db).args([
                "node",
                "--busy-timeout",
                "60",
                "--batch-rows",
                "100",
            ]))
        })
        .collect();
    for node in &mut nodes {
        node.ask(r#"{"type": "status"}"#);
    }
    for (message, answer) in [
        (EXPAND, EXPANDED),
        (MIGRATE, MIGRATED),
        (CONTRACT, CONTRACTED),
    ] {
        for node in &mut nodes {
            node.say(format!("{message}\n").as_bytes());
        }
        for node in &mut nodes {
            assert_eq!(node.hear(), answer);
        }
    }
    nodes.into_iter().for_each(Conversation::end);
    assert_eq!(number(&db, "SELECT count(*) FROM _changeover_history"), 3);
}

#[test]
fn data_migrations_and_contracts_at_one_moment_leave_one_version_each() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    words(&db, "expand users full_name").done();
    let spawn = |line: &str| {
        let child = start(
            on(&db)
                .args(["--busy-timeout", "60", "--batch-rows", "50"])
                .args(line.split(' ')),
        );
        (line.to_owned(), child)
    };
    let children: Vec<_> = (0..8).map(|at| spawn(PHASES[1 + at % 2])).collect();
    for (line, child) in children {
        let ran = await_end(child, b"");
        if line == PHASES[1] {
            assert_eq!(
                ran.done().stdout,
                "version 2  migrate_name_to_full_name  1000 rows migrated\n"
            );
        } else if ran.code() == 0 {
            assert_eq!(
                ran.stdout,
                "version 3  remove_name_column  users (full_name)\n"
            );
        } else {
            ran.failed(3, "the data of `name` is not migrated: the change is ");
        }
    }
    words(&db, PHASES[2]).done();
    let history = "SELECT version || ' ' || phase FROM _changeover_history ORDER BY version";
    assert_eq!(
        texts(&db, history),
        ["1 expand", "2 migrate_data", "3 contract"]
    );
}

#[test]
fn processes_that_expand_first_at_one_moment_make_one_change() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let children: Vec<_> = (0..4)
        .map(|_| {
            start(on(&db).args("--busy-timeout 60 migrate-data name full_name --expand".split(' ')))
        })
        .collect();
    for child in children {
        let ran = await_end(child, b"").done();
        assert_eq!(
            ran.stdout,
            "version 2  migrate_name_to_full_name  1000 rows migrated\n"
        );
    }
    assert_eq!(number(&db, "SELECT count(*) FROM _changeover_changes"), 1);
}

// Locks.

#[test]
fn file_that_stays_locked_is_left_alone_and_the_same_command_goes_on() {
    for mode in ["wal", "delete"] {
        let folder = Folder::new();
        let db = folder.seeded(100);
        execute(&db, &format!("PRAGMA journal_mode = {mode}"));
        for line in PHASES {
            let lock = open(&db);
            lock.execute_batch("BEGIN IMMEDIATE").unwrap();
            let before = everything(&db);
            let ran = words(&db, &format!("--busy-timeout 0.05 {line}"));
            let ran = ran.failed(4, "error: the file stayed locked by another connection\n");
            assert!(
                ran.stderr
                    .contains("hint: run the same again, or wait longer with --busy-timeout\n"),
                "{ran:?}"
            );
            let ran = words(&db, &format!("--json --busy-timeout 0 {line}"));
            assert_eq!(ran.code(), 4);
            expect_error(&ran.json(), 11, "the file stayed locked");
            assert_eq!(everything(&db), before);
            lock.execute_batch("ROLLBACK").unwrap();
            words(&db, line).done();
        }
    }
}

#[test]
fn phase_waits_for_a_lock_as_long_as_it_was_told() {
    let folder = Folder::new();
    let db = folder.seeded(100);
    let lock = open(&db);
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut node = Conversation::start(on(&db).args(["node", "--busy-timeout", "60"]));
    // It has the file open, and is at the message or about to be.
    node.ask(r#"{"type": "status"}"#);
    node.say(format!("{EXPAND}\n").as_bytes());
    lock.execute_batch("INSERT INTO users VALUES ('late'); COMMIT")
        .unwrap();
    assert_eq!(node.hear(), EXPANDED);
    node.end();
}

#[test]
fn file_locked_against_readers_is_busy() {
    let folder = Folder::new();
    let db = folder.made("CREATE TABLE users(name TEXT)");
    let lock = open(&db);
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    for line in ["status", "expand users full_name", "node"] {
        words(&db, &format!("--busy-timeout 0.05 {line}"))
            .failed(4, "the file stayed locked by another connection");
    }
    drop(lock);
    words(&db, "status").done();
}

#[test]
fn reader_that_stays_keeps_a_rollback_journal_file_as_it_is() {
    let folder = Folder::new();
    let db = folder.made("CREATE TABLE users(name TEXT); INSERT INTO users VALUES ('a')");
    for line in PHASES {
        let before = applications_part(&db);
        let reader = open(&db);
        reader.execute_batch("BEGIN; SELECT * FROM users").unwrap();
        let ran = words(&db, &format!("--busy-timeout 0.05 {line}"));
        ran.failed(4, "the file stayed locked by another connection");
        drop(reader);
        // The ledger's empty tables may have come, and nothing else.
        assert_eq!(applications_part(&db), before);
        words(&db, line).done();
    }
}

// No room.

/// The program under a limit on the size of the files that it writes, in blocks of 512 bytes. The signal that
/// comes with the limit ends it, or is ignored so that the write fails.
fn limited(db: &Path, blocks: u32, ignored: bool, line: &str) -> Ran {
    let trap = if ignored { "trap '' XFSZ;" } else { "" };
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("{trap} ulimit -f {blocks}; exec \"$@\""))
        .arg("sh");
    shell
        .arg(program())
        .arg("--db")
        .arg(db)
        .args(["--batch-rows", "300"])
        .args(line.split(' '));
    finish(shell.env_remove("CHANGEOVER_DB"), b"")
}

#[test]
fn phase_without_room_fails_whole_and_goes_on_when_there_is_room() {
    for mode in ["wal", "delete"] {
        let folder = Folder::new();
        let db = folder.seeded(2000);
        execute(&db, &format!("PRAGMA journal_mode = {mode}"));
        for (done, line) in PHASES.into_iter().enumerate() {
            let whole = bytes(&db);
            let mut answers = Vec::new();
            for ignored in [false, true] {
                let mut failures = 0;
                for blocks in std::iter::successors(Some(32), |it| Some(it * 7 / 4)) {
                    for ending in ["", "-wal", "-shm", "-journal"] {
                        let _ = fs::remove_file(folder.join(&format!("app.db{ending}")));
                    }
                    fs::write(&db, &whole).unwrap();
                    let before = open(&db);
                    let rows: i64 = before
                        .query_row("SELECT count(*) FROM users", [], |row| row.get(0))
                        .unwrap();
                    drop(before);
                    let ran = limited(&db, blocks, ignored, line);
                    if ran.status.success() {
                        answers.push(ran.stdout);
                        break;
                    }
                    failures += 1;
                    // The signal may come at the checkpoint behind the commit: then the phase is done.
                    let mut versions = vec![done];
                    if ignored {
                        let ran = ran.failed(1, "error: ");
                        assert!(ran.stderr.contains("nothing is lost"), "{ran:?}");
                    } else {
                        assert_eq!(ran.status.signal(), Some(25), "{ran:?}");
                        versions.push(done + 1);
                    }
                    assert_eq!(
                        texts(&db, "PRAGMA integrity_check"),
                        ["ok"],
                        "{line} {blocks}"
                    );
                    assert_eq!(number(&db, "SELECT count(*) FROM users"), rows);
                    let history = words(&db, "history --json").done().json();
                    let version = history["history"].as_array().unwrap().len();
                    assert!(versions.contains(&version), "{line} {blocks} {ignored}");
                    answers.push(words(&db, line).done().stdout);
                }
                assert!(failures > 0, "{line} found room at once");
            }
            assert!(answers.iter().all(|it| *it == answers[0]), "{answers:?}");
            execute(&db, "PRAGMA wal_checkpoint(TRUNCATE)");
        }
        assert_eq!(number(&db, "SELECT count(full_name) FROM users"), 2000);
    }
}

#[test]
fn full_disk_is_told_and_the_change_goes_on_when_there_is_room() {
    const SCRIPT: &str = "
        set -e; mount -t tmpfs -o size=${2}k none \"$1\"; echo mounted; cp \"$3\" \"$1/app.db\"; shift 3
        db=\"$1\"; shift; set +e
        \"$@\" --db \"$db\"; echo \"exit $?\"; mount -o remount,size=20m \"${db%/app.db}\"; \"$@\" --db \"$db\"; echo \"exit $?\"
        \"$1\" --db \"$db\" history --json";
    let folder = Folder::new();
    let db = folder.seeded(2000);
    let disk = folder.join("disk");
    fs::create_dir(&disk).unwrap();
    for (done, line) in PHASES.into_iter().enumerate() {
        let mut full = 0;
        let size = bytes(&db).len() / 1024;
        for room in (1..).map(|step| size + 16 * step) {
            let mut shell = Command::new("unshare");
            shell.args([
                "--user",
                "--map-root-user",
                "--mount",
                "sh",
                "-c",
                SCRIPT,
                "sh",
            ]);
            shell
                .arg(&disk)
                .arg(room.to_string())
                .arg(&db)
                .arg(disk.join("app.db"));
            shell
                .arg(program())
                .args(line.split(' '))
                .env_remove("CHANGEOVER_DB");
            let Ok(_) = shell.stdin(std::process::Stdio::null()).output() else {
                skipped("there is no unshare here");
                return;
            };
            let ran = finish(&mut shell, b"");
            if !ran.stdout.starts_with("mounted\n") {
                skipped(&format!("nothing can be mounted here: {}", ran.stderr));
                return;
            }
            let lines = ran.lines();
            let history: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
            assert_eq!(
                history["history"].as_array().unwrap().len(),
                done + 1,
                "{ran:?}"
            );
            if lines[1] == "exit 1" {
                assert!(ran.stderr.contains("error: no room left on the disk\nhint: nothing is lost: make room and run the same again\n"), "{ran:?}");
                assert!(lines.contains(&"exit 0"), "{ran:?}");
                full += 1;
            } else {
                assert_eq!(
                    lines.iter().filter(|it| **it == "exit 0").count(),
                    2,
                    "{ran:?}"
                );
                break;
            }
        }
        assert!(full > 0, "{line} found room at once");
        words(&db, line).done();
    }
}

#[test]
fn seed_without_room_leaves_nothing() {
    let folder = Folder::new();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$@\"", "sh"]);
    shell
        .arg(program())
        .args(["seed", "app.db"])
        .current_dir(folder.path());
    finish(&mut shell, b"").failed(1, "nothing is lost");
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

// Processes that are killed.

#[test]
fn killed_in_the_middle_of_the_copy_it_goes_on_from_there() {
    let folder = Folder::new();
    let db = folder.seeded(3000);
    words(&db, "expand users full_name").done();
    let line = "migrate-data name full_name --batch-rows 1";
    let look = open(&db);
    let cursor = || {
        let sql = "SELECT value FROM _changeover_cursor";
        look.query_row(sql, [], |row| row.get::<_, i64>(0)).ok()
    };
    for kills in 1..=3 {
        let begin = cursor().unwrap_or(0);
        let mut child = start(on(&db).args(line.split(' ')));
        poll("the cursor", || cursor().filter(|now| *now > begin + 20));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(
            texts(&db, "SELECT state FROM _changeover_changes"),
            ["migrating"],
            "after {kills} kills"
        );
        // The cursor says what is done, and is done with it.
        let done = cursor().unwrap();
        assert_eq!(number(&db, "SELECT count(full_name) FROM users"), done);
        assert_eq!(
            number(&db, "SELECT rows_migrated FROM _changeover_changes"),
            done
        );
        assert_eq!(number(&db, "SELECT count(*) FROM _changeover_history"), 1);
    }
    let status = reply(&db, r#"{"type": "status"}"#);
    assert_eq!(status["changes"][0]["state"], "migrating");
    words(&db, "contract users name").failed(
        3,
        "the data of `name` is not migrated: the change is migrating",
    );
    drop(look);
    let ran = words(&db, "migrate-data name full_name").done();
    assert_eq!(
        ran.stdout,
        "version 2  migrate_name_to_full_name  3000 rows migrated\n"
    );
    assert_eq!(
        number(&db, "SELECT count(*) FROM users WHERE name IS full_name"),
        3000
    );
    words(&db, "contract users name").done();
    assert_eq!(number(&db, "SELECT count(full_name) FROM users"), 3000);
}

#[test]
fn killed_at_any_moment_of_expand_or_contract_it_is_done_or_not_begun() {
    let folder = Folder::new();
    let db = folder.seeded(3000);
    for (line, version) in [(PHASES[0], 1), (PHASES[2], 3)] {
        if version == 3 {
            words(&db, PHASES[1]).done();
        }
        let before = bytes(&db);
        let mut done = false;
        for spins in (0..).map(|step| step * 25_000) {
            for ending in ["-wal", "-shm"] {
                let _ = fs::remove_file(folder.join(&format!("app.db{ending}")));
            }
            fs::write(&db, &before).unwrap();
            let mut child = start(on(&db).args(line.split(' ')));
            for spin in 0..spins {
                std::hint::black_box(spin);
            }
            done = child.try_wait().unwrap().is_some() || done;
            let _ = child.kill();
            child.wait().unwrap();
            assert_eq!(texts(&db, "PRAGMA integrity_check"), ["ok"]);
            let ran = words(&db, line).done();
            assert!(
                ran.stdout.starts_with(&format!("version {version}  ")),
                "{ran:?}"
            );
            if done || spins > 500_000 {
                break;
            }
        }
    }
    assert_eq!(number(&db, "SELECT count(full_name) FROM users"), 3000);
}

// Ledgers of other times.

#[test]
fn ledger_of_a_newer_format_is_refused_by_every_command() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    words(&db, "expand users full_name").done();
    execute(
        &db,
        "UPDATE _changeover_ledger_format SET version = 99 WHERE version = 6",
    );
    let lines = [
        "status",
        "history",
        "forget",
        "plan abort users",
        "abort users",
        "expand users full_name",
        "add-index users name",
        "verify --index i",
        "who",
        "instance list",
        "instance register web --version 0",
        "instance heartbeat web",
        "instance retire web",
    ];
    for line in lines.iter().chain(&PHASES) {
        refused(
            &db,
            line,
            3,
            10,
            "the ledger in the file is of format 99, this changeover knows up to 7",
        );
    }
    let replies = unchanged(&db, || {
        replies(&db, format!("{MIGRATE}\n{{\"type\": \"status\"}}\n"))
    });
    assert_eq!(replies.len(), 2);
    for reply in replies {
        expect_error(
            &serde_json::from_str(&reply).unwrap(),
            10,
            "use a changeover at least as new",
        );
    }
}

/// Rows of the ledger that no phase of the change takes away, where a format has them.
const STAYING: [(&str, &str); 2] = [
    (
        "_changeover_instances",
        "SELECT name || version || app_version FROM _changeover_instances ORDER BY name",
    ),
    (
        "_changeover_deployments",
        "SELECT instance || command || (healthy_at IS NULL) FROM _changeover_deployments ORDER BY instance",
    ),
];

fn staying(db: &Path) -> Vec<String> {
    let has = |table| {
        number(
            db,
            &format!("SELECT count(*) FROM sqlite_schema WHERE name = '{table}'"),
        )
    };
    let there = STAYING.iter().filter(|(table, _)| has(table) == 1);
    there.flat_map(|(_, query)| texts(db, query)).collect()
}

#[test]
fn kept_ledger_of_every_format_is_brought_to_its_end() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ledgers");
    let mut formats = BTreeSet::new();
    for entry in fs::read_dir(kept).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "sql") {
            continue;
        }
        let kept = path.file_stem().unwrap().to_str().unwrap();
        let sql = fs::read_to_string(&path).unwrap();
        let is_held = kept.ends_with("held");
        let finished = |ends: &[&str]| {
            let folder = Folder::new();
            let db = folder.made(&sql);
            let names = texts(&db, "SELECT name FROM users ORDER BY rowid");
            let stays = staying(&db);
            unchanged(&db, || words(&db, "status").done());
            unchanged(&db, || words(&db, "history").done());
            for line in ends {
                words(&db, line).done();
            }
            let column = texts(&db, "SELECT name FROM pragma_table_info('users')").concat();
            let rows = format!("SELECT {column} FROM users ORDER BY rowid");
            assert_eq!(texts(&db, &rows), names, "{kept}");
            assert_eq!(texts(&db, "PRAGMA integrity_check"), ["ok"], "{kept}");
            assert_eq!(staying(&db), stays, "{kept}");
            // A format that has indexes in its ledger, or the texts of some, has one here.
            let indexes =
                "SELECT sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'users'";
            for sql in texts(&db, indexes) {
                assert!(
                    sql.ends_with(&format!(" ON users({column})")),
                    "{kept}: {sql}"
                );
            }
            (
                texts(&db, "SELECT sql FROM sqlite_schema WHERE name = 'users'"),
                number(&db, &format!("SELECT count(*) FROM ({indexes})")),
                texts(
                    &db,
                    "SELECT phase || coalesce(rows_migrated, '') FROM _changeover_history ORDER BY version",
                ),
            )
        };
        let format: u32 = kept[1..2].parse().unwrap();
        formats.insert(format);
        let index_count = i64::from(format >= 6);
        let (to_the_end, back): (_, &[&str]) = if is_held {
            let [expand, migrate, _] = PHASES;
            let now = [expand, migrate, "contract users name --now"];
            (now, &["undo users", "abort users"])
        } else {
            (PHASES, &["abort users"])
        };
        let (schema, indexes, history) = finished(&to_the_end);
        assert_eq!(
            schema,
            ["CREATE TABLE users(full_name TEXT NOT NULL)"],
            "{kept}"
        );
        assert_eq!(indexes, index_count, "{kept}");
        let mut phases = vec!["expand", "migrate_data6", "contract"];
        match format {
            6 => phases.insert(0, "add_index"),
            7 => phases.insert(2, "hold"),
            _ => {}
        }
        assert_eq!(history, phases, "{kept}");
        let (schema, indexes, _) = finished(back);
        assert_eq!(schema, ["CREATE TABLE users(name TEXT NOT NULL)"], "{kept}");
        assert_eq!(indexes, index_count, "{kept}");
    }
    assert!(formats.into_iter().eq(1..=7));
}

#[test]
fn ledger_that_was_only_begun_is_made_anew() {
    // What is left of a process that was killed between the table of formats and the ledger.
    let folder = Folder::new();
    let db = folder.seeded(10);
    execute(
        &db,
        "CREATE TABLE _changeover_ledger_format(version int4 PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255))",
    );
    unchanged(&db, || {
        assert_eq!(words(&db, "status").done().stdout, "no change yet\n");
    });
    for line in PHASES {
        words(&db, line).done();
    }
}

#[test]
fn table_that_needs_the_old_column_is_not_given_another_type() {
    let folder = Folder::new();
    let db = folder
        .made("CREATE TABLE t(name TEXT, initial AS (substr(name, 1, 1)), UNIQUE(name, initial))");
    refused(
        &db,
        "expand t code --from name --type BLOB",
        3,
        22,
        "table `t` itself needs `name`",
    );
}
