//! What is refused, and what is left of it then: nothing.

use std::cell::Cell;
use std::ops::ControlFlow;

use changeover::Event;
use changeover::changeover::Rebuilds;
use changeover::request::{AddIndex, Expand, Request, Term};
use changeover::unobserved;

use super::super::process::number;
use super::super::support::{Code, Error, File};
use super::{abort, add_at_once, add_beside, expect_index, expect_none, index, open, small};

fn unique(terms: &[&str]) -> AddIndex {
    AddIndex {
        unique: true,
        ..index("i", terms)
    }
}

/// What is remembered of an index that could not be built.
#[track_caller]
fn expect_forgotten(file: &File) {
    expect_none(file, "i");
    for table in [
        "_changeover_changes",
        "_changeover_runs",
        "_changeover_history",
    ] {
        assert_eq!(
            number(&file.path(), &format!("SELECT count(*) FROM {table}")),
            0
        );
    }
}

#[test]
fn rows_that_share_a_key_are_named_and_nothing_is_left() {
    let file = small();
    let asked = unique(&["age"]);
    let error = add_beside(&file, &asked, &mut unobserved).unwrap_err();
    let Error::Duplicates {
        count, examples, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!((*count, examples.len()), (33, 5));
    assert_eq!(error.code(), Code::PreconditionFailed);
    expect_forgotten(&file);
    let at_once = add_at_once(&file, &asked).unwrap_err();
    assert!(
        matches!(at_once, Error::Duplicates { count: 33, .. }),
        "{at_once}"
    );
    expect_none(&file, "i");
}

#[test]
fn rows_that_come_to_share_a_key_meanwhile_are_found_in_the_end() {
    let mut found = 0;
    for n in 0.. {
        let file = small();
        let (events, is_done) = (Cell::new(0), Cell::new(false));
        let outcome = add_beside(&file, &unique(&["name COLLATE NOCASE"]), &mut |event| {
            is_done.set(is_done.get() || matches!(event, Event::CutOver { .. }));
            if events.replace(events.get() + 1) == n && !is_done.get() {
                file.execute("INSERT INTO t VALUES (50, 'NAME 4', 1)");
            }
            ControlFlow::Continue(())
        });
        match outcome {
            Err(Error::Duplicates {
                count: 1..,
                examples,
                ..
            }) => {
                assert!(
                    ["id = 50", "id = 4"].contains(&examples[0].as_str()),
                    "{examples:?}"
                );
                expect_forgotten(&file);
                found += 1;
            }
            Err(error) => panic!("behind event {n}: {error}"),
            Ok(_) => {
                expect_index(&file, "i");
                break;
            }
        }
    }
    assert!(found > 5, "{found}");
}

#[test]
fn rows_that_shared_a_key_for_a_while_are_none() {
    let file = small();
    file.execute("INSERT INTO t VALUES (50, 'name 4', 1), (51, 'name 9', 1)");
    let is_mended = Cell::new(false);
    add_beside(&file, &unique(&["name"]), &mut |event| {
        if matches!(event, Event::Looked { rows } if *rows > 40) && !is_mended.replace(true) {
            file.execute("UPDATE t SET name = 'other' WHERE id = 50; DELETE FROM t WHERE id = 9");
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(is_mended.get());
    expect_index(&file, "i");
}

#[test]
fn rows_that_swap_their_keys_are_none_either() {
    let file = small();
    add_beside(&file, &unique(&["name"]), &mut |event| {
        if !matches!(event, Event::CutOver { .. } | Event::PhaseDone { .. }) {
            file.execute(
                "BEGIN; UPDATE t SET name = 'for now' WHERE id = 4; \
                 UPDATE t SET name = 'name 4' WHERE id = 5; UPDATE t SET name = 'name 5' WHERE id = 4; COMMIT; \
                 UPDATE t SET name = 'for now' WHERE id = 4; UPDATE t SET name = 'name ' || id WHERE id = 5; \
                 UPDATE t SET name = 'name ' || id WHERE id = 4",
            );
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    expect_index(&file, "i");
}

#[test]
fn the_same_again_gets_the_same_answer() {
    let file = small();
    let asked = index("i", &["age"]);
    let first = add_beside(&file, &asked, &mut unobserved).unwrap();
    assert_eq!(first.name, "add_i");
    assert_eq!(add_beside(&file, &asked, &mut unobserved).unwrap(), first);
    assert_eq!(add_at_once(&file, &asked).unwrap(), first);
    let other = add_beside(&file, &index("i", &["name"]), &mut unobserved).unwrap_err();
    assert_eq!(other.to_string(), "there is an index `i` already");
    file.execute("DROP INDEX i");
    let again = add_beside(&file, &asked, &mut unobserved).unwrap();
    assert_eq!(again.version, 2);
    expect_index(&file, "i");
}

#[test]
fn what_is_no_index_is_refused_and_the_file_untouched() {
    let file = small();
    file.execute("CREATE VIEW v AS SELECT 1; CREATE TRIGGER named INSERT ON t BEGIN SELECT 1; END");
    let before = file.bytes();
    let mut condition = index("i", &["age"]);
    condition.condition = Some("nick = 1".to_owned());
    let mut column = index("i", &[]);
    column.columns = vec![Term::Plain("nme".into())];
    for (asked, code, says) in [
        (index("i", &[]), Code::MalformedRequest, "over something"),
        (column, Code::DoesNotExist, "no column `nme`"),
        (
            index("i", &["nick"]),
            Code::MalformedRequest,
            "no such column: nick",
        ),
        (
            index("i", &["\"nick\""]),
            Code::MalformedRequest,
            "no such column",
        ),
        (
            index("i", &["age) WHERE (1"]),
            Code::MalformedRequest,
            "not a single expression",
        ),
        (
            index("i", &["age; DROP TABLE t"]),
            Code::MalformedRequest,
            "not a single expression",
        ),
        (
            index("i", &["random()"]),
            Code::MalformedRequest,
            "non-deterministic",
        ),
        (
            index("i", &["(SELECT 1)"]),
            Code::MalformedRequest,
            "subqueries prohibited",
        ),
        (
            index("i", &["mine(age)"]),
            Code::MalformedRequest,
            "no such function: mine",
        ),
        (
            index("i", &["age COLLATE mine"]),
            Code::MalformedRequest,
            "no such collation sequence: mine",
        ),
        (condition, Code::MalformedRequest, "no such column: nick"),
        (
            index("t", &["age"]),
            Code::AlreadyExists,
            "there is a table `t` already",
        ),
        (
            index("v", &["age"]),
            Code::AlreadyExists,
            "there is a view `v` already",
        ),
        (
            index("sqlite_i", &["age"]),
            Code::NotSupported,
            "keeps for itself",
        ),
        (
            index("_changeover_i", &["age"]),
            Code::NotSupported,
            "keeps for itself",
        ),
    ] {
        let error = add_beside(&file, &asked, &mut unobserved).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.code(), code, "{error}");
    }
    assert_eq!(file.bytes(), before);
    add_beside(&file, &index("named", &["age"]), &mut unobserved).unwrap();
}

#[test]
fn one_thing_at_a_time_is_done_to_a_table() {
    let file = small();
    let expand = Request::Expand(Expand {
        table: "t".into(),
        add_column: "full_name".into(),
        column_type: None,
        from: Some("name".into()),
        allow_breaking: false,
    });
    let apply = |request| open(&file.path(), Rebuilds::Online).apply(request, &mut unobserved);
    let stopped = add_beside(&file, &index("i", &["age"]), &mut |event| match event {
        Event::BatchDone { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    let refused = apply(&expand).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "table `t` is being given an index: `i`"
    );
    let other = add_beside(&file, &index("j", &["age"]), &mut unobserved).unwrap_err();
    assert!(matches!(other, Error::IndexOpen { .. }), "{other}");
    let otherwise = add_beside(&file, &index("i", &["name"]), &mut unobserved).unwrap_err();
    assert!(matches!(otherwise, Error::IndexOpen { .. }), "{otherwise}");
    let forget = open(&file.path(), Rebuilds::Online).forget().unwrap_err();
    assert!(matches!(forget, Error::ForgetOpen(_)), "{forget}");
    let undone = abort(&file).unwrap();
    assert_eq!(undone.name, "abort_i");
    assert_eq!(abort(&file).unwrap(), undone);
    expect_none(&file, "i");
    apply(&expand).unwrap();
    let refused = add_beside(&file, &index("i", &["age"]), &mut unobserved).unwrap_err();
    assert!(matches!(refused, Error::ChangeOpen { .. }), "{refused}");
    abort(&file).unwrap();
    add_beside(&file, &index("i", &["age"]), &mut unobserved).unwrap();
    expect_index(&file, "i");
}

#[test]
fn where_rows_cannot_be_noted_it_is_made_at_once() {
    let file = small();
    file.execute("CREATE UNIQUE INDEX sums ON t(id = 1 OR age > 100, id)");
    let asked = index("i", &["age"]);
    let refused = add_beside(&file, &asked, &mut unobserved).unwrap_err();
    assert_eq!(refused.code(), Code::NotSupported);
    assert!(refused.to_string().contains("`sums`"), "{refused}");
    expect_none(&file, "i");
    let request = Request::AddIndex(asked.clone());
    let mut changeover = open(&file.path(), Rebuilds::AtOnce);
    changeover.apply(&request, &mut unobserved).unwrap();
    expect_index(&file, "i");
}

#[test]
fn what_cannot_be_computed_of_a_row_is_said_and_nothing_is_left() {
    let file = small();
    let asked = index("i", &["json_extract(name, '$.a')"]);
    let error = add_beside(&file, &asked, &mut unobserved).unwrap_err();
    assert!(error.to_string().contains("malformed JSON"), "{error}");
    expect_forgotten(&file);
}

#[test]
fn an_expression_keeps_the_type_that_it_comes_to() {
    let file = small();
    let asked = index("i", &["CAST(age AS REAL)"]);
    add_beside(&file, &asked, &mut unobserved).unwrap();
    let types = "SELECT DISTINCT typeof(CAST(age AS REAL)) FROM t INDEXED BY i";
    assert_eq!(super::super::process::texts(&file.path(), types), ["real"]);
}
