//! Indexes that are built beside their table while applications write.

mod against_sqlite;
mod kills;
mod meddling;
mod refusals;
mod stops;
mod world;

use std::ops::ControlFlow;
use std::path::Path;

use changeover::changeover::{Changeover, Options, Rebuilds, Runner};
use changeover::event::{Event, Observer};
use changeover::ledger::Entry;
use changeover::request::{Abort, AddIndex, Request, Term};
use changeover::{Result, unobserved};

use super::process::{number, texts};
use super::support::File;

/// What an index that is being built has in the file.
const OURS: &str = "SELECT count(*) FROM sqlite_schema WHERE name GLOB '_changeover_[0-9]*'";

fn open(path: &Path, rebuilds: Rebuilds) -> Changeover {
    let options = Options {
        batch_rows: 5,
        rebuilds,
        // As after a crash: no test here has two at work at a time.
        runner: Runner {
            name: "a test".to_owned(),
            is_gone: |_| true,
        },
        ..Options::default()
    };
    Changeover::open(path, options).unwrap()
}

/// An index over terms, each as an index lists it.
fn index(name: &str, terms: &[&str]) -> AddIndex {
    let expression = |it: &&str| Term::Expression {
        expression: (*it).to_owned(),
    };
    AddIndex {
        table: "t".into(),
        columns: terms.iter().map(expression).collect(),
        name: Some(name.into()),
        unique: false,
        condition: None,
    }
}

/// Gives a table an index beside it, and tells of all but the steps in a transaction, in which nobody else can write.
fn add_beside(file: &File, asked: &AddIndex, observer: &mut Observer<'_>) -> Result<Entry> {
    let request = Request::AddIndex(asked.clone());
    open(&file.path(), Rebuilds::Online).apply(&request, &mut |event| match event {
        Event::StepDone { .. } => ControlFlow::Continue(()),
        event => observer(event),
    })
}

fn add_at_once(file: &File, asked: &AddIndex) -> Result<Entry> {
    let request = Request::AddIndex(asked.clone());
    open(&file.path(), Rebuilds::AtOnce).apply(&request, &mut unobserved)
}

fn abort(file: &File) -> Result<Entry> {
    abort_watched(file, &mut unobserved)
}

fn abort_watched(file: &File, observer: &mut Observer<'_>) -> Result<Entry> {
    let request = Request::Abort(Abort {
        table: "t".into(),
        winner: None,
    });
    open(&file.path(), Rebuilds::Online).apply(&request, observer)
}

/// A table `t(id, name, age)` with 40 rows.
fn small() -> File {
    File::of(
        "PRAGMA journal_mode = WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, age INT);
         WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 40)
         INSERT INTO t SELECT i, 'name ' || i, i % 7 FROM n",
    )
}

/// The index is there and sound, and nothing else of it is.
#[track_caller]
fn expect_index(file: &File, name: &str) {
    let path = file.path();
    assert_eq!(texts(&path, "PRAGMA integrity_check"), ["ok"]);
    let verified = open(&path, Rebuilds::Auto).verify_index(&name.into(), &mut unobserved);
    if let Err(error) = verified {
        panic!("{error}");
    }
    assert_eq!(number(&path, OURS), 0);
}

/// Nothing of the index is there.
#[track_caller]
fn expect_none(file: &File, name: &str) {
    let path = file.path();
    let named = format!("SELECT count(*) FROM sqlite_schema WHERE name = '{name}'");
    assert_eq!(number(&path, &named), 0);
    assert_eq!(number(&path, OURS), 0);
    assert_eq!(texts(&path, "PRAGMA integrity_check"), ["ok"]);
}
