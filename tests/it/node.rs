//! Message mode: what is said on stdin, and what stands on stdout, to the byte.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::process::{
    CONTRACT, CONTRACTED, Conversation, EXPAND, EXPANDED, Folder, MIGRATE, MIGRATED,
    applications_part, await_end, changeover, everything, execute, expect_error, finish, number,
    on, poll, replies, reply, start, texts, unchanged, words,
};

fn with_id(text: &str, id: &str) -> String {
    let fields = ["\"msg_id\": ", "\"in_reply_to\": "];
    let field = fields.into_iter().find(|it| text.contains(it)).unwrap();
    let (head, tail) = text.split_once(field).unwrap();
    let rest = tail.split_once(',').unwrap().1;
    format!("{head}{field}{id},{rest}")
}

fn three() -> String {
    [EXPAND, MIGRATE, CONTRACT]
        .map(|it| format!("{it}\n"))
        .concat()
}

// The three phases.

#[test]
fn three_messages_get_three_exact_replies() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    assert_eq!(replies(&db, three()), [EXPANDED, MIGRATED, CONTRACTED]);
    assert_eq!(
        texts(&db, "SELECT sql FROM sqlite_schema WHERE name = 'users'"),
        ["CREATE TABLE users(full_name TEXT NOT NULL)"]
    );
    assert_eq!(number(&db, "SELECT count(*) FROM users"), 1000);
}

#[test]
fn kept_messages_are_those_of_the_design() {
    let kept = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/messages.jsonl"
    ));
    assert_eq!(kept.unwrap(), three());
}

#[test]
fn without_a_file_named_a_sample_is_made_in_the_working_folder() {
    let folder = Folder::new();
    let node = || {
        let mut command = changeover();
        command.arg("node").current_dir(folder.path());
        finish(&mut command, three().as_bytes()).done().stdout
    };
    let expected = format!("{EXPANDED}\n{MIGRATED}\n{CONTRACTED}\n");
    assert_eq!(node(), expected);
    assert_eq!(folder.names(), ["changeover.db"]);
    // The file that is there is opened, not made anew.
    assert_eq!(node(), expected);
    let db = folder.join("changeover.db");
    assert_eq!(
        number(&db, "SELECT max(version) FROM _changeover_history"),
        3
    );
}

#[test]
fn file_named_that_does_not_exist_is_an_error() {
    let folder = Folder::new();
    let missing = folder.join("missing.db");
    finish(on(&missing).arg("node"), EXPAND.as_bytes()).failed(3, "no file");
    let mut command = changeover();
    command.arg("node").env("CHANGEOVER_DB", &missing);
    finish(&mut command, EXPAND.as_bytes()).failed(3, "missing.db");
    assert!(folder.names().is_empty());
}

#[test]
fn each_phase_can_have_a_process_of_its_own() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    assert_eq!(replies(&db, EXPAND), [EXPANDED]);
    assert_eq!(replies(&db, MIGRATE), [MIGRATED]);
    assert_eq!(replies(&db, CONTRACT), [CONTRACTED]);
}

#[test]
fn reply_comes_while_stdin_stays_open() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let mut node = Conversation::start(on(&db).arg("node"));
    assert_eq!(node.ask(EXPAND), EXPANDED);
    // What was answered is in the file by then.
    assert_eq!(
        number(&db, "SELECT max(version) FROM _changeover_history"),
        1
    );
    node.say(&MIGRATE.as_bytes()[..30]);
    node.say(&MIGRATE.as_bytes()[30..]);
    assert_eq!(node.ask(""), MIGRATED);
    assert_eq!(
        number(&db, "SELECT count(*) FROM users WHERE full_name IS name"),
        1000
    );
    assert_eq!(node.ask(CONTRACT), CONTRACTED);
    assert_eq!(number(&db, "SELECT count(full_name) FROM users"), 1000);
    node.end();
}

#[test]
fn reply_carries_whatever_id_the_message_has() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let ids = [
        "1",
        "1.0",
        "-0",
        "0.10",
        "1e+400",
        "123456789012345678901234567890",
        "-9223372036854775809",
        "null",
        "true",
        "\"1\"",
        "\"\"",
        "\"größe \\\" \\\\ \\n 😀\"",
        "[]",
        "[1, [2, {\"b\": null, \"a\": 0}]]",
        "{\"z\": 1, \"a\": {\"msg_id\": 7}}",
    ];
    for id in ids {
        let message = format!(
            r#"{{"type": "migrate", "msg_id": {id}, "phase": "expand", "table": "users", "add_column": "full_name"}}"#
        );
        let expected = EXPANDED.replace("\"in_reply_to\": 1", &format!("\"in_reply_to\": {id}"));
        assert_eq!(replies(&db, message), [expected]);
    }
    assert_eq!(number(&db, "SELECT count(*) FROM _changeover_history"), 1);
}

