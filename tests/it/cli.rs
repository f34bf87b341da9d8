//! The command line: words, JSON, exit codes, and commands that can be typed.

use std::env;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::process::{
    Folder, Ran, applications_part, await_end, bytes, changeover, everything, execute, finish,
    number, on, program, run, skipped, start, texts, unchanged, value, words,
};

/// What a shell says to a line, in the folder, with the program in its path.
fn typed(folder: &Folder, line: &str) -> Ran {
    let mut path = program().parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(folder.path());
    shell.env("PATH", path).env_remove("CHANGEOVER_DB");
    finish(&mut shell, b"")
}

/// The command behind `next:`.
#[track_caller]
fn next(ran: &Ran) -> &str {
    let line = ran
        .stderr
        .lines()
        .find_map(|line| line.strip_prefix("next: "));
    line.unwrap_or_else(|| panic!("no next command in {ran:?}"))
}

// What each command says.

#[test]
fn three_phases_say_what_they_did_and_what_comes_next() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let path = db.display();
    let ran = words(&db, "expand users full_name --from name").done();
    assert_eq!(
        ran.stdout,
        "version 1  add_full_name_column  users (name, full_name NULL)\n"
    );
    assert_eq!(
        ran.stderr,
        format!("next: changeover --db {path} migrate-data name full_name\n")
    );
    let ran = words(&db, "migrate-data name full_name").done();
    assert_eq!(
        ran.stdout,
        "version 2  migrate_name_to_full_name  1000 rows migrated\n"
    );
    assert_eq!(
        ran.stderr,
        format!("next: changeover --db {path} contract users name\n")
    );
    let ran = words(&db, "contract users name").done();
    assert_eq!(
        ran.stdout,
        "version 3  remove_name_column  users (full_name)\n"
    );
    assert_eq!(ran.stderr, format!("look at it: sqlite3 {path} .schema\n"));
}

#[test]
fn phase_typed_again_says_the_same_again() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    for line in [
        "expand users full_name",
        "migrate-data name full_name",
        "contract users name",
    ] {
        let first = words(&db, line).done();
        let second = unchanged(&db, || words(&db, line).done());
        assert_eq!((first.stdout, first.stderr), (second.stdout, second.stderr));
    }
}

#[test]
fn abort_says_that_the_table_is_as_it_was() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    let before = applications_part(&db);
    words(&db, "expand users full_name").done();
    let ran = words(&db, "abort users").done();
    assert_eq!(
        ran.stdout,
        "version 2  abort_full_name_column  users (name)\n"
    );
    assert_eq!(applications_part(&db), before);
}

#[test]
fn data_migration_expands_first_only_if_told_to() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    unchanged(&db, || {
        let ran = words(&db, "migrate-data name full_name");
        let ran = ran.failed(
            3,
            "error: no change waits for data to go from `name` to `full_name`\n",
        );
        assert!(ran.stderr.contains("hint: expand first"), "{ran:?}");
    });
    let ran = words(&db, "migrate-data name full_name --expand").done();
    assert_eq!(
        ran.stdout,
        "version 2  migrate_name_to_full_name  10 rows migrated\n"
    );
}

#[test]
fn status_shows_each_change_and_its_next_command() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let path = db.display();
    let status = || unchanged(&db, || words(&db, "status").done().stdout);
    assert_eq!(status(), "no change yet\n");
    words(&db, "expand users full_name").done();
    assert_eq!(
        status(),
        format!(
            "users: (not named yet) -> full_name  expanded\n  next: changeover --db {path} migrate-data OLD_COLUMN full_name\n"
        )
    );
    words(&db, "migrate-data name full_name").done();
    assert_eq!(
        status(),
        format!(
            "users: name -> full_name  migrated, 1000 rows migrated\n  next: changeover --db {path} contract users name\n"
        )
    );
    words(&db, "contract users name").done();
    assert_eq!(
        status(),
        "users: name -> full_name  contracted, 1000 rows migrated\n"
    );
    words(&db, "expand users name").done();
    words(&db, "abort users").done();
    assert_eq!(
        status(),
        "users: name -> full_name  contracted, 1000 rows migrated\nusers: (not named yet) -> name  aborted\n"
    );
}

