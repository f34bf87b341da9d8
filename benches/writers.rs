//! Applications that go on writing: processes that tell afterwards when each write began, how long it took, and
//! what it left.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::Connection;

use super::Outcome;

/// The argument that makes a writer of this program.
pub(super) const WRITER: &str = "--writer";

/// How long a writer rests between two writes.
const REST: Duration = Duration::from_millis(1);

/// A process that goes on writing to the file until its stdin ends.
pub(super) struct Writer {
    pub(super) what: &'static str,
    /// What stands before the number in the values that it writes.
    pub(super) word: &'static str,
    /// What it writes in turns; `?1` is a row that there was before, `?2` the number of the write.
    sql: &'static [&'static str],
    /// Over how many rows, spread over the whole table, it goes again and again; all of them where none is said.
    places: Option<u32>,
}

/// Knows the old column alone.
pub(super) const OLD: Writer = Writer {
    what: "writer of the old column",
    word: "Old",
    sql: &[
        "INSERT INTO users (name, mail) VALUES ('Old ' || ?2, NULL)",
        "UPDATE users SET name = 'Old ' || ?2 WHERE id = ?1",
    ],
    places: None,
};

/// Writes another column, and reads the old one.
pub(super) const READER: Writer = Writer {
    what: "writer of another column",
    word: "Mail",
    sql: &[
        "UPDATE users SET mail = 'of ' || (SELECT name FROM users WHERE id = ?1 + 1) WHERE id = ?1",
        "UPDATE users SET mail = 'Mail ' || ?2 WHERE id = ?1",
    ],
    places: None,
};

/// The old application of a whole change: rows that it has written before are among those that it writes.
pub(super) const OLD_APPLICATION: Writer = Writer {
    what: "old application",
    places: Some(1009),
    ..OLD
};

/// The new one, which knows the new column alone.
pub(super) const NEW_APPLICATION: Writer = Writer {
    what: "new application",
    word: "New",
    sql: &[
        "INSERT INTO users (full_name, mail) VALUES ('New ' || ?2, NULL)",
        "UPDATE users SET full_name = 'New ' || ?2 WHERE id = ?1",
        "INSERT INTO users (full_name, mail) VALUES ('New ' || ?2, NULL)",
        "DELETE FROM users WHERE id = last_insert_rowid()",
    ],
    places: Some(1009),
};

/// Has to do with neither column, so that it goes on whatever they are called.
pub(super) const NEITHER: Writer = Writer {
    what: "writer of neither column",
    word: "Mail",
    sql: &["UPDATE users SET mail = 'Mail ' || ?2 WHERE id = ?1"],
    places: Some(1009),
};

const WRITERS: [&Writer; 5] = [&OLD, &READER, &OLD_APPLICATION, &NEW_APPLICATION, &NEITHER];

/// What became of one writer.
pub(super) struct Written {
    pub(super) writer: &'static Writer,
    pub(super) writes: Vec<Write>,
    pub(super) errors: Vec<String>,
}

/// One write that succeeded.
pub(super) struct Write {
    /// When it began, in microseconds of the clock that all processes share.
    pub(super) began: u64,
    pub(super) took: Duration,
    /// The row that it left, or took away.
    pub(super) row: i64,
    /// The number that it left there; none where it took the row away.
    pub(super) number: Option<u32>,
}

impl Write {
    pub(super) fn ended(&self) -> u64 {
        self.began + u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX / 2)
    }

    /// Whether some of it was in this time.
    pub(super) fn is_in(&self, time: &Range<u64>) -> bool {
        self.began < time.end && self.ended() >= time.start
    }
}

/// A writer at work.
pub(super) struct Writing {
    writer: &'static Writer,
    child: Child,
}

impl Writer {
    /// Starts one that waits for the lock for so many seconds.
    pub(super) fn start(&'static self, path: &Path, patience: u64) -> Outcome<Writing> {
        let child = Command::new(std::env::current_exe()?)
            .args([WRITER, self.what, &patience.to_string()])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Writing {
            writer: self,
            child,
        })
    }
}

