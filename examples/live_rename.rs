//! Renames a column under old and new versions of an application that write all the time, each a process of its own.
//!
//! `cargo run --release --example live_rename [ROWS]` shows, second by second, how many statements each version does
//! and how long the longest took; for each phase, how long it took and the longest statement meanwhile; at the end,
//! whether any failed. A million rows of some 200 bytes take about a minute, and 1 GB in the temporary folder.

// What it shows is what it is for.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use changeover::request::{Contract, Expand, MigrateData, Request};
use changeover::{Changeover, Event, Options};
use rusqlite::Connection;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The rows of the table, where nobody says how many.
const ROWS: u32 = 1_000_000;

/// Processes of each version.
const PROCESSES: usize = 2;

/// How often the application tells what it has done, and how often that is shown.
const TELL: Duration = Duration::from_millis(100);
const SHOW: Duration = Duration::from_secs(1);

/// How long they are watched between two phases.
const WATCH: Duration = Duration::from_secs(1);

/// A version of the application: what it calls the column.
#[derive(Clone, Copy)]
struct Version {
    name: &'static str,
    column: &'static str,
}

const OLD: Version = Version {
    name: "old",
    column: "name",
};
const NEW: Version = Version {
    name: "new",
    column: "full_name",
};

fn main() -> Outcome<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [version, file] if version == OLD.name => write_on(OLD, Path::new(file))?,
        [version, file] if version == NEW.name => write_on(NEW, Path::new(file))?,
        [] => return show(ROWS),
        [rows] => return show(rows.parse()?),
        _ => return Err("usage: live_rename [ROWS]".into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// The whole play.
fn show(rows: u32) -> Outcome<ExitCode> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.db");
    prepare(&file, rows)?;
    println!("users(id, name, about, visits) with {rows} rows, {PROCESSES} processes a version\n");
    let mut stage = Stage::default();
    stage.start(OLD, &file)?;
    stage.watch("old version alone", WATCH);
    let mut changeover = Changeover::open(&file, Options::default())?;
    stage.play("expand", || apply(&mut changeover, &expand()))?;
    stage.play("migrate data", || apply(&mut changeover, &migrate_data()))?;
    stage.start(NEW, &file)?;
    stage.watch("both versions", WATCH);
    stage.stop(OLD)?;
    stage.watch("new version alone", WATCH);
    stage.play("contract", || apply(&mut changeover, &contract()))?;
    stage.watch("after it", WATCH);
    stage.stop(NEW)?;
    let check: String =
        Connection::open(&file)?.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    println!("\nintegrity_check: {check}");
    Ok(stage.verdict())
}

fn prepare(file: &Path, rows: u32) -> Outcome<()> {
    let connection = Connection::open(file)?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT NOT NULL, about TEXT, visits INTEGER NOT NULL DEFAULT 0);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO users(name, about) SELECT 'User ' || i, hex(randomblob(90)) FROM n"
    ))?;
    Ok(())
}

fn apply(changeover: &mut Changeover, request: &Request) -> Outcome<()> {
    let mut exchanged = None;
    changeover.apply(request, &mut |event| {
        if let Event::CutOver { held } = event {
            exchanged = Some(*held);
        }
        ControlFlow::Continue(())
    })?;
    if let Some(held) = exchanged {
        println!("the rebuilt table took the place of the live one in {held:.1?}");
    }
    Ok(())
}

fn expand() -> Request {
    Request::Expand(Expand {
        table: "users".into(),
        add_column: NEW.column.into(),
        column_type: None,
        from: Some(OLD.column.into()),
        allow_breaking: false,
    })
}

fn migrate_data() -> Request {
    Request::MigrateData(MigrateData {
        from: OLD.column.into(),
        to: NEW.column.into(),
        table: None,
        winner: None,
        up: None,
        down: None,
        write_both: false,
        expand: false,
    })
}

fn contract() -> Request {
    // Those of the old version have just ended.
    Request::Contract(Contract {
        quiet_for: Duration::ZERO,
        ..Contract::of("users", OLD.column)
    })
}

/// What the processes of a version have done since that was last shown, in this phase, and in all.
#[derive(Default)]
struct Tally {
    done: u64,
    longest: Duration,
    longest_of_phase: Duration,
    longest_of_all: Duration,
    failed: u64,
}

/// The processes, and what they tell.
#[derive(Default)]
struct Stage {
    running: Vec<(Version, Vec<Child>)>,
    tallies: Arc<Mutex<[Tally; 2]>>,
}

