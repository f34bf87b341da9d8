//! A disk that is full at any moment of a change: the phase fails whole, the applications fail as they would without it,
//! and once there is room again everything goes on.

use std::cell::Cell;
use std::env;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use fs4::fs_std::FileExt;
use rusqlite::{Connection, ErrorCode};

use changeover::changeover::{Changeover, Options, Rebuilds};
use changeover::request::{AddIndex, Request, Term};
use changeover::{Event, Phase, Result, unobserved};

use super::process::{finish, skipped};
use super::support::{Entry, Error, File};
use super::twins::Twins;

/// Set for the process alone that has a small disk to itself.
const ON_A_SMALL_DISK: &str = "CHANGEOVER_TEST_SMALL_DISK";

/// Where files of tests lie; here a disk of 48 megabytes is put in its place.
const DISK: &str = "/dev/shm";

const TABLE: &str = "CREATE TABLE people(k INTEGER PRIMARY KEY, name TEXT NOT NULL, age INT);
    CREATE INDEX by_name ON people(name);
    WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 150)
    INSERT INTO people(k, name) SELECT i, i || hex(zeroblob(250)) FROM n;";

/// How the file is written, and how many kibibytes the disk has left when it is full for most.
const FULL: [(&str, u64); 3] = [("WAL", 0), ("WAL", 96), ("DELETE", 24)];

#[test]
fn full_disk_at_any_moment_loses_nothing() {
    let this = env::current_exe().unwrap();
    let mut namespace = Command::new("unshare");
    namespace
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg(format!(
            "mount -t tmpfs -o size=48m none {DISK} && echo mounted && exec \"$@\""
        ))
        .arg("sh")
        .arg(this)
        .args([
            "--exact",
            "full_disk::on_a_small_disk",
            "--ignored",
            "--nocapture",
        ])
        .env(ON_A_SMALL_DISK, "1");
    if namespace.output().is_err() || !Path::new(DISK).exists() {
        return skipped("there is no unshare here");
    }
    let ran = finish(&mut namespace, b"");
    if ran.stdout.starts_with("mounted\n") {
        ran.done();
    } else {
        skipped(&format!("nothing can be mounted here: {}", ran.stderr));
    }
}

#[test]
#[ignore = "what another test starts on a disk of its own"]
fn on_a_small_disk() {
    if env::var_os(ON_A_SMALL_DISK).is_none() {
        return;
    }
    for (journal, room) in FULL {
        let failures =
            (0..).map_while(|n| full_behind_event(&twins(journal), Phase::Expand, n, room));
        assert!(failures.filter(|failed| *failed).count() > 4);
        // Of the many moments of an online contract each third.
        let moments = (0..).step_by(3);
        let failures =
            moments.map_while(|n| full_behind_event(&migrated(journal), Phase::Contract, n, room));
        assert!(failures.filter(|failed| *failed).count() > 1);
        full_in_abort(journal, room);
        no_room_is_told_before_anything_begins(journal);
        no_room_is_told_before_an_index_is_begun(journal);
    }
}

/// A change that is migrated, and is to end online.
fn migrated(journal: &str) -> Twins {
    let twins = twins(journal).online();
    for phase in [Phase::Expand, Phase::MigrateData] {
        twins.apply(phase).unwrap();
    }
    twins
}

fn no_room_is_told_before_anything_begins(journal: &str) {
    let twins = migrated(journal);
    let bytes = twins.file.bytes();
    let filled = Filler::leaving(30_000);
    for phase in [Phase::Contract, Phase::Abort] {
        let error = twins.apply(phase).unwrap_err();
        assert!(matches!(error, Error::NoRoom { .. }), "{error:?}");
        assert!(twins.file.bytes() == bytes);
    }
    drop(filled);
    twins.finish();
}