#[test]
fn history_shows_each_phase_with_its_time() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let history = || unchanged(&db, || words(&db, "history").done().stdout);
    assert_eq!(history(), "nothing was applied yet\n");
    words(&db, "migrate-data name full_name --expand").done();
    words(&db, "contract users name").done();
    let times = texts(
        &db,
        "SELECT applied_at FROM _changeover_history ORDER BY version",
    );
    assert_eq!(
        history(),
        format!(
            "   1  {}  add_full_name_column  users (name, full_name NULL)\n   \
                2  {}  migrate_name_to_full_name  1000 rows migrated\n   \
                3  {}  remove_name_column  users (full_name)\n",
            times[0], times[1], times[2]
        )
    );
}

#[test]
fn looking_creates_nothing_in_a_file_of_any_journal_mode() {
    for mode in ["wal", "delete", "truncate", "persist"] {
        let folder = Folder::new();
        let db = folder.made(&format!(
            "PRAGMA journal_mode = {mode}; CREATE TABLE t(a); INSERT INTO t VALUES (1)"
        ));
        unchanged(&db, || {
            for line in [
                "status",
                "history",
                "plan expand t b",
                "expand t b --dry-run",
            ] {
                words(&db, line).done();
            }
            words(&db, "expand t a").failed(3, "already has a column");
            words(&db, "abort t").failed(3, "no open change");
            words(&db, "forget").failed(3, "the file holds no ledger");
        });
    }
}

#[test]
fn forget_leaves_the_file_without_a_trace() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    unchanged(&db, || {
        words(&db, "forget").failed(3, "error: the file holds no ledger\n");
    });
    words(&db, "expand users full_name").done();
    for state in ["expanded", "migrated"] {
        unchanged(&db, || {
            let ran = words(&db, "forget");
            ran.failed(3, "error: the file has an open change on table `users`\nhint: contract or abort it first\n");
        });
        if state == "expanded" {
            words(&db, "migrate-data name full_name").done();
        }
    }
    words(&db, "contract users name").done();
    let ran = words(&db, "forget").done();
    assert_eq!(ran.stdout, "the ledger is gone from the file\n");
    assert_eq!(everything(&db), applications_part(&db));
    assert_eq!(words(&db, "status").done().stdout, "no change yet\n");
    // Versions begin anew.
    let ran = words(&db, "expand users name").done();
    assert!(ran.stdout.starts_with("version 1  "), "{ran:?}");
    words(&db, "abort users").done();
    words(&db, "forget").done();
    assert_eq!(everything(&db), applications_part(&db));
}

#[test]
fn break_that_is_allowed_is_told() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    execute(
        &db,
        "CREATE TABLE other(full_name); CREATE VIEW v AS SELECT full_name FROM users, other",
    );
    unchanged(&db, || {
        let ran = words(&db, "expand users full_name");
        let ran = ran.failed(
            3,
            "  - view `v` would fail: ambiguous column name: full_name\n",
        );
        assert!(ran.stderr.contains("--allow-breaking"), "{ran:?}");
    });
    let ran = words(&db, "expand users full_name --allow-breaking").done();
    assert_eq!(
        ran.stdout,
        "version 1  add_full_name_column  users (name, full_name NULL)  (breaks old applications)\n"
    );
}

// JSON.

#[test]
fn json_is_one_object_and_nothing_else() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let said = |line: &str| {
        let ran = words(&db, &format!("{line} --json")).done();
        assert_eq!(ran.stderr, "");
        ran.json()
    };
    assert_eq!(
        said("status"),
        json!({"type": "status_ok", "version": 0, "changes": []})
    );
    assert_eq!(
        said("history"),
        json!({"type": "history_ok", "history": []})
    );
    let plan = said("plan expand users full_name");
    assert_eq!(plan["plans"][0]["phase"], "expand");
    assert_eq!(said("expand users full_name --dry-run"), plan);
    let expanded = words(&db, "--json expand users full_name").done();
    assert_eq!(
        expanded.stdout,
        "{\"type\": \"migration_applied\", \"version\": 1, \"name\": \"add_full_name_column\", \
         \"schema\": \"users (name, full_name NULL)\", \"backward_compatible\": true}\n"
    );
    let migrated = words(&db, "--json migrate-data name full_name").done();
    assert_eq!(
        migrated.stdout,
        "{\"type\": \"data_migrated\", \"version\": 2, \"rows_migrated\": 1000}\n"
    );
    let contracted = words(&db, "--json contract users name").done();
    assert_eq!(
        contracted.stdout,
        "{\"type\": \"migration_applied\", \"version\": 3, \"name\": \"remove_name_column\", \"schema\": \"users (full_name)\"}\n"
    );
    assert_eq!(said("status")["changes"][0]["state"], "contracted");
    assert_eq!(said("history")["history"][2]["name"], "remove_name_column");
    assert_eq!(said("forget"), json!({"type": "forget_ok"}));
    let seeded = finish(
        changeover()
            .args(["--json", "seed", "other.db", "--rows", "2"])
            .current_dir(folder.path()),
        b"",
    );
    assert_eq!(
        seeded.done().json(),
        json!({"type": "seed_ok", "path": "other.db", "rows": 2})
    );
}