#[test]
fn message_without_an_id_is_answered_with_null() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let message = EXPAND.replace("\"msg_id\": 1, ", "");
    assert_eq!(replies(&db, message), [with_id(EXPANDED, "null")]);
}

#[test]
fn ids_need_not_be_unique() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let input = format!("{EXPAND}\n{}\n{CONTRACT}\n", with_id(MIGRATE, "1"));
    assert_eq!(
        replies(&db, input),
        [EXPANDED, &with_id(MIGRATED, "1"), CONTRACTED]
    );
}

#[test]
fn phase_asked_for_again_gets_its_stored_answer_and_changes_nothing() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let phases = [
        (EXPAND, EXPANDED),
        (MIGRATE, MIGRATED),
        (CONTRACT, CONTRACTED),
    ];
    for done in 0..phases.len() {
        assert_eq!(replies(&db, phases[done].0), [phases[done].1]);
        unchanged(&db, || {
            for (message, answer) in &phases[..=done] {
                assert_eq!(
                    replies(&db, with_id(message, "\"again\"")),
                    [with_id(answer, "\"again\"")]
                );
            }
        });
    }
    assert_eq!(number(&db, "SELECT count(*) FROM _changeover_history"), 3);
}

#[test]
fn all_messages_twice_in_one_process_make_three_versions() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let twice: Vec<String> = three()
        .lines()
        .flat_map(|it| [it.to_owned(), it.to_owned()])
        .collect();
    assert_eq!(
        replies(&db, twice.join("\n")),
        [
            EXPANDED, EXPANDED, MIGRATED, MIGRATED, CONTRACTED, CONTRACTED
        ]
    );
}

#[test]
fn data_migration_expands_first_where_nothing_has() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    assert_eq!(replies(&db, MIGRATE), [MIGRATED]);
    let history = "SELECT version || ' ' || phase FROM _changeover_history ORDER BY version";
    assert_eq!(texts(&db, history), ["1 expand", "2 migrate_data"]);
    // The expand is answered as the one that was done.
    assert_eq!(replies(&db, EXPAND), [EXPANDED]);
    assert_eq!(replies(&db, CONTRACT), [CONTRACTED]);
    unchanged(&db, || assert_eq!(replies(&db, MIGRATE), [MIGRATED]));
}

#[test]
fn swap_back_is_a_change_of_its_own() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let before = applications_part(&db);
    replies(&db, three());
    let back = [
        r#"{"type": "migrate", "msg_id": 4, "phase": "expand", "table": "users", "add_column": "name"}"#,
        r#"{"type": "migrate", "msg_id": 5, "phase": "migrate_data", "from": "full_name", "to": "name"}"#,
        r#"{"type": "migrate", "msg_id": 6, "phase": "contract", "table": "users", "remove_column": "full_name"}"#,
    ];
    assert_eq!(
        replies(&db, back.join("\n")),
        [
            r#"{"type": "migration_applied", "in_reply_to": 4, "version": 4, "name": "add_name_column", "schema": "users (full_name, name NULL)", "backward_compatible": true}"#,
            r#"{"type": "data_migrated", "in_reply_to": 5, "version": 5, "rows_migrated": 1000}"#,
            r#"{"type": "migration_applied", "in_reply_to": 6, "version": 6, "name": "remove_full_name_column", "schema": "users (name)"}"#,
        ]
    );
    assert_eq!(applications_part(&db), before);
    // And there again, as a third change.
    let again = replies(&db, three());
    let versions: Vec<Value> = again
        .iter()
        .map(|it| serde_json::from_str::<Value>(it).unwrap()["version"].clone())
        .collect();
    assert_eq!(versions, [7, 8, 9]);
}

#[test]
fn abort_undoes_each_state_and_everything_can_begin_again() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let before = applications_part(&db);
    let abort = r#"{"type": "abort", "msg_id": "a", "table": "users"}"#;
    let aborted = |version| {
        format!(
            r#"{{"type": "migration_aborted", "in_reply_to": "a", "version": {version}, "name": "abort_full_name_column", "schema": "users (name)"}}"#
        )
    };
    assert_eq!(
        replies(&db, format!("{EXPAND}\n{abort}\n")),
        [EXPANDED, &aborted(2)]
    );
    assert_eq!(applications_part(&db), before);
    // Aborted already: the stored answer.
    unchanged(&db, || assert_eq!(replies(&db, abort), [aborted(2)]));
    let answers = replies(&db, format!("{EXPAND}\n{MIGRATE}\n{abort}\n"));
    assert_eq!(
        answers[0],
        EXPANDED.replace("\"version\": 1", "\"version\": 3")
    );
    assert_eq!(
        answers[1],
        MIGRATED.replace("\"version\": 2", "\"version\": 4")
    );
    assert_eq!(answers[2], aborted(5));
    assert_eq!(applications_part(&db), before);
    // The other spelling of an abort, and contract behind it.
    let spelled = r#"{"type": "migrate", "msg_id": "a", "phase": "abort", "table": "users"}"#;
    unchanged(&db, || assert_eq!(replies(&db, spelled), [aborted(5)]));
    let answers = replies(&db, three());
    assert_eq!(
        answers[2],
        CONTRACTED.replace("\"version\": 3", "\"version\": 8")
    );
    expect_error(&reply(&db, abort), 22, "table `users` has no open change");
}

