//! The file of a rollout: every mistake is told with its place, and the schema says what may be said.

use std::fs;

use serde_json::{Value, json};

use crate::process::{Folder, Ran, changeover, finish, run, unchanged};

/// A file that says nothing wrong, of a table that the sample has.
pub(super) fn good() -> Value {
    let instance = |name: &str| {
        json!({
            "name": name,
            "deploy": ["sh", "-c", "echo deploy $CHANGEOVER_INSTANCE $CHANGEOVER_VERSION >>log"],
            "restore": ["sh", "-c", "echo restore $CHANGEOVER_INSTANCE $CHANGEOVER_VERSION >>log"],
            "health": {"command": ["true"], "attempts": 2, "interval": 0.01},
        })
    };
    json!({
        "change": {"table": "users", "from": "name", "to": "full_name"},
        "instances": [instance("a"), instance("b"), instance("c")],
        "gate": {"quiet_for": 0},
    })
}

/// Rolls out what the text says, on a sample that must stay as it is.
fn refused(text: &[u8]) -> Ran {
    let folder = Folder::new();
    let db = folder.seeded(3);
    let file = folder.join("rollout.json");
    fs::write(&file, text).unwrap();
    unchanged(&db, || run(&db, ["rollout".as_ref(), file.as_os_str()]))
}

#[track_caller]
fn expect_mistake(place: &str, value: Value, sentence: &str) {
    let mut rollout = good();
    match place.rsplit_once('/').unwrap() {
        (parent, key) if rollout.pointer(place).is_none() => {
            rollout.pointer_mut(parent).unwrap()[key] = value;
        }
        _ => *rollout.pointer_mut(place).unwrap() = value,
    }
    let text = serde_json::to_string_pretty(&rollout).unwrap();
    let ran = refused(text.as_bytes()).failed(2, sentence);
    assert!(
        ran.stderr.contains(&format!("rollout.json`, {place}")),
        "{ran:?}"
    );
    assert!(ran.stderr.contains(" at line "), "{ran:?}");
    assert!(
        ran.stderr.contains("hint: `changeover rollout --schema`"),
        "{ran:?}"
    );
}

#[test]
fn each_mistake_is_told_with_its_place() {
    let health = "/instances/2/health";
    expect_mistake("/instance", json!([]), "unknown field `instance`");
    expect_mistake("/at_once", json!(0), "nonzero");
    expect_mistake("/at_once", json!(-1), "nonzero");
    expect_mistake("/change/to", json!(3), "expected a string");
    expect_mistake(
        "/change/winner",
        json!("newest"),
        "unknown variant `newest`",
    );
    expect_mistake("/change/hold", json!(0), "for a second at least");
    expect_mistake("/instances", json!([]), "at least one instance");
    expect_mistake("/instances", json!({}), "expected a sequence");
    expect_mistake("/instances/1/name", json!(""), "neither empty");
    expect_mistake("/instances/1/deploy", json!([]), "a command needs");
    expect_mistake("/instances/1/deploy", json!([""]), "can neither be empty");
    expect_mistake("/instances/1/deploy", json!(["-x"]), "nor begin with `-`");
    expect_mistake("/instances/1/deploy", json!(["a\0"]), "NUL");
    expect_mistake(
        "/instances/1/deploy",
        json!("./deploy"),
        "expected a sequence",
    );
    expect_mistake(
        "/instances/1/timeout",
        json!("5m"),
        "a time is a number of seconds",
    );
    expect_mistake("/instances/1/timeout", json!(-1), "no time");
    expect_mistake(
        "/instances/2/deplyo",
        json!(["a"]),
        "unknown field `deplyo`",
    );
    expect_mistake(
        &format!("{health}/ulr"),
        json!("http://a/"),
        "unknown field `ulr`",
    );
    expect_mistake(&format!("{health}/attempts"), json!(0), "nonzero");
    for url in ["", "up", "/up", "ftp://a/", "http://", "http://a b/"] {
        expect_mistake(health, json!({"url": url}), "not a URL");
    }
    expect_mistake(
        health,
        json!({"url": "https://a/"}),
        "HTTPS is not supported",
    );
    expect_mistake(health, json!({}), "either a `url` or a `command`");
    expect_mistake(
        health,
        json!({"url": "http://a/", "command": ["a"]}),
        "either a `url` or a `command`",
    );
    expect_mistake("/gate", json!({"force": true}), "`force` needs a `reason`");
    let change = json!({"table": "users", "from": "name", "to": "full_name", "up": "trim(name)"});
    expect_mistake("/change", change, "`up` needs `down`");
    expect_mistake("/gate", json!({"reason": "haste"}), "is for `force`");
    expect_mistake(
        "/gate",
        json!({"wait": "soon"}),
        "a time is a number of seconds",
    );
}