#[test]
fn json_error_has_its_code_and_goes_to_stdout() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    let cases = [
        ("contract users name", 3, 22),
        ("abort users", 3, 22),
        ("forget", 3, 22),
        ("expand users name", 3, 21),
        ("expand user name", 3, 20),
        ("expand sqlite_schema name", 3, 10),
        ("expand users x --type ) --json", 2, 12),
        ("migrate-data name full_name", 3, 22),
    ];
    unchanged(&db, || {
        for (line, exit, code) in cases {
            let line = line.trim_end_matches(" --json");
            let ran = words(&db, &format!("--json {line}"));
            assert_eq!((ran.code(), ran.stderr.as_str()), (exit, ""), "{line}");
            let error = ran.json();
            assert_eq!(
                (&error["type"], &error["code"]),
                (&json!("error"), &json!(code)),
                "{line}"
            );
            assert_eq!(error["in_reply_to"], Value::Null);
            assert!(!error["text"].as_str().unwrap().is_empty());
        }
    });
}

// Usage.

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_wrong() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    let cases = [
        ("", "Usage: changeover"),
        ("frobnicate", "unrecognized subcommand 'frobnicate'"),
        ("expand", "<TABLE>"),
        ("expand users", "<NEW_COLUMN>"),
        ("migrate-data name", "<NEW_COLUMN>"),
        ("contract users", "<OLD_COLUMN>"),
        ("expand users a b", "unexpected argument 'b'"),
        ("expand users a --colour", "unexpected argument '--colour'"),
        ("abort users --winner me", "[possible values: old, new]"),
        ("status --batch-rows 0", "0 is not in 1"),
        ("status --batch-rows -1", "unexpected argument '-1'"),
        ("status --busy-timeout soon", "not a number of seconds"),
        ("status --busy-timeout=-1", "--busy-timeout"),
        ("status --busy-timeout=nan", "--busy-timeout"),
        ("seed x.db --rows=-1", "--rows"),
        ("seed x.db --rows many", "--rows"),
        ("completions tcsh", "possible values: bash"),
        ("plan", "Usage: changeover plan"),
        ("plan status", "unrecognized subcommand 'status'"),
    ];
    unchanged(&db, || {
        for (line, sentence) in cases {
            let ran = words(&db, line);
            assert_eq!((ran.code(), ran.stdout.as_str()), (2, ""), "{line}");
            assert!(ran.stderr.contains(sentence), "{line}: {}", ran.stderr);
        }
        for empty in [
            ["expand", "", "x"],
            ["expand", "users", ""],
            ["migrate-data", "", "x"],
        ] {
            let ran = run(&db, empty);
            assert_eq!(ran.code(), 2);
            assert!(ran.stderr.contains("a name cannot be empty"), "{ran:?}");
        }
    });
}

#[test]
fn busy_timeout_may_be_anything_from_nothing_to_ages() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    for seconds in ["0", "0.001", "1e3", "99999999999"] {
        run(&db, ["--busy-timeout", seconds, "status"]).done();
    }
}

#[test]
fn file_is_named_by_option_or_by_environment() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    let missing = folder.join("missing.db");
    let ran = finish(changeover().arg("status"), b"");
    ran.failed(
        2,
        "error: name the file with --db PATH or in CHANGEOVER_DB\n",
    );
    let ran = finish(changeover().arg("status").env("CHANGEOVER_DB", &db), b"").done();
    assert_eq!(ran.stdout, "no change yet\n");
    finish(on(&db).arg("status").env("CHANGEOVER_DB", &missing), b"").done();
    finish(on(&missing).arg("status").env("CHANGEOVER_DB", &db), b"").failed(3, "no file");
    // The option stands before or behind the command.
    finish(changeover().arg("status").arg("--db").arg(&db), b"").done();
    assert_eq!(
        finish(changeover().arg("status").env("CHANGEOVER_DB", ""), b"").code(),
        2
    );
}

