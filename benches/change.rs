//! What a change costs beside the same steps as plain SQL, with nobody else on the file.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use changeover::{Changeover, Options, Rebuilds, sample, unobserved};

use super::file::{Copy, by_hand_on, check, prepare, prepare_wide};
use super::ours::{BINARY, MESSAGES, phases};
use super::table::{Table, counted};
use super::{Outcome, Sizes};

/// The same three phases as one would write them by hand, each a transaction.
const BY_HAND: [&str; 3] = [
    "BEGIN IMMEDIATE;
     ALTER TABLE users ADD COLUMN full_name TEXT;
     COMMIT;",
    "BEGIN IMMEDIATE;
     UPDATE users SET full_name = name;
     CREATE INDEX users_full_name ON users (full_name);
     COMMIT;",
    "BEGIN IMMEDIATE;
     CREATE TABLE users_new (id INTEGER PRIMARY KEY, full_name TEXT NOT NULL, mail TEXT);
     INSERT INTO users_new (id, full_name, mail) SELECT id, full_name, mail FROM users;
     DROP TABLE users;
     ALTER TABLE users_new RENAME TO users;
     CREATE INDEX users_name ON users (full_name);
     COMMIT;",
];

/// The three phases by hand on the sample, for the `sqlite3` shell, as durable as ours.
const BY_SHELL: &str = "
     PRAGMA synchronous = FULL;
     BEGIN IMMEDIATE;
     ALTER TABLE users ADD COLUMN full_name TEXT;
     COMMIT;
     BEGIN IMMEDIATE;
     UPDATE users SET full_name = name;
     COMMIT;
     BEGIN IMMEDIATE;
     CREATE TABLE users_new (full_name TEXT NOT NULL);
     INSERT INTO users_new (rowid, full_name) SELECT rowid, full_name FROM users;
     DROP TABLE users;
     ALTER TABLE users_new RENAME TO users;
     COMMIT;
";

/// The parts into which the time of a whole change is split.
const PARTS: [&str; 4] = ["expand", "migrate data", "contract", "open and close"];

/// The three phases on a large table that nobody else uses: the library against plain SQL in the same SQLite.
pub(super) fn whole_change(sizes: &Sizes, folder: &Path, table: &mut Table) -> Outcome<()> {
    let prepared = folder.join("prepared.db");
    prepare(&prepared, sizes.rows)?;
    let mut pairs = Vec::new();
    for run in 0..sizes.runs {
        let ours = on_a_copy(&prepared, sizes.rows, by_changeover)?;
        let peer = on_a_copy(&prepared, sizes.rows, by_hand)?;
        pairs.push((ours, peer));
        eprintln!("whole change: pair {} of {}", run + 1, sizes.runs);
    }
    for (at, part) in PARTS.iter().enumerate() {
        let pairs = pairs.iter().map(|(ours, peer)| (ours[at], peer[at]));
        table.times(
            format!("{} rows, plain SQL: {part}", counted(sizes.rows)),
            &pairs.collect::<Vec<_>>(),
            None,
        );
    }
    let sum = |parts: &[Duration; 4]| parts.iter().sum();
    let totals = pairs.iter().map(|(ours, peer)| (sum(ours), sum(peer)));
    table.times(
        format!("{} rows, plain SQL: total", counted(sizes.rows)),
        &totals.collect::<Vec<_>>(),
        Some(1.3),
    );
    fs::remove_file(prepared)?;
    Ok(())
}

/// The three phases on a large table that nobody else uses: in many transactions against in one each.
pub(super) fn online(sizes: &Sizes, folder: &Path, table: &mut Table) -> Outcome<()> {
    let prepared = Copy(folder.join("prepared.db"));
    prepare_wide(&prepared.0, sizes.rows)?;
    let columns = ["id", "full_name", "mail", "note"];
    let took = |rebuilds| -> Outcome<Duration> {
        let copy = Copy::of(&prepared.0)?;
        let took = by_way(&copy.0, rebuilds)?;
        check(&copy.0, sizes.rows, &columns)?;
        Ok(took.iter().sum())
    };
    let mut pairs = Vec::new();
    for run in 0..sizes.runs {
        pairs.push((took(Rebuilds::Online)?, took(Rebuilds::AtOnce)?));
        eprintln!("online: pair {} of {}", run + 1, sizes.runs);
    }
    let what = format!("{} rows alone, online beside at once", counted(sizes.rows));
    table.times(what, &pairs, Some(1.4));
    Ok(())
}