impl Writing {
    /// Ends it, and reads what it has to tell: a line for each write, or what went wrong.
    pub(super) fn stop(mut self) -> Outcome<Written> {
        drop(self.child.stdin.take());
        let output = self.child.stdout.take().ok_or("no stdout")?;
        let mut written = Written {
            writer: self.writer,
            writes: Vec::new(),
            errors: Vec::new(),
        };
        for line in BufReader::new(output).lines() {
            let line = line?;
            match heard(&line) {
                Some(write) => written.writes.push(write),
                None => written.errors.push(line),
            }
        }
        if !self.child.wait()?.success() {
            return Err(format!("the {} ended badly", self.writer.what).into());
        }
        Ok(written)
    }
}

/// One line of a writer; none where it is an error.
fn heard(line: &str) -> Option<Write> {
    let mut fields = line.split(' ');
    Some(Write {
        began: fields.next()?.parse().ok()?,
        took: Duration::from_micros(fields.next()?.parse().ok()?),
        row: fields.next()?.parse().ok()?,
        number: match fields.next()? {
            "gone" => None,
            number => Some(number.parse().ok()?),
        },
    })
}

impl Written {
    /// How long the writes took of which some was in this time, the shortest first; and the others.
    pub(super) fn split(&self, time: &Range<u64>) -> [Ranked; 2] {
        let (within, without) = self.writes.iter().partition(|it| it.is_in(time));
        [within, without].map(|writes: Vec<&Write>| Ranked::of(writes))
    }
}

/// Durations, the shortest first.
pub(super) struct Ranked(Vec<Duration>);

impl Ranked {
    pub(super) fn of<'a>(writes: impl IntoIterator<Item = &'a Write>) -> Self {
        let mut took: Vec<Duration> = writes.into_iter().map(|it| it.took).collect();
        took.sort();
        Self(took)
    }

    /// The time that so many of a thousand writes did not exceed.
    pub(super) fn rank(&self, per_mille: usize) -> Duration {
        let rank = (self.0.len() * per_mille).div_ceil(1000);
        let at = rank.saturating_sub(1);
        self.0.get(at).copied().unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Now, on the clock that all processes share, in microseconds.
pub(super) fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// A writer: the process itself, whose arguments are the rest of the command line.
pub(super) fn write(mut arguments: impl Iterator<Item = String>) -> Outcome<()> {
    let what = arguments.next().ok_or("no writer")?;
    let writer = WRITERS.iter().find(|it| it.what == what);
    let writer = writer.ok_or("no such writer")?;
    let patience = arguments.next().ok_or("no patience")?.parse()?;
    let connection = Connection::open(arguments.next().ok_or("no file")?)?;
    connection.busy_timeout(Duration::from_secs(patience))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let rows: u32 = connection.query_row("SELECT max(id) FROM users", [], |row| row.get(0))?;
    let places = writer.places.map_or(rows, |it| it.min(rows));
    let prepared: Result<Vec<_>, _> = writer.sql.iter().map(|it| connection.prepare(it)).collect();
    let mut statements = prepared?;
    let is_over = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&is_over);
    thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        end.store(true, Ordering::Relaxed);
    });
    let mut told = Vec::new();
    let mut place = 1;
    for number in 1_u32.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        // All over the table, in no order.
        place = (place + 7_919_777) % places;
        let row = place * (rows / places) + 1;
        let at = number as usize % statements.len();
        let statement = &mut statements[at];
        let values = [row, number].into_iter().take(statement.parameter_count());
        let began = now();
        let started = Instant::now();
        let outcome = statement.execute(rusqlite::params_from_iter(values));
        let took = started.elapsed().as_micros();
        told.push(match (outcome, &writer.sql[at][..6]) {
            (Err(error), _) => error.to_string(),
            (Ok(_), "UPDATE") => format!("{began} {took} {row} {number}"),
            (Ok(_), "DELETE") => format!("{began} {took} {} gone", connection.last_insert_rowid()),
            (Ok(_), _) => format!("{began} {took} {} {number}", connection.last_insert_rowid()),
        });
        thread::sleep(REST);
    }
    // Who tells while it writes would be slower for that.
    std::io::stdout().write_all((told.join("\n") + "\n").as_bytes())?;
    Ok(())
}