impl Stage {
    fn start(&mut self, version: Version, file: &Path) -> Outcome<()> {
        let mut children = Vec::new();
        for _ in 0..PROCESSES {
            let mut child = Command::new(std::env::current_exe()?)
                .arg(version.name)
                .arg(file)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let output = child.stdout.take().ok_or("no stdout")?;
            let tallies = Arc::clone(&self.tallies);
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    heard(&tallies, version, &line);
                }
            });
            children.push(child);
        }
        self.running.push((version, children));
        Ok(())
    }

    /// The processes end when their input does.
    fn stop(&mut self, version: Version) -> Outcome<()> {
        for (_, children) in self.running.extract_if(.., |it| it.0.name == version.name) {
            for mut child in children {
                drop(child.stdin.take());
                child.wait()?;
            }
        }
        Ok(())
    }

    fn watch(&self, what: &str, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            thread::sleep(SHOW);
            self.line(what);
        }
    }

    /// Does a phase while the processes go on and are watched.
    fn play(&self, what: &str, work: impl FnOnce() -> Outcome<()>) -> Outcome<()> {
        for tally in self.tallies().iter_mut() {
            tally.longest_of_phase = Duration::ZERO;
        }
        let is_over = AtomicBool::new(false);
        let outcome = thread::scope(|scope| {
            scope.spawn(|| {
                let mut shown = Instant::now();
                while !is_over.load(Ordering::Relaxed) {
                    thread::sleep(TELL);
                    if shown.elapsed() >= SHOW {
                        self.line(what);
                        shown = Instant::now();
                    }
                }
            });
            let begun = Instant::now();
            let outcome = work().map(|()| begun.elapsed());
            is_over.store(true, Ordering::Relaxed);
            outcome
        });
        // What was going on at the end of the phase is told by then.
        let took = outcome?;
        thread::sleep(2 * TELL);
        let longest: Vec<String> = self
            .running
            .iter()
            .map(|(version, _)| {
                let longest = self.tallies()[place(*version)].longest_of_phase;
                format!("{longest:.1?} in the {} version", version.name)
            })
            .collect();
        let longest = longest.join(", ");
        println!("{what}: done in {took:.1?}, the longest statement took {longest}");
        Ok(())
    }

    fn tallies(&self) -> MutexGuard<'_, [Tally; 2]> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, what: &str) {
        let mut tallies = self.tallies();
        let parts = [OLD, NEW].map(|version| {
            let tally = &mut tallies[place(version)];
            let (done, longest) = (tally.done, tally.longest);
            (tally.done, tally.longest) = (0, Duration::ZERO);
            let rate = u128::from(done) * 1000 / SHOW.as_millis();
            let told = match done {
                0 => "-".to_owned(),
                _ => format!("{rate:>5}/s, longest {:>9}", format!("{longest:.1?}")),
            };
            format!("{}: {told:<26}", version.name)
        });
        println!("{what:<18} {}   {}", parts[0], parts[1]);
    }

    fn verdict(&self) -> ExitCode {
        let tallies = self.tallies();
        for version in [OLD, NEW] {
            let tally = &tallies[place(version)];
            println!(
                "{} version: {} statements failed, the longest took {:.1?}",
                version.name, tally.failed, tally.longest_of_all
            );
        }
        if tallies.iter().all(|tally| tally.failed == 0) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn place(version: Version) -> usize {
    usize::from(version.name == NEW.name)
}

/// Takes in a line of a process: how many statements since the last, how many failed, and the longest in microseconds.
fn heard(tallies: &Mutex<[Tally; 2]>, version: Version, line: &str) {
    let figures: Vec<u64> = line.split(' ').filter_map(|it| it.parse().ok()).collect();
    if let [done, failed, longest] = figures[..] {
        let mut tallies = tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = &mut tallies[place(version)];
        let longest = Duration::from_micros(longest);
        tally.done += done;
        tally.failed += failed;
        for it in [
            &mut tally.longest,
            &mut tally.longest_of_phase,
            &mut tally.longest_of_all,
        ] {
            *it = longest.max(*it);
        }
    }
}

/// The application: inserts, updates and reads users, and knows one name of the column, until its input ends.
fn write_on(version: Version, file: &Path) -> Outcome<()> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let column = version.column;
    let statements = [
        format!("INSERT INTO users({column}) VALUES ('User of ' || ?1)"),
        format!("UPDATE users SET {column} = {column} || '.' WHERE id = ?1"),
        format!("SELECT {column} FROM users WHERE id = ?1"),
        "UPDATE users SET visits = visits + 1 WHERE id = ?1".to_owned(),
    ];
    let is_over = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&is_over);
    thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        end.store(true, Ordering::Relaxed);
    });
    let (mut done, mut failed, mut longest) = (0, 0, Duration::ZERO);
    let (mut id, mut told) = (i64::from(std::process::id()), Instant::now());
    while !is_over.load(Ordering::Relaxed) {
        for sql in &statements {
            id = (id * 7_919 + 17) % 100_003;
            let begun = Instant::now();
            match connection
                .prepare_cached(sql)
                .and_then(|mut it| it.query([id])?.next().map(drop))
            {
                Ok(()) => done += 1,
                Err(_) => failed += 1,
            }
            longest = longest.max(begun.elapsed());
            thread::sleep(Duration::from_millis(1));
        }
        if told.elapsed() >= TELL {
            println!("{done} {failed} {}", longest.as_micros());
            std::io::stdout().flush()?;
            (done, failed, longest, told) = (0, 0, Duration::ZERO, Instant::now());
        }
    }
    println!("{done} {failed} {}", longest.as_micros());
    Ok(())
}