/// Runs the three phases on a fresh copy, and looks whether it is what was asked for.
fn on_a_copy(
    prepared: &Path,
    rows: u32,
    change: fn(&Path) -> Outcome<[Duration; 4]>,
) -> Outcome<[Duration; 4]> {
    let copy = Copy::of(prepared)?;
    let took = change(&copy.0)?;
    check(&copy.0, rows, &["id", "full_name", "mail"])?;
    Ok(took)
}

fn by_changeover(path: &Path) -> Outcome<[Duration; 4]> {
    by_way(path, Rebuilds::Auto)
}

fn by_way(path: &Path, rebuilds: Rebuilds) -> Outcome<[Duration; 4]> {
    let mut clock = Clock::start();
    let options = Options {
        rebuilds,
        ..Options::default()
    };
    let mut changeover = Changeover::open(path, options)?;
    let opened = clock.lap();
    let mut laps = Vec::new();
    for request in phases() {
        changeover.apply(&request, &mut unobserved)?;
        laps.push(clock.lap());
    }
    drop(changeover);
    Ok([laps[0], laps[1], laps[2], opened + clock.lap()])
}

fn by_hand(path: &Path) -> Outcome<[Duration; 4]> {
    let mut clock = Clock::start();
    let connection = by_hand_on(path)?;
    let opened = clock.lap();
    let mut laps = Vec::new();
    for phase in BY_HAND {
        connection.execute_batch(phase)?;
        laps.push(clock.lap());
    }
    drop(connection);
    Ok([laps[0], laps[1], laps[2], opened + clock.lap()])
}

/// The three messages on the sample, as whole processes: ours against the `sqlite3` shell.
pub(super) fn three_messages(sizes: &Sizes, folder: &Path, table: &mut Table) -> Outcome<()> {
    let what = format!(
        "three messages on {} rows, sqlite3 shell",
        counted(sample::ROWS)
    );
    let Ok(shell) = Command::new("sqlite3").arg("--version").output() else {
        table.skipped(what, "no sqlite3 here");
        return Ok(());
    };
    let seeded = folder.join("sample.db");
    sample::write(&seeded, sample::ROWS)?;
    let mut pairs = Vec::new();
    for _ in 0..sizes.runs * 10 {
        let ours = piped(
            Command::new(BINARY).arg("node").arg("--db"),
            MESSAGES,
            &seeded,
        )?;
        let peer = piped(Command::new("sqlite3").arg("-bail"), BY_SHELL, &seeded)?;
        pairs.push((ours, peer));
    }
    let shell = String::from_utf8_lossy(&shell.stdout);
    let version = shell.split(' ').next().unwrap_or_default();
    table.times(format!("{what} {version}"), &pairs, Some(2.0));
    fs::remove_file(seeded)?;
    Ok(())
}

/// Runs the program on a fresh copy, whose path is its last argument, with `input`, from its start to its end.
fn piped(program: &mut Command, input: &str, prepared: &Path) -> Outcome<Duration> {
    let copy = Copy::of(prepared)?;
    let started = Instant::now();
    let mut child = program
        .arg(&copy.0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    // Far less than a pipe holds, so that it need not be read meanwhile; dropped, it is the end of the input.
    child
        .stdin
        .take()
        .ok_or("no stdin")?
        .write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let took = started.elapsed();
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || said.contains("\"error\"") {
        return Err(format!("{program:?}: {} {said}", output.status).into());
    }
    check(&copy.0, sample::ROWS, &["full_name"])?;
    Ok(took)
}

/// A watch for laps.
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now - std::mem::replace(&mut self.0, now)
    }
}
