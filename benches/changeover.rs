//! What a change costs beside the same steps as plain SQL, and how much memory it takes.
//!
//! `cargo bench` runs it and prints one table; `docs/performance.md` says what is in it. Only ratios within one
//! run are judged: ours and the peer take turns on fresh copies of one file, so that whatever else the machine
//! does weighs on both. A missed target is told and is no failure; only what goes wrong is.

// The table is what this program is for; how far it has come goes beside it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod sync;
mod table;
mod traffic;

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use changeover::request::{Contract, Expand, MigrateData, Request};
use changeover::{Changeover, Options, sample, unobserved};
use rusqlite::Connection;

use table::{Table, counted};

type Outcome<T> = Result<T, Box<dyn Error>>;

const BINARY: &str = env!("CARGO_BIN_EXE_changeover");

/// The three phases on the table `users`, as messages.
const MESSAGES: &str = include_str!("../fixtures/messages.jsonl");

/// The same three phases as one would write them by hand, each a transaction.
const BY_HAND: [&str; 3] = [
    "BEGIN IMMEDIATE;
     ALTER TABLE users ADD COLUMN full_name TEXT;
     COMMIT;",
    "BEGIN IMMEDIATE;
     UPDATE users SET full_name = name;
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

const MIB: f64 = 1024.0;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|it| it == traffic::WRITER).is_some() {
        return traffic::write(arguments);
    }
    let Some(sizes) = Sizes::asked(arguments)? else {
        println!("{USAGE}");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let mut table = Table::default();
    if sizes.wants("change") {
        whole_change(&sizes, folder.path(), &mut table)?;
    }
    if sizes.wants("messages") {
        three_messages(&sizes, folder.path(), &mut table)?;
    }
    if sizes.wants("memory") {
        peak_memory(&sizes, folder.path(), &mut table)?;
    }
    if sizes.wants("traffic") {
        traffic::under_traffic(&sizes, folder.path(), &mut table)?;
    }
    if sizes.wants("alone") {
        traffic::alone(&sizes, folder.path(), &mut table)?;
    }
    if sizes.wants("growth") {
        traffic::growth(&sizes, folder.path(), &mut table)?;
    }
    if sizes.wants("sync") {
        sync::synced_writes(&sizes, folder.path(), &mut table)?;
    }
    println!("{}", table.printed());
    Ok(())
}

const USAGE: &str = "\
cargo bench --bench change -- [--quick] [--rows N] [--runs N] [GROUP]...

  --quick   small tables and few runs: to see that it works, not how fast
  --rows N  rows of the whole change, and of a migration under traffic or alone (1000000)
  --runs N  pairs of runs of the whole change (5); the three messages run ten times as often
  GROUP     change, messages, memory, traffic, alone, growth or sync; else all of them";

/// What can be asked for alone.
const GROUPS: [&str; 7] = [
    "change", "messages", "memory", "traffic", "alone", "growth", "sync",
];

/// How much is to be measured.
struct Sizes {
    rows: u32,
    runs: usize,
    few_rows: u32,
    many_rows: u32,
    quick: bool,
    only: Vec<String>,
}

impl Sizes {
    /// Reads the arguments; none where help is asked for.
    fn asked(mut arguments: impl Iterator<Item = String>) -> Outcome<Option<Self>> {
        let mut sizes = Self {
            rows: 1_000_000,
            runs: 5,
            few_rows: 100_000,
            many_rows: 5_000_000,
            quick: false,
            only: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            let mut number = || arguments.next().ok_or(format!("{argument} needs a number"));
            match argument.as_str() {
                "--rows" => sizes.rows = number()?.parse()?,
                "--runs" => sizes.runs = number()?.parse::<usize>()?.max(1),
                "--quick" => {
                    sizes.rows = 50_000;
                    sizes.runs = 1;
                    sizes.few_rows = 50_000;
                    sizes.many_rows = 100_000;
                    sizes.quick = true;
                }
                // Cargo says so to every benchmark.
                "--bench" => {}
                "--help" | "-h" => return Ok(None),
                group if GROUPS.contains(&group) => sizes.only.push(argument),
                _ => return Err(format!("unknown argument {argument}\n{USAGE}").into()),
            }
        }
        Ok(Some(sizes))
    }

    fn wants(&self, what: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|it| it == what)
    }
}