#[test]
fn help_is_there_for_every_command() {
    let folder = Folder::new();
    let db = folder.join("none.db");
    let commands = [
        "expand",
        "migrate-data",
        "contract",
        "abort",
        "plan",
        "plan expand",
        "plan migrate-data",
        "plan contract",
        "plan abort",
        "status",
        "history",
        "forget",
        "node",
        "seed",
        "completions",
        "man",
    ];
    for command in commands {
        let ran = words(&db, &format!("{command} --help")).done();
        assert!(
            ran.stdout.contains(&format!("Usage: changeover {command}")),
            "{ran:?}"
        );
    }
    let ran = finish(changeover().arg("--help"), b"").done();
    assert!(ran.stdout.contains("Exit status: 0 done"), "{ran:?}");
    let ran = finish(changeover().arg("--version"), b"").done();
    assert_eq!(
        ran.stdout,
        concat!("changeover ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn completions_are_there_for_each_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = finish(changeover().args(["completions", shell]), b"").done();
        assert_eq!(ran.stderr, "");
        assert!(
            ran.stdout.contains("migrate-data") && ran.stdout.contains("changeover"),
            "{shell}"
        );
        let mut check = Command::new(shell);
        if check
            .arg("-n")
            .stdin(std::process::Stdio::piped())
            .arg("/dev/stdin")
            .spawn()
            .is_ok_and(|mut it| {
                drop(it.stdin.take());
                it.wait().is_ok_and(|status| status.success())
            })
        {
            // The shell is on this machine, and takes the script for one of its own.
            let mut check = Command::new(shell);
            finish(check.args(["-n", "/dev/stdin"]), ran.stdout.as_bytes()).done();
        }
    }
}

#[test]
fn manual_page_has_every_command_and_option() {
    let ran = finish(changeover().arg("man"), b"").done();
    assert!(ran.stdout.contains(".TH changeover 1"), "{ran:?}");
    let page = ran.stdout.replace("\\-", "-");
    for word in [
        "EXPAND",
        "MIGRATE-DATA",
        "CONTRACT",
        "ABORT",
        "PLAN",
        "NODE",
        "SEED",
        "FORGET",
    ] {
        assert!(
            page.contains(&format!(".SH \"CHANGEOVER {word}\"")),
            "{word}"
        );
    }
    for option in [
        "--db",
        "--json",
        "--busy-timeout",
        "--batch-rows",
        "--allow-breaking",
        "--winner",
        "--dry-run",
    ] {
        assert!(page.contains(option), "{option}");
    }
}

// Dry runs.

#[test]
fn plan_and_dry_run_print_the_same_script_and_change_nothing() {
    let folder = Folder::new();
    let db = folder.seeded(100);
    let planned = |line: &str| {
        unchanged(&db, || {
            let plan = words(&db, &format!("plan {line}")).done();
            let dry = words(&db, &format!("{line} --dry-run")).done();
            assert_eq!((&plan.stdout, &plan.stderr), (&dry.stdout, &dry.stderr));
            assert_eq!(plan.stderr, "nothing was changed\n");
            plan.stdout
        })
    };
    let script = planned("expand users full_name --from name");
    assert!(
        script.contains("ALTER TABLE \"users\" ADD COLUMN full_name TEXT;\n"),
        "{script}"
    );
    let script = planned("migrate-data name full_name --expand");
    assert!(script.contains("ALTER TABLE"), "{script}");
    assert!(
        script.contains("UPDATE OR ABORT \"users\" SET \"full_name\" = \"name\""),
        "{script}"
    );
    words(&db, "expand users full_name").done();
    planned("migrate-data name full_name");
    planned("abort users");
    unchanged(&db, || {
        words(&db, "contract users name --dry-run").failed(3, "the data of `name` is not migrated");
        words(&db, "plan contract users nam").failed(3, "did you mean `name`?");
    });
    words(&db, "migrate-data name full_name").done();
    let script = planned("contract users name");
    assert!(script.contains("CREATE TABLE"), "{script}");
    planned("abort users");
    assert!(
        planned("expand users full_name")
            .contains("applied already, as version 1: there is nothing to do")
    );
    words(&db, "contract users name").done();
    assert!(
        planned("contract users name")
            .contains("applied already, as version 3: there is nothing to do")
    );
}

/// A table with all that hangs on tables.
const RICH: &str = "
    CREATE TABLE people(
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL DEFAULT 'it''s' COLLATE NOCASE, age INT CHECK(age > 0),
        initial AS (substr(name, 1, 1)) STORED, UNIQUE(name, age));
    CREATE INDEX by_name ON people(name DESC) WHERE age > 1;
    CREATE INDEX by_lower ON people(lower(name));
    CREATE TABLE notes(person REFERENCES people(id) ON DELETE CASCADE, note TEXT);
    CREATE VIEW grown AS SELECT name, age FROM people WHERE age >= 18;
    CREATE TABLE log(said);
    CREATE TRIGGER t1 AFTER UPDATE OF name ON people BEGIN INSERT INTO log VALUES (old.name || new.name); END;
    CREATE TRIGGER t2 AFTER INSERT ON people WHEN new.name <> '' BEGIN INSERT INTO log VALUES (new.name); END;
    INSERT INTO people(name, age) VALUES ('Ann', 1), ('ann', 20), ('', 99), ('x -- y', NULL), (char(0x1f600), 5);
    INSERT INTO notes VALUES (1, 'a'), (2, 'b');
    ANALYZE;";

#[test]
fn script_of_a_plan_does_in_the_sqlite3_shell_what_the_phase_does() {
    if Command::new("sqlite3").arg("--version").output().is_err() {
        skipped("there is no sqlite3 program here");
        return;
    }
    let cases = [
        ("CREATE TABLE people(name TEXT NOT NULL); INSERT INTO people VALUES ('a'), ('b''c'), ('')", "", ""),
        (RICH, "", "--write-both"),
        (
            "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT NOT NULL, b); CREATE INDEX i ON people(b);
             INSERT INTO people(name) VALUES ('7'), ('-1'), ('9223372036854775807')",
            "--type INTEGER",
            "",
        ),
        ("CREATE TABLE people(name ANY, k TEXT, l INT, PRIMARY KEY(l DESC, k)) STRICT, WITHOUT ROWID;
          INSERT INTO people VALUES (1, 'a', 1), (x'00', 'b', 1), (NULL, 'c', 2), (1.5, 'd', 2)", "", ""),
    ];
    for (sql, typed, written) in cases {
        for end in ["contract people name", "abort people"] {
            let (tool, shell) = (Folder::new(), Folder::new());
            let (by_tool, by_shell) = (tool.made(sql), shell.made(sql));
            let expand = format!("expand people full_name {typed}");
            words(&by_tool, &expand).done();
            words(&by_shell, &expand).done();
            let migrate = format!("migrate-data name full_name {written}");
            for phase in [migrate.as_str(), end] {
                words(&by_tool, phase).done();
                let script = words(&by_shell, &format!("plan {phase}")).done().stdout;
                sqlite3(&by_shell, &script);
            }
            for db in [&by_tool, &by_shell] {
                execute(
                    db,
                    "UPDATE _changeover_history SET applied_at = ''; DELETE FROM _changeover_ledger_format;
                     DELETE FROM _changeover_runs",
                );
            }
            assert_eq!(everything(&by_tool), everything(&by_shell), "{end}: {sql}");
            assert_eq!(texts(&by_shell, "PRAGMA integrity_check"), ["ok"]);
        }
    }
}

/// Pipes a script into SQLite's own shell, which must have nothing to say to it.
#[track_caller]
fn sqlite3(db: &Path, script: &str) {
    let mut shell = Command::new("sqlite3");
    // Nor may it read what someone keeps at home for it.
    shell
        .args(["-batch", "-bail"])
        .arg(db)
        .env("HOME", db.parent().unwrap());
    let ran = finish(&mut shell, script.as_bytes()).done();
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("", ""),
        "{script}"
    );
}

#[test]
fn statements_of_a_plan_are_the_same_in_json() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    for line in [
        "expand users full_name",
        "migrate-data name full_name",
        "contract users name",
    ] {
        let script = words(&db, &format!("plan {line}")).done().stdout;
        let plan = words(&db, &format!("plan {line} --json")).done().json();
        let mut found = 0;
        for transaction in plan["plans"][0]["transactions"].as_array().unwrap() {
            for statement in transaction["statements"].as_array().unwrap() {
                let sql = statement["sql"].as_str().unwrap();
                assert!(script.contains(&format!("{sql};\n")), "{sql}");
                found += 1;
            }
        }
        assert!(found > 0);
        words(&db, line).done();
    }
}