// Fields that may be left out.

#[test]
fn type_of_the_column_can_be_asked_for() {
    let folder = Folder::new();
    let db = folder.made(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, age TEXT); INSERT INTO t(age) VALUES ('7'), (NULL)",
    );
    let expand = r#"{"type": "migrate", "phase": "expand", "table": "t", "add_column": "years", "column_type": "INTEGER"}"#;
    let expanded = reply(&db, expand);
    assert_eq!(expanded["schema"], "t (id, age NULL, years NULL)");
    assert_eq!(
        texts(
            &db,
            "SELECT type FROM pragma_table_info('t') WHERE name = 'years'"
        ),
        ["INTEGER"]
    );
    // The same again is the same; another type is not.
    assert_eq!(reply(&db, expand), expanded);
    expect_error(
        &reply(&db, &expand.replace("INTEGER", "REAL")),
        21,
        "already has a column `years`",
    );
    let migrated = reply(
        &db,
        r#"{"type": "migrate", "phase": "migrate_data", "from": "age", "to": "years"}"#,
    );
    assert_eq!(migrated["rows_migrated"], 1);
    assert_eq!(
        texts(&db, "SELECT typeof(years) FROM t"),
        ["integer", "null"]
    );
    let contract =
        r#"{"type": "migrate", "phase": "contract", "table": "t", "remove_column": "age"}"#;
    assert_eq!(reply(&db, contract)["schema"], "t (id, years NULL)");
    assert_eq!(
        texts(&db, "SELECT typeof(years) FROM t"),
        ["integer", "null"]
    );
}

#[test]
fn values_that_the_new_type_converts_agree() {
    for (from, to, value, stored) in [
        ("", "TEXT", "7", "'7'"),
        ("BLOB", "TEXT", "1.5", "'1.5'"),
        ("", "INTEGER", "'007'", "7"),
        ("TEXT", "INTEGER", "'007'", "7"),
        ("INTEGER", "TEXT", "7", "'7'"),
        ("REAL", "INTEGER", "1.0", "1"),
        ("REAL", "ANY", "1.0", "1"),
    ] {
        let folder = Folder::new();
        let db = folder.made(&format!(
            "CREATE TABLE t(a {from}); INSERT INTO t VALUES ({value}), (NULL)"
        ));
        let expand = format!(
            r#"{{"type": "migrate", "phase": "expand", "table": "t", "add_column": "b", "from": "a", "column_type": "{to}"}}"#
        );
        assert_eq!(reply(&db, &expand)["version"], 1, "{from} to {to}");
        for (message, kind) in [
            (
                r#"{"type": "migrate", "phase": "migrate_data", "from": "a", "to": "b"}"#,
                "data_migrated",
            ),
            (
                r#"{"type": "migrate", "phase": "contract", "table": "t", "remove_column": "a"}"#,
                "migration_applied",
            ),
        ] {
            assert_eq!(reply(&db, message)["type"], kind, "{from} to {to}");
        }
        assert_eq!(texts(&db, "SELECT quote(b) FROM t"), [stored, "NULL"]);
    }
}

#[test]
fn expand_takes_the_type_of_the_column_that_it_is_told() {
    let folder = Folder::new();
    let db = folder.made("CREATE TABLE t(id INTEGER PRIMARY KEY, a VARCHAR(20), b BLOB, c AS (a))");
    let expand = |from: &str| {
        format!(
            r#"{{"type": "migrate", "phase": "expand", "table": "t", "add_column": "new", "from": {from}}}"#
        )
    };
    unchanged(&db, || {
        expect_error(&reply(&db, &expand("\"aa\"")), 20, "did you mean `a`?");
        expect_error(
            &reply(&db, &expand("\"c\"")),
            10,
            "column `c` of table `t` is generated",
        );
    });
    assert_eq!(reply(&db, &expand("\"a\""))["version"], 1);
    assert_eq!(
        texts(
            &db,
            "SELECT type FROM pragma_table_info('t') WHERE name = 'new'"
        ),
        ["VARCHAR(20)"]
    );
    unchanged(&db, || {
        assert_eq!(reply(&db, &expand("null"))["version"], 1);
        expect_error(
            &reply(&db, &expand("\"b\"")),
            22,
            "`new` was added to replace `a`, not `b`",
        );
        let other = r#"{"type": "migrate", "phase": "migrate_data", "from": "b", "to": "new"}"#;
        expect_error(
            &reply(&db, other),
            22,
            "`new` was added to replace `a`, not `b`",
        );
    });
}

