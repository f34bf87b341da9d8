//! What an application feels of a data migration: processes write to the file, with and without one at work; and what
//! a migration costs that has the file for itself.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use changeover::event::{Event, Holds};
use changeover::request::{Expand, MigrateData, Request};
use changeover::{Changeover, Options, unobserved};
use rusqlite::Connection;

use super::table::{Table, counted};
use super::{BINARY, Copy, MESSAGES, MIB, Outcome, Sizes, peak_so_far, prepare};

/// The argument that makes a writer of this program.
pub(super) const WRITER: &str = "--writer";

/// What the lock may be held for by 99 turns of a hundred.
const LONGEST_HOLD: Duration = Duration::from_millis(5);

/// How long all of it may take.
const LONGEST: Duration = Duration::from_secs(15);

/// How large the write-ahead log may become, in MiB.
const LARGEST_LOG: f64 = 32.0;

/// How much later than without us a thousandth of the writes may come.
const FACTOR: f64 = 1.5;
const ALLOWANCE: Duration = Duration::from_millis(10);

/// How long the writers write with nobody else at work.
const IDLE: Duration = Duration::from_secs(10);
const IDLE_QUICKLY: Duration = Duration::from_secs(1);

/// How long a writer rests between two writes.
const REST: Duration = Duration::from_millis(1);