// Commands to be typed.

#[test]
fn next_command_can_be_typed_until_the_change_is_done() {
    let folder = Folder::new();
    let ran = typed(&folder, "changeover seed app.db").done();
    assert_eq!(ran.stdout, "app.db: users (name), 1000 rows\n");
    let mut ran = typed(&folder, next(&ran)).done();
    for _ in 0..2 {
        // Status says the same.
        let status = typed(&folder, "changeover --db app.db status").done();
        assert!(
            status
                .stdout
                .ends_with(&format!("  next: {}\n", next(&ran))),
            "{status:?}"
        );
        ran = typed(&folder, next(&ran)).done();
    }
    assert_eq!(
        ran.stdout,
        "version 3  remove_name_column  users (full_name)\n"
    );
    let look = ran.stderr.strip_prefix("look at it: ").unwrap();
    if Command::new("sqlite3").arg("--version").output().is_ok() {
        assert!(
            typed(&folder, look)
                .done()
                .stdout
                .contains("CREATE TABLE users(full_name TEXT NOT NULL);")
        );
    }
}

#[test]
fn next_command_can_be_typed_whatever_the_names() {
    let odd = [
        "a b",
        "it's",
        "say \"x\"",
        "--dry-run",
        "-h",
        "$HOME `id` $(id)",
        "größe",
        "*;|&<>!#",
        "back\\slash",
        "'",
        "line\nbreak",
    ];
    for name in odd {
        let folder = Folder::new();
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let file = format!("{}.db", name.replace('/', "_"));
        let db = folder.join(&file);
        execute(
            &db,
            &format!(
                "CREATE TABLE {quoted}({quoted} TEXT, other TEXT); INSERT INTO {quoted} VALUES ('v', 'w')"
            ),
        );
        let new = format!("{name} {name}");
        let mut expand = changeover();
        expand
            .current_dir(folder.path())
            .arg(format!("--db={file}"));
        expand.args(["expand", &format!("--from={name}"), "--", name, &new]);
        let ran = finish(&mut expand, b"").done();
        let command = |ran: &Ran| {
            ran.stderr
                .trim_end_matches('\n')
                .strip_prefix("next: ")
                .unwrap()
                .to_owned()
        };
        let ran = typed(&folder, &command(&ran)).done();
        let ran = typed(&folder, &command(&ran)).done();
        let look = ran
            .stderr
            .trim_end_matches('\n')
            .strip_prefix("look at it: ")
            .unwrap();
        if Command::new("sqlite3").arg("--version").output().is_ok() {
            assert!(
                typed(&folder, look).done().stdout.contains("other TEXT"),
                "{look}"
            );
        }
        let columns = texts(
            &db,
            &format!("SELECT name FROM pragma_table_info({quoted})"),
        );
        assert_eq!(columns, [new, "other".to_owned()]);
    }
}