#[test]
fn two_instances_of_one_name_are_told_with_both_places() {
    let mut rollout = good();
    rollout["instances"][2]["name"] = "a".into();
    let sentence = "/instances/0 and /instances/2 are both called `a`";
    refused(rollout.to_string().as_bytes()).failed(2, sentence);
}

#[test]
fn what_is_no_file_of_a_rollout_is_refused() {
    refused(b"").failed(2, "EOF");
    refused(b"rollout").failed(2, "line 1 column");
    refused(b"[]").failed(2, "expected struct Rollout");
    refused(b"{}").failed(2, "missing field `change`");
    refused(b"\xff\xfe{}").failed(2, "line 1 column");
    refused(format!("{} {{}}", good()).as_bytes()).failed(2, "trailing characters");
    refused("[".repeat(100_000).as_bytes()).failed(2, "line 1");
    refused(&vec![b' '; 2 << 20]).failed(2, "larger than 1024 KiB");
    let folder = Folder::new();
    let db = folder.seeded(3);
    run(&db, ["rollout", "/nowhere/rollout.json"]).failed(2, "No such file");
    run(&db, ["rollout", "/"]).failed(2, "directory");
}

#[test]
fn table_that_is_not_there_is_found_before_anything_runs() {
    let mut rollout = good();
    rollout["change"]["table"] = "user".into();
    refused(rollout.to_string().as_bytes()).failed(3, "no table `user`");
    let mut rollout = good();
    rollout["change"]["from"] = "nmae".into();
    refused(rollout.to_string().as_bytes()).failed(3, "has no column `nmae`");
}

/// Each object of the schema, by the place of one in a file.
const OBJECTS: [(&str, &str); 5] = [
    ("", ""),
    ("/change", "/properties/change"),
    ("/instances/0", "/properties/instances/items"),
    (
        "/instances/0/health",
        "/properties/instances/items/properties/health",
    ),
    ("/gate", "/properties/gate"),
];

#[test]
fn schema_names_the_fields_that_are_read() {
    let printed = finish(changeover().args(["rollout", "--schema"]), b"")
        .done()
        .stdout;
    let schema: Value = serde_json::from_str(&printed).unwrap();
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rollout.md")).unwrap();
    for (place, object) in OBJECTS {
        let mut rollout = good();
        rollout.pointer_mut(place).unwrap()["?"] = 1.into();
        let said = refused(rollout.to_string().as_bytes())
            .failed(2, "unknown field `?`")
            .stderr;
        let read = said.split("expected one of ").nth(1).unwrap();
        let read: Vec<&str> = read.split('`').skip(1).step_by(2).collect();
        let object = schema.pointer(object).unwrap();
        let named = object["properties"].as_object().unwrap();
        let mut named: Vec<&str> = named.keys().map(String::as_str).collect();
        for field in &named {
            let is_told = page.contains(&format!("`{field}`")) || *field == "$schema";
            assert!(is_told, "docs/rollout.md does not tell of `{field}`");
        }
        assert_eq!(object["additionalProperties"], false);
        let mut expected = read[..named.len()].to_vec();
        expected.sort_unstable();
        named.sort_unstable();
        assert_eq!(expected, named, "{place}");
        assert!(
            read.len() == named.len() || read[named.len()].starts_with("changeover"),
            "{place}: {read:?}"
        );
    }
}