/// The three phases on a large table that nobody else uses: the library against plain SQL in the same SQLite.
fn whole_change(sizes: &Sizes, folder: &Path, table: &mut Table) -> Outcome<()> {
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
    let mut clock = Clock::start();
    let mut changeover = Changeover::open(path, Options::default())?;
    let opened = clock.lap();
    let expand = Request::Expand(Expand {
        table: "users".into(),
        add_column: "full_name".into(),
        column_type: None,
        from: Some("name".into()),
        allow_breaking: false,
    });
    let migrate = Request::MigrateData(MigrateData {
        from: "name".into(),
        to: "full_name".into(),
        table: Some("users".into()),
        winner: None,
        up: None,
        down: None,
        write_both: false,
        expand: false,
    });
    let contract = Request::Contract(Contract {
        table: "users".into(),
        remove_column: "name".into(),
        winner: None,
    });
    let mut laps = Vec::new();
    for request in [expand, migrate, contract] {
        changeover.apply(&request, &mut unobserved)?;
        laps.push(clock.lap());
    }
    drop(changeover);
    Ok([laps[0], laps[1], laps[2], opened + clock.lap()])
}

fn by_hand(path: &Path) -> Outcome<[Duration; 4]> {
    let mut clock = Clock::start();
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -10 * 1024)?;
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
fn three_messages(sizes: &Sizes, folder: &Path, table: &mut Table) -> Outcome<()> {
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

/// The most memory that our program takes, on a small and on a large table.
fn peak_memory(sizes: &Sizes, folder: &Path, table: &mut Table) -> Outcome<()> {
    let what = format!(
        "peak memory, {} rows and {} rows",
        counted(sizes.many_rows),
        counted(sizes.few_rows)
    );
    if !cfg!(target_os = "linux") {
        table.skipped(what, "not available");
        return Ok(());
    }
    let peak = |rows| -> Outcome<f64> {
        eprintln!("peak memory: {} rows", counted(rows));
        let prepared = folder.join("prepared.db");
        prepare(&prepared, rows)?;
        let copy = Copy(prepared);
        let peak = peak_of_change(&copy.0)?;
        check(&copy.0, rows, &["id", "full_name", "mail"])?;
        Ok(peak)
    };
    let few = peak(sizes.few_rows)?;
    let many = peak(sizes.many_rows)?;
    table.memory(what, many, few);
    Ok(())
}

/// `VmHWM` of the program when the third reply has come, in MiB.
fn peak_of_change(path: &Path) -> Outcome<f64> {
    let mut child = Command::new(BINARY)
        .arg("node")
        .arg("--db")
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let peak = converse(&mut child);
    // Without a stdin it ends by itself; after an error it may be in the midst of its work.
    if peak.is_err() {
        child.kill()?;
    }
    child.wait()?;
    peak
}

fn converse(child: &mut Child) -> Outcome<f64> {
    let mut input = child.stdin.take().ok_or("no stdin")?;
    let output = child.stdout.take().ok_or("no stdout")?;
    let mut replies = BufReader::new(output).lines();
    for message in MESSAGES.lines() {
        writeln!(input, "{message}")?;
        let reply = replies.next().ok_or("it ended without a reply")??;
        if reply.contains("\"error\"") {
            return Err(reply.into());
        }
    }
    // The input is still open, so that the process is still there to be asked.
    let peak = peak_so_far(child);
    drop(input);
    peak
}

/// `VmHWM` of a process, in MiB.
fn peak_so_far(child: &Child) -> Outcome<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|it| it.trim().strip_suffix(" kB"));
    Ok(kib.ok_or("no VmHWM")?.parse::<f64>()? / MIB)
}

/// Makes a file in WAL mode with `users(id, name, mail)`, the names in no order, and an index on them.
fn prepare(path: &Path, rows: u32) -> Outcome<()> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.execute_batch(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, mail TEXT)",
    )?;
    connection.execute(
        "INSERT INTO users (name, mail) \
         WITH RECURSIVE count(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM count WHERE number < ?1) \
         SELECT printf('Person %07d', number * 7919 % ?1), printf('person%d@example.org', number) FROM count",
        [rows],
    )?;
    connection.execute_batch("CREATE INDEX users_name ON users (name)")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.close().map_err(|(_, error)| error)?;
    File::open(path)?.sync_all()?;
    Ok(())
}

/// Fails unless the table has just these columns and all its rows.
fn check(path: &Path, rows: u32, columns: &[&str]) -> Outcome<()> {
    let connection = Connection::open(path)?;
    let statement = connection.prepare("SELECT * FROM users")?;
    let found: Vec<&str> = statement.column_names().collect();
    let count: u32 = connection.query_row("SELECT count(*) FROM users", [], |row| row.get(0))?;
    if found == columns && count == rows {
        return Ok(());
    }
    Err(format!("users has {count} rows of {found:?}").into())
}

/// A copy of a file, which goes when it is no longer needed.
struct Copy(PathBuf);

impl Copy {
    /// Copies the file, all the way to the disk, so that nobody's fsync pays for the copy.
    fn of(prepared: &Path) -> Outcome<Self> {
        let path = prepared.with_extension("copy.db");
        fs::copy(prepared, &path)?;
        File::open(&path)?.sync_all()?;
        Ok(Self(path))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
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