#[test]
fn next_command_names_the_table_where_two_could_be_meant() {
    let folder = Folder::new();
    let db = folder.made("CREATE TABLE a(name TEXT); CREATE TABLE \"-b c\"(name TEXT)");
    words(&db, "expand a full_name --from name").done();
    let ran = run(&db, ["expand", "--from", "name", "--", "-b c", "full_name"]).done();
    let ran = typed(&folder, next(&ran)).done();
    assert!(next(&ran).ends_with(" contract -- '-b c' name"), "{ran:?}");
    let status = words(&db, "status").done().stdout;
    assert!(status.contains("migrate-data name full_name\n"), "{status}");
}

#[test]
fn seeded_file_with_a_space_has_a_next_command_that_can_be_typed() {
    let folder = Folder::new();
    for path in ["my db's.db", "./-x.db"] {
        let ran = finish(
            changeover()
                .args(["seed", path, "--rows", "3"])
                .current_dir(folder.path()),
            b"",
        )
        .done();
        typed(&folder, next(&ran)).done();
    }
}

// The sample.

#[test]
fn seed_writes_as_many_rows_as_asked_for() {
    let all = Folder::new();
    let names = "SELECT name FROM users ORDER BY rowid";
    let all = texts(&all.seeded(1000), names);
    for rows in [0, 1, 999, 1000, 1001, 2500] {
        let folder = Folder::new();
        let db = folder.join("app.db");
        let path = db.to_str().unwrap();
        let ran = finish(
            changeover().args(["seed", path, "--rows", &rows.to_string()]),
            b"",
        )
        .done();
        assert_eq!(ran.stdout, format!("{path}: users (name), {rows} rows\n"));
        assert_eq!(folder.names(), ["app.db"]);
        let written = texts(&db, names);
        assert_eq!(written.len(), rows);
        assert_eq!(written[..rows.min(1000)], all[..rows.min(1000)]);
        if rows > 1000 {
            assert_eq!(written[1000], format!("{} 2", all[0]));
            assert_eq!(
                written[rows - 1],
                format!("{} {}", all[(rows - 1) % 1000], (rows - 1) / 1000 + 1)
            );
        }
        assert_eq!(
            number(
                &db,
                "SELECT count(*) = max(rowid) OR count(*) = 0 FROM users"
            ),
            1
        );
        assert_eq!(value(&db, "PRAGMA journal_mode"), "wal".to_owned().into());
        // And it goes through a change.
        let ran = words(&db, "migrate-data name full_name --expand").done();
        assert!(
            ran.stdout.ends_with(&format!("  {rows} rows migrated\n")),
            "{ran:?}"
        );
        words(&db, "contract users name").done();
        assert_eq!(
            texts(&db, "SELECT full_name FROM users ORDER BY rowid"),
            written
        );
    }
}