/// A process that goes on writing to the file until its stdin ends.
struct Writer {
    what: &'static str,
    /// What it writes in turns.
    sql: [&'static str; 2],
}

/// The one knows the old column alone, the other has to do with another column.
const WRITERS: [Writer; 2] = [
    Writer {
        what: "writer of the old column",
        sql: [
            "INSERT INTO users (name, mail) VALUES ('New ' || ?1, NULL)",
            "UPDATE users SET name = 'Newer ' || ?1 WHERE id = ?1",
        ],
    },
    Writer {
        what: "writer of another column",
        sql: [
            "UPDATE users SET mail = 'of ' || (SELECT name FROM users WHERE id = ?1 + 1) WHERE id = ?1",
            "UPDATE users SET mail = NULL WHERE id = ?1",
        ],
    },
];

/// What became of one writer.
struct Written {
    /// How long each write took, the shortest first.
    took: Vec<Duration>,
    errors: Vec<String>,
}

/// A migration in the midst of writers: what they feel beside what they feel without it.
pub(super) fn under_traffic(sizes: &Sizes, folder: &Path, table: &mut Table) -> Outcome<()> {
    let prepared = folder.join("prepared.db");
    prepare(&prepared, sizes.rows)?;
    let file = Copy(prepared);
    let mut changeover = expanded(&file.0)?;
    eprintln!(
        "traffic: {} rows, nobody but the writers",
        counted(sizes.rows)
    );
    let idle = if sizes.quick { IDLE_QUICKLY } else { IDLE };
    let (without, ()) = written(&file.0, || {
        thread::sleep(idle);
        Ok(())
    })?;
    let log_without = log_size(&file.0)?;
    // From here on the log is ours too.
    Connection::open(&file.0)?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    eprintln!("traffic: {} rows, and a migration", counted(sizes.rows));
    let (with, (took, holds)) = written(&file.0, || {
        let started = Instant::now();
        let holds = migrated(&mut changeover)?;
        Ok((started.elapsed(), holds))
    })?;
    let head = format!("{} rows under traffic", counted(sizes.rows));
    for ((writer, with), without) in WRITERS.iter().zip(&with).zip(&without) {
        compare(table, &format!("{head}, {}", writer.what), with, without);
    }
    table.within(format!("{head}, locks held: p50"), holds.p50, None);
    table.within(
        format!("{head}, locks held: p99"),
        holds.p99,
        Some(LONGEST_HOLD),
    );
    table.within(format!("{head}, locks held: max"), holds.max, None);
    table.within(format!("{head}, all in all"), took, Some(LONGEST));
    table.size(
        format!("{head}, log at most"),
        log_size(&file.0)?,
        log_without,
        LARGEST_LOG,
    );
    Ok(())
}

/// The rows of one writer.
fn compare(table: &mut Table, head: &str, with: &Written, without: &Written) {
    for (name, per_mille) in [("p50", 500), ("p99", 990), ("p99.9", 999), ("max", 1000)] {
        let (with, without) = (with.rank(per_mille), without.rank(per_mille));
        let allowed = without.mul_f64(FACTOR).max(without + ALLOWANCE);
        let allowed = (per_mille == 999).then_some(allowed);
        table.beside(format!("{head}: {name}"), with, without, allowed);
    }
    let said = |it: &Written| format!("{} of {}", it.errors.len(), it.took.len() + it.errors.len());
    let row = [said(with), said(without)];
    table.counts(format!("{head}: failed"), row, with.errors.is_empty());
    for error in with.errors.iter().chain(&without.errors) {
        eprintln!("{head}: {error}");
    }
}

impl Written {
    /// The time that so many of a thousand writes did not exceed.
    fn rank(&self, per_mille: usize) -> Duration {
        let rank = (self.took.len() * per_mille).div_ceil(1000);
        let at = rank.saturating_sub(1);
        self.took.get(at).copied().unwrap_or_default()
    }
}

/// A file whose change waits for its data.
pub(super) fn expanded(path: &Path) -> Outcome<Changeover> {
    let mut changeover = Changeover::open(path, Options::default())?;
    let expand = Request::Expand(Expand {
        table: "users".into(),
        add_column: "full_name".into(),
        column_type: None,
        from: Some("name".into()),
        allow_breaking: false,
    });
    changeover.apply(&expand, &mut unobserved)?;
    Ok(changeover)
}

/// Migrates the data, and returns how long the turns held the lock.
pub(super) fn migrated(changeover: &mut Changeover) -> Outcome<Holds> {
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
    let mut found = Holds::default();
    changeover.apply(&migrate, &mut |event: &Event| {
        if let Event::BackfillDone { holds } = event {
            found = *holds;
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Does something while the writers write.
fn written<T>(path: &Path, work: impl FnOnce() -> Outcome<T>) -> Outcome<(Vec<Written>, T)> {
    let mut children = Vec::new();
    for at in 0..WRITERS.len() {
        let child = Command::new(std::env::current_exe()?)
            .args([WRITER, &at.to_string()])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        children.push(child);
    }
    let outcome = work();
    // Their input ends, and so do they.
    for child in &mut children {
        drop(child.stdin.take());
    }
    let written: Outcome<Vec<Written>> = children.into_iter().map(heard).collect();
    Ok((written?, outcome?))
}

/// Reads what a writer has to tell: a line of microseconds for each write, or what went wrong.
fn heard(mut child: Child) -> Outcome<Written> {
    let output = child.stdout.take().ok_or("no stdout")?;
    let mut written = Written {
        took: Vec::new(),
        errors: Vec::new(),
    };
    for line in BufReader::new(output).lines() {
        let line = line?;
        match line.parse() {
            Ok(micros) => written.took.push(Duration::from_micros(micros)),
            Err(_) => written.errors.push(line),
        }
    }
    if !child.wait()?.success() {
        return Err("a writer ended badly".into());
    }
    written.took.sort();
    Ok(written)
}

/// A writer: the process itself, whose arguments are the rest of the command line.
pub(super) fn write(mut arguments: impl Iterator<Item = String>) -> Outcome<()> {
    let at: usize = arguments.next().ok_or("no writer")?.parse()?;
    let connection = Connection::open(arguments.next().ok_or("no file")?)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let rows: u32 = connection.query_row("SELECT max(id) FROM users", [], |row| row.get(0))?;
    let [first, second] = WRITERS[at].sql;
    let mut statements = [connection.prepare(first)?, connection.prepare(second)?];
    let is_over = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&is_over);
    thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        end.store(true, Ordering::Relaxed);
    });
    let mut told = Vec::new();
    let mut id = 1;
    while !is_over.load(Ordering::Relaxed) {
        // All over the table, in no order.
        id = (id + 7_919_777) % rows;
        statements.reverse();
        let started = Instant::now();
        match statements[0].execute([id]) {
            Ok(_) => told.push(started.elapsed().as_micros().to_string()),
            Err(error) => told.push(error.to_string()),
        }
        thread::sleep(REST);
    }
    // Who tells while it writes would be slower for that.
    std::io::stdout().write_all((told.join("\n") + "\n").as_bytes())?;
    Ok(())
}

/// A migration that has the file for itself, beside the one UPDATE that it comes to.
pub(super) fn alone(sizes: &Sizes, folder: &Path, table: &mut Table) -> Outcome<()> {
    let prepared = folder.join("prepared.db");
    prepare(&prepared, sizes.rows)?;
    // The index of the new column costs what an index costs.
    Connection::open(&prepared)?.execute_batch("DROP INDEX users_name")?;
    let mut pairs = Vec::new();
    for run in 0..sizes.runs {
        let ours = Copy::of(&prepared)?;
        let mut changeover = expanded(&ours.0)?;
        let started = Instant::now();
        migrated(&mut changeover)?;
        let ours = started.elapsed();
        drop(changeover);
        pairs.push((ours, one_update(&Copy::of(&prepared)?.0)?));
        eprintln!("alone: pair {} of {}", run + 1, sizes.runs);
    }
    let what = format!("{} rows alone, one UPDATE", counted(sizes.rows));
    table.times(what, &pairs, Some(1.2));
    std::fs::remove_file(prepared)?;
    Ok(())
}

fn one_update(path: &Path) -> Outcome<Duration> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -10 * 1024)?;
    connection.execute_batch("ALTER TABLE users ADD COLUMN full_name TEXT")?;
    let started = Instant::now();
    connection.execute_batch("UPDATE users SET full_name = name")?;
    Ok(started.elapsed())
}