#[test]
fn break_is_refused_unless_it_is_allowed() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    execute(
        &db,
        "CREATE TABLE other(full_name); CREATE VIEW v AS SELECT full_name FROM users, other",
    );
    let expand = |allow: &str| EXPAND.replace('}', &format!(r#", "allow_breaking": {allow}}}"#));
    for refused in [EXPAND, &expand("false")] {
        unchanged(&db, || {
            let reply = reply(&db, refused);
            expect_error(&reply, 22, "expand would break what is in the file");
            expect_error(
                &reply,
                22,
                "view `v` would fail: ambiguous column name: full_name",
            );
            expect_error(&reply, 22, "allow_breaking");
        });
    }
    let reply = reply(&db, &expand("true"));
    assert_eq!(reply["version"], 1);
    assert_eq!(reply["backward_compatible"], false);
}

#[test]
fn table_tells_apart_what_the_columns_do_not() {
    let folder = Folder::new();
    let db = folder.made(
        "CREATE TABLE a(name TEXT); CREATE TABLE b(name TEXT); CREATE TABLE \"c d\"(name TEXT);
         INSERT INTO a VALUES ('x'); INSERT INTO b VALUES ('x'), ('y')",
    );
    unchanged(&db, || {
        expect_error(
            &reply(&db, MIGRATE),
            22,
            "could mean `a`, `b` or `c d`; name the table",
        );
    });
    for table in ["a", "b"] {
        let expand = EXPAND.replace("users", table);
        assert_eq!(reply(&db, &expand)["type"], "migration_applied");
    }
    unchanged(&db, || {
        expect_error(&reply(&db, MIGRATE), 22, "could mean `a` or `b`");
    });
    let in_b = MIGRATE.replace('}', r#", "table": "B"}"#);
    assert_eq!(reply(&db, &in_b)["rows_migrated"], 2);
    // One alone waits now.
    assert_eq!(reply(&db, MIGRATE)["rows_migrated"], 1);
    let missing = MIGRATE.replace('}', r#", "table": "bb"}"#);
    unchanged(&db, || {
        expect_error(
            &reply(&db, &missing),
            20,
            "no table `bb`; did you mean `b`?",
        );
    });
    // A table that nothing was expanded on, and that is named, is expanded.
    let third = MIGRATE.replace('}', r#", "table": "c d"}"#);
    let third = reply(&db, &third);
    assert_eq!(
        (&third["version"], &third["rows_migrated"]),
        (&json!(6), &json!(0))
    );
}

#[test]
fn winner_decides_where_both_columns_hold_values() {
    let conflicting = |folder: &Folder| {
        let db = folder.seeded(3);
        replies(&db, EXPAND);
        execute(
            &db,
            "UPDATE users SET name = 'old', full_name = 'new' WHERE rowid = 2",
        );
        db
    };
    for (winner, held, rows) in [("old", "old", 3), ("new", "new", 2)] {
        let folder = Folder::new();
        let db = conflicting(&folder);
        let before = everything(&db);
        let text =
            "`name` and `full_name` hold different values in 1 row, for instance where rowid = 2";
        expect_error(&reply(&db, MIGRATE), 22, text);
        assert_eq!(everything(&db), before);
        let message = MIGRATE.replace('}', &format!(r#", "winner": "{winner}"}}"#));
        assert_eq!(reply(&db, &message)["rows_migrated"], rows);
        let both = "SELECT name || ' ' || full_name FROM users WHERE rowid = 2";
        assert_eq!(texts(&db, both), [format!("{held} {held}")]);
    }
}

// The other messages.

#[test]
fn init_is_answered_as_a_harness_expects() {
    let folder = Folder::new();
    let db = folder.seeded(1);
    let message = r#"{"src": "c1", "dest": "n1", "body": {"type": "init", "msg_id": 1, "node_id": "n1", "node_ids": ["n1"]}}"#;
    unchanged(&db, || {
        assert_eq!(
            replies(&db, message),
            [r#"{"type": "init_ok", "in_reply_to": 1}"#]
        );
    });
}

#[test]
fn status_tells_how_far_each_change_has_come() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let status = || reply(&db, r#"{"type": "status", "msg_id": 9}"#);
    unchanged(&db, || {
        assert_eq!(
            replies(&db, r#"{"type": "status", "msg_id": 9}"#),
            [r#"{"type": "status_ok", "in_reply_to": 9, "version": 0, "changes": []}"#]
        );
    });
    let steps = [
        (
            EXPAND,
            json!({"table": "users", "from": null, "to": "full_name", "state": "expanded", "rows_migrated": 0, "next": "migrate_data"}),
        ),
        (
            MIGRATE,
            json!({"table": "users", "from": "name", "to": "full_name", "state": "migrated", "rows_migrated": 1000, "next": "contract"}),
        ),
        (
            CONTRACT,
            json!({"table": "users", "from": "name", "to": "full_name", "state": "contracted", "rows_migrated": 1000, "next": null}),
        ),
    ];
    for (version, (message, change)) in (1..).zip(steps) {
        replies(&db, message);
        let told = unchanged(&db, status);
        assert_eq!(
            (&told["in_reply_to"], &told["version"]),
            (&json!(9), &json!(version))
        );
        assert_eq!(told["changes"].as_array().unwrap().len(), 1);
        for (field, value) in change.as_object().unwrap() {
            assert_eq!(told["changes"][0][field], *value, "{field}: {told}");
        }
    }
}

#[test]
fn history_lists_every_phase_with_its_answer() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let ask = r#"{"type": "history", "msg_id": 9}"#;
    unchanged(&db, || {
        assert_eq!(
            replies(&db, ask),
            [r#"{"type": "history_ok", "in_reply_to": 9, "history": []}"#]
        );
    });
    replies(&db, three());
    let mut answer = unchanged(&db, || reply(&db, ask));
    for entry in answer["history"].as_array_mut().unwrap() {
        let at = entry.as_object_mut().unwrap().remove("applied_at").unwrap();
        let at = at.as_str().unwrap().to_owned();
        assert!(at.starts_with("20") && at.ends_with('Z'), "{at}");
    }
    assert_eq!(
        answer["history"],
        json!([
            {"version": 1, "phase": "expand", "name": "add_full_name_column", "schema": "users (name, full_name NULL)", "backward_compatible": true, "rows_migrated": null, "forced": null},
            {"version": 2, "phase": "migrate_data", "name": "migrate_name_to_full_name", "schema": null, "backward_compatible": null, "rows_migrated": 1000, "forced": null},
            {"version": 3, "phase": "contract", "name": "remove_name_column", "schema": "users (full_name)", "backward_compatible": null, "rows_migrated": null, "forced": null},
        ])
    );
}

#[test]
fn plan_of_any_phase_changes_nothing() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let plan = |message: &str| {
        let message = message.replace("\"type\": \"migrate\"", "\"type\": \"plan\"");
        unchanged(&db, || reply(&db, &message))
    };
    let abort = r#"{"type": "migrate", "msg_id": 4, "phase": "abort", "table": "users"}"#;
    let phases = |plan: &Value| {
        assert_eq!(plan["type"], "plan_ok", "{plan}");
        let plans = plan["plans"].as_array().unwrap().clone();
        plans
            .into_iter()
            .map(|it| {
                (
                    it["phase"].as_str().unwrap().to_owned(),
                    it["transactions"].as_array().unwrap().len(),
                )
            })
            .collect::<Vec<_>>()
    };
    let owned = |list: &[(&str, usize)]| -> Vec<(String, usize)> {
        list.iter()
            .map(|(phase, count)| ((*phase).to_owned(), *count))
            .collect()
    };
    assert_eq!(phases(&plan(EXPAND)), owned(&[("expand", 1)]));
    assert_eq!(
        phases(&plan(MIGRATE)),
        owned(&[("expand", 1), ("migrate_data", 4)])
    );
    expect_error(&plan(CONTRACT), 22, "no change replaces column `name`");
    expect_error(&plan(abort), 22, "no open change");
    replies(&db, EXPAND);
    assert_eq!(phases(&plan(MIGRATE)), owned(&[("migrate_data", 4)]));
    assert_eq!(phases(&plan(abort)), owned(&[("abort", 1)]));
    expect_error(
        &plan(CONTRACT),
        22,
        "the data of `name` is not migrated: the change is expanded",
    );
    replies(&db, MIGRATE);
    assert_eq!(phases(&plan(CONTRACT)), owned(&[("contract", 2)]));
    // What is done already has nothing to run.
    let done = plan(EXPAND);
    assert_eq!(phases(&done), owned(&[("expand", 0)]));
    assert!(
        done["plans"][0]["warnings"][0]
            .as_str()
            .unwrap()
            .contains("applied already, as version 1")
    );
}

// Envelopes.

#[test]
fn reply_is_the_bare_body_to_an_envelope_too() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let wrapped: Vec<String> = three()
        .lines()
        .map(|body| format!(r#"{{"src": "c1", "dest": "n1", "body": {body}}}"#))
        .collect();
    assert_eq!(
        replies(&db, wrapped.join("\n")),
        [EXPANDED, MIGRATED, CONTRACTED]
    );
}

#[test]
fn envelope_of_a_reply_has_its_ends_exchanged() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let input = [
        &format!(r#"{{"id": 0, "src": "c1", "dest": "n1", "body": {EXPAND}}}"#),
        MIGRATE,
        &format!(r#"{{"body": {CONTRACT}, "src": 5}}"#),
        r#"{"src": "c1", "dest": "n1", "body": []}"#,
        "nonsense",
    ];
    let ran = finish(
        on(&db).args(["node", "--envelope"]),
        input.join("\n").as_bytes(),
    )
    .done();
    let lines = ran.lines();
    assert_eq!(
        lines[0],
        format!(r#"{{"src": "n1", "dest": "c1", "body": {EXPANDED}}}"#)
    );
    assert_eq!(
        lines[1],
        format!(r#"{{"src": null, "dest": null, "body": {MIGRATED}}}"#)
    );
    assert_eq!(
        lines[2],
        format!(r#"{{"src": null, "dest": 5, "body": {CONTRACTED}}}"#)
    );
    let error: Value = serde_json::from_str(lines[3]).unwrap();
    assert_eq!(
        (&error["src"], &error["dest"]),
        (&json!("n1"), &json!("c1"))
    );
    expect_error(&error["body"], 12, "`body` is a JSON object");
    assert!(lines[4].starts_with(
        r#"{"src": null, "dest": null, "body": {"type": "error", "in_reply_to": null, "code": 12,"#
    ));
    assert_eq!(lines.len(), 5);
}

// What is no message.

/// Each line, the code that it gets, and words of the text.
const NO_MESSAGES: &[(&str, u64, &str)] = &[
    ("nonsense", 12, "not a JSON object: "),
    ("{", 12, "not a JSON object: "),
    ("{\"type\": \"status\"} {}", 12, "not a JSON object: "),
    ("{'type': 'status'}", 12, "not a JSON object: "),
    ("[]", 12, "a message is a JSON object"),
    ("\"status\"", 12, "a message is a JSON object"),
    ("null", 12, "a message is a JSON object"),
    ("{}", 12, "the message has no `type`"),
    ("{\"type\": null}", 12, "`type` is a string"),
    ("{\"type\": [\"status\"]}", 12, "`type` is a string"),
    ("{\"type\": \"\"}", 10, "no message is of type ``"),
    (
        "{\"type\": \"Migrate\"}",
        10,
        "no message is of type `Migrate`: there are init, migrate, add_index, plan, undo, abort, verify, pause, resume, register_instance, heartbeat, retire_instance, who, status and history",
    ),
    ("{\"type\": \"migrate\"}", 12, "the message has no `phase`"),
    (
        "{\"type\": \"migrate\", \"phase\": 1}",
        12,
        "`phase` is a string",
    ),
    (
        "{\"type\": \"migrate\", \"phase\": \"migrate-data\"}",
        10,
        "there is no phase `migrate-data`: there are expand, migrate_data, contract, add_index, undo and abort",
    ),
    (
        "{\"type\": \"plan\", \"phase\": \"Expand\"}",
        10,
        "there is no phase `Expand`",
    ),
    (
        "{\"type\": \"migrate\", \"phase\": \"expand\"}",
        12,
        "missing field `table`",
    ),
    (
        "{\"type\": \"migrate\", \"phase\": \"expand\", \"table\": \"users\"}",
        12,
        "missing field `add_column`",
    ),
    (
        "{\"type\": \"migrate\", \"phase\": \"migrate_data\", \"from\": \"name\"}",
        12,
        "missing field `to`",
    ),
    (
        "{\"type\": \"migrate\", \"phase\": \"migrate_data\", \"to\": \"name\"}",
        12,
        "missing field `from`",
    ),
    (
        "{\"type\": \"migrate\", \"phase\": \"contract\", \"table\": \"users\"}",
        12,
        "missing field `remove_column`",
    ),
    ("{\"type\": \"abort\"}", 12, "missing field `table`"),
    (
        "{\"type\": \"status\", \"verbose\": true}",
        12,
        "unknown field `verbose`",
    ),
    (
        "{\"type\": \"history\", \"table\": \"users\"}",
        12,
        "unknown field `table`",
    ),
    (
        "{\"type\": \"migrate\", \"phase\": \"expand\", \"table\": \"users\", \"add_column\": \"x\", \"colour\": 1}",
        12,
        "unknown field `colour`",
    ),
    (
        "{\"type\": \"migrate\", \"phase\": \"migrate_data\", \"from\": \"name\", \"to\": \"x\", \"expand\": false}",
        12,
        "unknown field `expand`",
    ),
    (
        "{\"type\": \"migrate\", \"phase\": \"contract\", \"table\": \"users\", \"remove_column\": \"name\", \"winner\": \"me\"}",
        12,
        "expected `old` or `new`",
    ),
    ("{\"body\": null}", 12, "`body` is a JSON object"),
    (
        "{\"body\": {\"body\": {\"type\": \"status\"}}}",
        12,
        "the message has no `type`",
    ),
];

#[test]
fn line_that_is_no_message_is_answered_and_the_next_one_heard() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    unchanged(&db, || {
        for (line, code, text) in NO_MESSAGES {
            let answers = replies(&db, format!("{line}\n{{\"type\": \"status\"}}\n"));
            assert_eq!(answers.len(), 2, "{line}");
            expect_error(&serde_json::from_str(&answers[0]).unwrap(), *code, text);
            assert!(answers[1].starts_with("{\"type\": \"status_ok\""), "{line}");
        }
    });
}

#[test]
fn value_of_a_wrong_type_is_refused_with_the_name_of_its_field() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    let body = |phase: &str, field: &str, value: &str| {
        let mut body = match phase {
            "expand" => json!({"table": "users", "add_column": "full_name"}),
            "migrate_data" => json!({"from": "name", "to": "full_name"}),
            "contract" => json!({"table": "users", "remove_column": "name"}),
            _ => json!({"table": "users"}),
        };
        body["type"] = "migrate".into();
        body["msg_id"] = 7.into();
        body["phase"] = phase.into();
        body[field] = serde_json::from_str(value).unwrap();
        body.to_string()
    };
    let fields = [
        ("expand", "table"),
        ("expand", "add_column"),
        ("expand", "column_type"),
        ("expand", "from"),
        ("migrate_data", "from"),
        ("migrate_data", "to"),
        ("migrate_data", "table"),
        ("migrate_data", "winner"),
        ("contract", "table"),
        ("contract", "remove_column"),
        ("contract", "winner"),
        ("abort", "table"),
        ("abort", "winner"),
    ];
    unchanged(&db, || {
        for (phase, field) in fields {
            let values = ["5", "true", "[\"users\"]", "{\"a\": 1}"];
            let input = values.map(|value| body(phase, field, value)).join("\n");
            for answer in replies(&db, input) {
                let answer: Value = serde_json::from_str(&answer).unwrap();
                assert_eq!(answer["in_reply_to"], 7);
                expect_error(&answer, 12, &format!("`{field}`"));
            }
        }
        for value in ["1", "\"true\"", "null"] {
            let answer = reply(&db, &body("expand", "allow_breaking", value));
            expect_error(&answer, 12, "`allow_breaking`");
        }
    });
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let mut input = b"{\"type\": \"st\xffatus\"}\n\xff\xfe\n\xed\xa0\x80\n".to_vec();
    input.extend(EXPAND.as_bytes());
    let answers = replies(&db, input);
    assert_eq!(answers.len(), 4);
    for answer in &answers[..3] {
        expect_error(
            &serde_json::from_str(answer).unwrap(),
            12,
            "a message is UTF-8",
        );
    }
    assert_eq!(answers[3], EXPANDED);
}

#[test]
fn line_ends_of_every_kind_are_taken() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let input = format!("\n\r\n   \t\n{EXPAND}\r\n\n  {MIGRATE}  \r\n\n\n{CONTRACT}");
    assert_eq!(replies(&db, input), [EXPANDED, MIGRATED, CONTRACTED]);
    assert!(replies(&db, "").is_empty());
    assert!(replies(&db, "\n\n\r\n").is_empty());
}

#[test]
fn byte_order_mark_is_passed_over() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    assert_eq!(
        replies(&db, format!("\u{feff}{EXPAND}\n{MIGRATE}\n")),
        [EXPANDED, MIGRATED]
    );
}

#[test]
fn input_that_ends_in_the_middle_of_a_message_is_refused_as_no_json() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    for length in [1, 20, EXPAND.len() - 1] {
        unchanged(&db, || {
            let answers = replies(&db, &EXPAND.as_bytes()[..length]);
            assert_eq!(answers.len(), 1);
            let answer: Value = serde_json::from_str(&answers[0]).unwrap();
            assert_eq!(answer["in_reply_to"], Value::Null);
            expect_error(&answer, 12, "not a JSON object: EOF while parsing");
            expect_error(&answer, 12, "at line 1 column");
        });
    }
}

#[test]
fn deep_nesting_is_refused() {
    let folder = Folder::new();
    let db = folder.seeded(10);
    let bombs = [
        "[".repeat(500_000),
        "{\"a\":".repeat(100_000),
        format!(
            "{{\"type\": \"status\", \"msg_id\": {}1{}}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        ),
    ];
    unchanged(&db, || {
        for bomb in bombs {
            let answers = replies(&db, format!("{bomb}\n{{\"type\": \"status\"}}\n"));
            expect_error(
                &serde_json::from_str(&answers[0]).unwrap(),
                12,
                "not a JSON object: recursion limit exceeded",
            );
            assert!(answers[1].starts_with("{\"type\": \"status_ok\""));
        }
    });
}

#[test]
fn line_of_many_megabytes_is_refused_in_little_memory() {
    const MEGABYTE: usize = 1 << 20;
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let mut node = Conversation::start(on(&db).arg("node"));
    assert_eq!(node.ask(EXPAND), EXPANDED);
    let before = peak_memory(node.child.id());
    let piece = vec![b'x'; MEGABYTE];
    node.say(b"{\"type\": \"");
    for _ in 0..10 {
        node.say(&piece);
    }
    let answer = node.ask("\"}");
    expect_error(
        &serde_json::from_str(&answer).unwrap(),
        12,
        "a message is at most 1048576 bytes long",
    );
    if let (Some(before), Some(after)) = (before, peak_memory(node.child.id())) {
        assert!(after - before < 4 * 1024, "{} KiB more", after - before);
    }
    assert_eq!(node.ask(MIGRATE), MIGRATED);
    node.end();
    // Nor does it matter that the line never ends.
    let answers = replies(&db, piece.repeat(10));
    expect_error(
        &serde_json::from_str(&answers[0]).unwrap(),
        12,
        "at most 1048576 bytes",
    );
}

/// The most memory that a process ever had, in KiB, where the system tells.
fn peak_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn message_of_just_the_longest_length_is_read() {
    const LONGEST: usize = 1 << 20;
    let folder = Folder::new();
    let db = folder.seeded(10);
    let padded = |length: usize| {
        let frame = r#"{"type": "status", "msg_id": ""}"#;
        frame.replace("\"\"", &format!("\"{}\"", "x".repeat(length - frame.len())))
    };
    for end in ["", "\n", "\r\n"] {
        let answers = replies(&db, format!("{}{end}", padded(LONGEST)));
        assert!(
            answers[0].starts_with("{\"type\": \"status_ok\""),
            "{}",
            &answers[0][..200]
        );
        let answers = replies(&db, format!("{}{end}", padded(LONGEST + 1)));
        expect_error(&serde_json::from_str(&answers[0]).unwrap(), 12, "at most");
    }
}

#[test]
fn a_thousand_messages_get_a_thousand_replies_in_order() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let input: Vec<String> = (0..1000)
        .map(|id| match id % 4 {
            0 => with_id(EXPAND, &id.to_string()),
            1 => format!(r#"{{"type": "status", "msg_id": {id}}}"#),
            2 => format!(r#"{{"type": "nothing", "msg_id": {id}}}"#),
            _ => with_id(MIGRATE, &id.to_string()),
        })
        .collect();
    let answers = replies(&db, input.join("\n"));
    assert_eq!(answers.len(), 1000);
    for (id, answer) in (0..).zip(&answers) {
        let expected = match id % 4 {
            0 => with_id(EXPANDED, &id.to_string()),
            3 => with_id(MIGRATED, &id.to_string()),
            _ => {
                assert_eq!(
                    serde_json::from_str::<Value>(answer).unwrap()["in_reply_to"],
                    id
                );
                continue;
            }
        };
        assert_eq!(*answer, expected);
    }
}

// A listener that is gone.

#[test]
fn phase_is_recorded_although_nobody_hears_the_reply() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let mut child = start(on(&db).arg("node"));
    drop(child.stdout.take());
    let ran = await_end(child, three().as_bytes());
    assert_eq!(ran.code(), 1, "{ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    assert!(ran.stderr.starts_with("error: "), "{ran:?}");
    // It stops at the first reply that it cannot give: what was done before stands.
    assert_eq!(
        number(&db, "SELECT max(version) FROM _changeover_history"),
        1
    );
    assert_eq!(replies(&db, three()), [EXPANDED, MIGRATED, CONTRACTED]);
}

#[test]
fn node_survives_that_stderr_is_closed() {
    let folder = Folder::new();
    let missing = folder.join("missing.db");
    let mut child = start(on(&missing).arg("node"));
    drop(child.stderr.take());
    assert_eq!(await_end(child, b"").code(), 3);
}

#[test]
fn node_ends_when_its_stdin_is_empty() {
    let folder = Folder::new();
    let db = folder.seeded(1);
    let mut command = on(&db);
    command
        .arg("node")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    assert_eq!(await_end(child, b"").done().stdout, "");
}

#[test]
fn node_sees_what_others_do_between_two_messages() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let mut node = Conversation::start(on(&db).arg("node"));
    assert_eq!(node.ask(EXPAND), EXPANDED);
    words(&db, "migrate-data name full_name").done();
    assert_eq!(node.ask(MIGRATE), MIGRATED);
    words(&db, "contract users name").done();
    assert_eq!(node.ask(CONTRACT), CONTRACTED);
    words(&db, "forget").done();
    let status = r#"{"type": "status_ok", "in_reply_to": null, "version": 0, "changes": []}"#;
    assert_eq!(node.ask(r#"{"type": "status"}"#), status);
    node.end();
    poll("the end of the process", || {
        (folder.names() == ["app.db"]).then_some(())
    });
}

#[test]
fn locked_file_is_answered_and_the_next_message_heard() {
    let folder = Folder::new();
    let db = folder.seeded(1000);
    let mut node = Conversation::start(on(&db).args(["node", "--busy-timeout", "0.05"]));
    let lock = crate::process::open(&db);
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer: Value = serde_json::from_str(&node.ask(EXPAND)).unwrap();
    assert_eq!(answer["in_reply_to"], 1);
    expect_error(&answer, 11, "the file stayed locked by another connection");
    lock.execute_batch("ROLLBACK").unwrap();
    assert_eq!(node.ask(EXPAND), EXPANDED);
    node.end();
}