#[test]
fn seed_without_a_number_writes_a_thousand_and_always_the_same() {
    let (one, other) = (Folder::new(), Folder::new());
    let seed = |folder: &Folder| {
        finish(
            changeover()
                .args(["seed", "app.db"])
                .current_dir(folder.path()),
            b"",
        )
        .done();
        folder.join("app.db")
    };
    let (one, other) = (seed(&one), seed(&other));
    assert_eq!(number(&one, "SELECT count(*) FROM users"), 1000);
    assert!(bytes(&one) == bytes(&other));
}

#[test]
fn seed_never_overwrites() {
    let folder = Folder::new();
    let db = folder.seeded(3);
    std::fs::write(folder.join("text"), "mine").unwrap();
    std::fs::create_dir(folder.join("folder")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("link")).unwrap();
    unchanged(&db, || {
        for name in ["app.db", "text", "folder", "link"] {
            let ran = finish(
                changeover().args(["seed", name]).current_dir(folder.path()),
                b"",
            );
            ran.failed(
                3,
                &format!("error: `{name}` exists already\nhint: name a path that is free"),
            );
        }
    });
    assert_eq!(std::fs::read(folder.join("text")).unwrap(), b"mine");
    assert_eq!(folder.names(), ["app.db", "folder", "link", "text"]);
}

#[test]
fn seed_into_a_folder_that_is_not_there_leaves_nothing() {
    let folder = Folder::new();
    let ran = finish(
        changeover()
            .args(["seed", "no/app.db"])
            .current_dir(folder.path()),
        b"",
    );
    ran.failed(1, "error: no/app.db: No such file or directory");
    assert!(folder.names().is_empty());
}

// A listener that is gone.

#[test]
fn phase_is_done_although_nobody_reads_what_it_says() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    for (version, line) in [
        (1, "expand users full_name"),
        (2, "--json migrate-data name full_name"),
        (3, "contract users name"),
    ] {
        let mut child = start(on(&db).args(line.split_whitespace()));
        drop(child.stdout.take());
        let ran = await_end(child, b"");
        assert_eq!(ran.code(), 1, "{ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        assert_eq!(
            number(&db, "SELECT max(version) FROM _changeover_history"),
            version
        );
    }
    for line in ["man", "completions zsh", "status", "--help"] {
        let mut child = start(on(&db).args(line.split_whitespace()));
        drop((child.stdout.take(), child.stderr.take()));
        assert!([0, 1].contains(&await_end(child, b"").code()), "{line}");
    }
}