/// The same for indexes that are built beside their table: one that is asked for, and those of the new column.
fn no_room_is_told_before_an_index_is_begun(journal: &str) {
    let twins = twins(journal).online();
    twins.apply(Phase::Expand).unwrap();
    // No ledger has to be made for the other one either.
    let plain = File::of(&format!("PRAGMA journal_mode = {journal}; {TABLE}"));
    let add = || add_index(&plain);
    let files = [&twins.file, &plain];
    let bytes = files.map(File::bytes);
    let filled = Filler::leaving(30_000);
    for error in [
        twins.apply(Phase::MigrateData).unwrap_err(),
        add().unwrap_err(),
    ] {
        assert!(matches!(error, Error::NoRoom { .. }), "{error:?}");
    }
    assert!(files.map(File::bytes) == bytes);
    drop(filled);
    add().unwrap();
    twins.finish();
}

fn add_index(file: &File) -> Result<Entry> {
    let asked = Request::AddIndex(AddIndex {
        table: "people".into(),
        columns: vec![Term::Expression {
            expression: "age".to_owned(),
        }],
        name: None,
        unique: false,
        condition: None,
    });
    let options = Options {
        rebuilds: Rebuilds::Online,
        ..Options::default()
    };
    Changeover::open(&file.path(), options)?.apply(&asked, &mut unobserved)
}

fn twins(journal: &str) -> Twins {
    let mut twins = Twins::of(&format!("PRAGMA journal_mode = {journal}; {TABLE}"));
    twins.change.batch_rows = 50;
    twins
}

/// Fills the disk behind event `n` of the phases from the first on. Returns whether a phase failed then; none where there was
/// no such event.
fn full_behind_event(twins: &Twins, first: Phase, n: usize, room: u64) -> Option<bool> {
    let events = Cell::new(0);
    let application = at_work(twins);
    let filled = Cell::new(None);
    let mut observer = |_: &Event| {
        if events.get() == n {
            filled.set(Some(Filler::leaving(room)));
        }
        events.set(events.get() + 1);
        ControlFlow::Continue(())
    };
    let phases = [Phase::Expand, Phase::MigrateData, Phase::Contract];
    let error = phases
        .into_iter()
        .skip_while(|phase| *phase != first)
        .find_map(|phase| twins.observed(phase, &mut observer).err());
    let filled = filled.take()?;
    if let Some(error) = &error {
        let is_expected = matches!(error, Error::DiskFull | Error::NoRoom { .. });
        assert!(is_expected, "{n}, {room}: {error:?}");
    }
    expect_only_room_to_lack(&application);
    drop((filled, application));
    // Each way on is tried from half of the moments.
    if n.is_multiple_of(2) {
        twins.finish();
    } else {
        twins.undo();
    }
    Some(error.is_some())
}

fn full_in_abort(journal: &str, room: u64) {
    let twins = twins(journal);
    for phase in [Phase::Expand, Phase::MigrateData] {
        twins.apply(phase).unwrap();
    }
    let application = at_work(&twins);
    let filled = Filler::leaving(room);
    let error = twins.apply(Phase::Abort).unwrap_err();
    assert!(matches!(error, Error::DiskFull), "{error:?}");
    expect_only_room_to_lack(&application);
    drop((filled, application));
    twins.undo();
}

/// An application that has the file open.
fn at_work(twins: &Twins) -> Connection {
    let application = twins.file.application();
    rows(&application);
    application
}

fn rows(application: &Connection) -> i64 {
    let count = "SELECT count(*) FROM people";
    application.query_row(count, [], |row| row.get(0)).unwrap()
}

/// An application reads as ever, and cannot write more than there is room for.
#[track_caller]
fn expect_only_room_to_lack(application: &Connection) {
    assert_eq!(rows(application), 151);
    let write = "CREATE TABLE much AS SELECT zeroblob(8000000)";
    let error = application.execute_batch(write).unwrap_err();
    assert_eq!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull),
        "{error}"
    );
}

/// A file that takes up the disk while it is there.
struct Filler;

impl Filler {
    const PATH: &str = "/dev/shm/filler";

    /// Leaves room for so many kibibytes.
    fn leaving(room: u64) -> Self {
        let file = fs::File::create(Self::PATH).unwrap();
        let free = fs4::available_space(DISK).unwrap();
        file.allocate(free - room * 1024).unwrap();
        Self
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        fs::remove_file(Self::PATH).unwrap();
    }
}
