//! An application that works on both tables, as a process.

use std::collections::VecDeque;
use std::env;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode};

use super::super::process::{Dice, await_end, open, poll};
use super::Round;
use super::kind::Kind;
use super::statement::{OR_IGNORE, Statement, Version};

const VERSION: &str = "ALIKE_VERSION";
const KIND: &str = "ALIKE_KIND";
const FILE: &str = "ALIKE_FILE";
const SEED: &str = "ALIKE_SEED";

/// The line that says that a transaction is done.
const DONE: &str = "done";

/// An application that is at work, from the outside.
pub(super) struct Application {
    version: Version,
    child: Option<Child>,
    done: Arc<AtomicU64>,
}

impl Application {
    pub(super) fn start(round: &Round, db: &Path, version: Version) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "alike::application",
                "--include-ignored",
                "--nocapture",
            ])
            .env(VERSION, version.name())
            .env(KIND, &round.kind)
            .env(FILE, db)
            .env(SEED, round.seed.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let done = Arc::new(AtomicU64::new(0));
        let (lines, counted) = (BufReader::new(child.stdout.take().unwrap()), done.clone());
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                if line == DONE {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self {
            version,
            child: Some(child),
            done,
        }
    }

    /// How many transactions it has done.
    pub(super) fn transactions(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Waits until it has done so many more.
    pub(super) fn works(&mut self, transactions: u64) {
        let end = self.transactions() + transactions;
        poll("an application's work", || {
            let child = self.child.as_mut().unwrap();
            if child.try_wait().unwrap().is_some() {
                self.end();
            }
            (self.transactions() >= end).then_some(())
        });
    }

    /// Lets it finish its transaction.
    pub(super) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let ran = await_end(self.child.take().unwrap(), b"");
        let version = self.version;
        assert!(ran.status.success(), "{version:?}: {}", ran.stderr);
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// Works, where this process is an application, until stdin is closed.
pub(super) fn work() {
    let Ok(version) = env::var(VERSION) else {
        return;
    };
    let is_over = Arc::new(AtomicBool::new(false));
    let told = is_over.clone();
    thread::spawn(move || {
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
        told.store(true, Ordering::Relaxed);
    });
    let mut worker = Worker::new(Version::named(&version));
    while !is_over.load(Ordering::Relaxed) {
        worker.transaction();
        println!("{DONE}");
        // An application has other things to do as well.
        thread::sleep(Duration::from_millis(1));
    }
}

/// The application from the inside.
struct Worker {
    connection: Connection,
    kind: Kind,
    version: Version,
    dice: Dice,
    /// The last statements, and what came of them.
    last: VecDeque<String>,
}

/// What came of a statement: rows and how many were changed, or nothing where a constraint refuses it.
type Answer = Option<(Vec<Vec<Value>>, u64)>;

impl Worker {
    /// The application that the environment speaks of.
    fn new(version: Version) -> Self {
        let seed: u64 = env::var(SEED).unwrap().parse().unwrap();
        let mut dice = Dice::of(seed * 3 + version as u64);
        let connection = open(Path::new(&env::var_os(FILE).unwrap()));
        for (pragma, value) in [
            ("synchronous", false),
            ("foreign_keys", true),
            ("recursive_triggers", dice.one_in(2)),
        ] {
            connection.pragma_update(None, pragma, value).unwrap();
        }
        Self {
            connection,
            kind: super::kind(&env::var(KIND).unwrap()),
            version,
            dice,
            last: VecDeque::new(),
        }
    }

    fn run(&self, sql: &str) {
        self.connection.execute_batch(sql).unwrap();
    }

    fn transaction(&mut self) {
        self.run("BEGIN IMMEDIATE");
        for _ in 0..=self.dice.roll(3) {
            let statement = Statement::random(&self.kind, &mut self.dice);
            self.write(&statement);
        }
        if self.dice.one_in(10) {
            self.compare();
        }
        let end = if self.dice.one_in(12) {
            "ROLLBACK"
        } else {
            "COMMIT"
        };
        self.remember(end.to_owned());
        self.run(end);
    }

    /// Writes to both tables, which must answer alike.
    fn write(&mut self, statement: &Statement) {
        self.run("SAVEPOINT statement");
        let sides = [self.version.side(), self.kind.twin(self.version)];
        let [here, there] = sides.map(|side| {
            let text = statement.on(&side);
            let answer = answer(&self.connection, &text);
            (text, answer)
        });
        if let Some(mapping) = self.kind.mapping {
            self.run(&mapping.follow(self.version));
        }
        self.remember(format!("{}; -- {:?}", here.0, here.1));
        let may_refuse = self.kind.refuses_aloud && here.0.contains(OR_IGNORE);
        if may_refuse && here.1.is_none() {
            self.run("ROLLBACK TO statement");
        } else if here.1 != there.1 {
            self.fail(&format!(
                "the twin answered otherwise: {} -- {:?}",
                there.0, there.1
            ));
        }
        self.run("RELEASE statement");
    }

    fn compare(&self) {
        let differences = self.kind.differences(&self.connection, self.version);
        if !differences.is_empty() {
            self.fail(&differences.join("\n"));
        }
    }

    fn fail(&self, what: &str) -> ! {
        let last: Vec<&str> = self.last.iter().map(String::as_str).collect();
        panic!("{what}\nlast of all:\n{}", last.join("\n"));
    }

    fn remember(&mut self, line: String) {
        self.last.push_back(line);
        if self.last.len() > 30 {
            self.last.pop_front();
        }
    }
}

/// Runs a statement. Nothing but a constraint is a reason for it to fail.
fn answer(connection: &Connection, text: &str) -> Answer {
    let run = || {
        let mut statement = connection.prepare(text)?;
        let width = statement.column_count();
        let rows = statement.query_map([], |row| {
            (0..width)
                .map(|at| row.get(at))
                .collect::<rusqlite::Result<Vec<Value>>>()
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    match run() {
        Ok(rows) => Some((rows, connection.changes())),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => None,
        Err(error) => panic!("{error}: {text}"),
    }
}