/// A migration of many rows beside one of few: time, memory and log.
pub(super) fn growth(sizes: &Sizes, folder: &Path, table: &mut Table) -> Outcome<()> {
    let head = format!(
        "migration of {} rows and of {}",
        counted(sizes.many_rows),
        counted(sizes.few_rows)
    );
    if !cfg!(target_os = "linux") {
        table.skipped(head, "not available");
        return Ok(());
    }
    let measure = |rows| -> Outcome<Grown> {
        eprintln!("growth: {} rows", counted(rows));
        let prepared = folder.join("prepared.db");
        prepare(&prepared, rows)?;
        Grown::of(&Copy(prepared).0, rows)
    };
    let few = measure(sizes.few_rows)?;
    let many = measure(sizes.many_rows)?;
    table.memory(format!("{head}: memory"), many.memory, few.memory);
    table.size(format!("{head}: log"), many.log, few.log, LARGEST_LOG);
    table.beside(
        format!("{head}: time of a million rows"),
        many.million,
        few.million,
        Some(few.million.mul_f64(1.25)),
    );
    Ok(())
}

/// What a migration in a process of its own took.
struct Grown {
    million: Duration,
    memory: f64,
    log: f64,
}

impl Grown {
    fn of(path: &Path, rows: u32) -> Outcome<Self> {
        let mut child = Command::new(BINARY)
            .arg("node")
            .arg("--db")
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let grown = Self::hear(&mut child, path, rows);
        if grown.is_err() {
            child.kill()?;
        }
        child.wait()?;
        grown
    }

    fn hear(child: &mut Child, path: &Path, rows: u32) -> Outcome<Self> {
        let mut input = child.stdin.take().ok_or("no stdin")?;
        let output = child.stdout.take().ok_or("no stdout")?;
        let mut replies = BufReader::new(output).lines();
        let mut last = Duration::ZERO;
        for message in MESSAGES.lines().take(2) {
            let started = Instant::now();
            writeln!(input, "{message}")?;
            let reply = replies.next().ok_or("it ended without a reply")??;
            if reply.contains("\"error\"") {
                return Err(reply.into());
            }
            last = started.elapsed();
        }
        Ok(Self {
            million: last.mul_f64(1e6 / f64::from(rows)),
            memory: peak_so_far(child)?,
            log: log_size(path)?,
        })
    }
}

/// The size of the write-ahead log in MiB, which while the file is open is the largest that it had.
fn log_size(path: &Path) -> Outcome<f64> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let kib = std::fs::metadata(log)?.len() / 1024;
    Ok(f64::from(u32::try_from(kib)?) / MIB)
}
