//! The program as a process: run to its end, or talked to line by line; and files to look at.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::types::Value as Sql;
use serde_json::Value;
use tempfile::TempDir;

/// Nothing that these tests start takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const EXPAND: &str = r#"{"type": "migrate", "msg_id": 1, "phase": "expand", "table": "users", "add_column": "full_name"}"#;
pub(crate) const MIGRATE: &str = r#"{"type": "migrate", "msg_id": 2, "phase": "migrate_data", "from": "name", "to": "full_name"}"#;
pub(crate) const CONTRACT: &str = r#"{"type": "migrate", "msg_id": 3, "phase": "contract", "table": "users", "remove_column": "name"}"#;

pub(crate) const EXPANDED: &str = r#"{"type": "migration_applied", "in_reply_to": 1, "version": 1, "name": "add_full_name_column", "schema": "users (name, full_name NULL)", "backward_compatible": true}"#;
pub(crate) const MIGRATED: &str =
    r#"{"type": "data_migrated", "in_reply_to": 2, "version": 2, "rows_migrated": 1000}"#;
pub(crate) const CONTRACTED: &str = r#"{"type": "migration_applied", "in_reply_to": 3, "version": 3, "name": "remove_name_column", "schema": "users (full_name)"}"#;

/// A folder that goes with the test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A sample file.
    pub(crate) fn seeded(&self, rows: u32) -> PathBuf {
        let db = self.join("app.db");
        changeover::sample::write(&db, rows).unwrap();
        db
    }

    /// A file that a script made.
    pub(crate) fn made(&self, sql: &str) -> PathBuf {
        let db = self.join("app.db");
        execute(&db, sql);
        db
    }

    /// What is in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// What a process left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| panic!("ended by a signal: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code(), 0, "{self:?}");
        self
    }

    /// Refused or failed with this exit code, and with no word on stdout.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, sentence: &str) -> Self {
        assert_eq!(self.code(), code, "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert!(self.error().starts_with("error: "), "{self:?}");
        assert!(self.stderr.contains(sentence), "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        self
    }

    /// What stderr says behind the warnings: a test that has the file open is older than the change that it makes.
    pub(crate) fn error(&self) -> &str {
        let lines = self.stderr.split_inclusive('\n');
        let warnings = lines.take_while(|it| it.starts_with("warning: "));
        &self.stderr[warnings.map(str::len).sum()..]
    }

    /// The one JSON object on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stdout.matches('\n').count(), 1, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }
}

pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_changeover"))
}

/// The program, which nothing around the test speaks to.
pub(crate) fn changeover() -> Command {
    let mut command = Command::new(program());
    command.env_remove("CHANGEOVER_DB");
    command
}

/// The program on a file.
pub(crate) fn on(db: &Path) -> Command {
    let mut command = changeover();
    command.arg("--db").arg(db);
    command
}

pub(crate) fn run<Arg: AsRef<OsStr>>(db: &Path, arguments: impl IntoIterator<Item = Arg>) -> Ran {
    finish(on(db).args(arguments), b"")
}

/// A command line in words without spaces.
pub(crate) fn words(db: &Path, line: &str) -> Ran {
    run(db, line.split_whitespace())
}

/// Runs a process to its end, which must come.
#[track_caller]
pub(crate) fn finish(command: &mut Command, input: &[u8]) -> Ran {
    await_end(start(command), input)
}

pub(crate) fn start(command: &mut Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[track_caller]
pub(crate) fn await_end(mut child: Child, input: &[u8]) -> Ran {
    let mut stdin = child.stdin.take();
    let input = input.to_vec();
    let (sender, receiver) = mpsc::channel();
    // A process that does not read its input to the end closes it, which is no failure of the test.
    thread::spawn(move || stdin.as_mut().map(|stdin| stdin.write_all(&input).is_ok()));
    thread::spawn(move || sender.send(child.wait_with_output()));
    let output = receiver
        .recv_timeout(PATIENCE)
        .expect("the process comes to its end")
        .unwrap();
    Ran {
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The replies to some bytes on stdin, of a process that ends well and is silent on stderr.
#[track_caller]
pub(crate) fn replies(db: &Path, input: impl AsRef<[u8]>) -> Vec<String> {
    let ran = finish(on(db).arg("node"), input.as_ref()).done();
    assert_eq!(ran.stderr, "");
    assert!(ran.stdout.is_empty() || ran.stdout.ends_with('\n'));
    ran.stdout.lines().map(str::to_owned).collect()
}

/// The one reply to one message.
#[track_caller]
pub(crate) fn reply(db: &Path, message: &str) -> Value {
    let replies = replies(db, format!("{message}\n"));
    assert_eq!(replies.len(), 1, "{replies:?}");
    serde_json::from_str(&replies[0]).unwrap()
}

/// Asserts that a reply is an error of this code that says the words.
#[track_caller]
pub(crate) fn expect_error(reply: &Value, code: u64, sentence: &str) {
    assert_eq!(reply["type"], "error", "{reply}");
    assert_eq!(reply["code"], code, "{reply}");
    assert!(
        reply["text"].as_str().unwrap().contains(sentence),
        "{reply}"
    );
}

/// A process in message mode whose stdin stays open.
pub(crate) struct Conversation {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Conversation {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = start(command);
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                if line.is_err() || sender.send(line.unwrap()).is_err() {
                    break;
                }
            }
        });
        Self {
            stdin: child.stdin.take(),
            child,
            lines,
        }
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(bytes).unwrap();
        stdin.flush().unwrap();
    }

    /// Says a line and hears the answer, while stdin stays open.
    #[track_caller]
    pub(crate) fn ask(&mut self, message: &str) -> String {
        self.say(format!("{message}\n").as_bytes());
        self.hear()
    }

    #[track_caller]
    pub(crate) fn hear(&mut self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a reply comes")
    }

    /// Closes stdin, and expects a silent end.
    #[track_caller]
    pub(crate) fn end(mut self) {
        drop(self.stdin.take());
        let ran = await_end(self.child, b"").done();
        assert_eq!(ran.stderr, "");
        assert_eq!(self.lines.recv(), Err(mpsc::RecvError), "a reply too many");
    }
}

/// Chance.
pub(crate) struct Dice(u64);

impl Dice {
    /// Falls otherwise in every run.
    pub(crate) fn new() -> Self {
        Self(RandomState::new().hash_one(0))
    }

    /// Falls as it fell before with this seed.
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from nought to below `sides`.
    pub(crate) fn roll(&mut self, sides: u32) -> u32 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let number = ((mixed >> 32) * u64::from(sides)) >> 32;
        u32::try_from(number).unwrap()
    }

    pub(crate) fn one_in(&mut self, sides: u32) -> bool {
        self.roll(sides) == 0
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        let sides = u32::try_from(from.len()).unwrap();
        from[self.roll(sides) as usize]
    }
}

/// Looks until something is there, and gives up in the end.
#[track_caller]
pub(crate) fn poll<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what} never came");
        thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn open(db: &Path) -> Connection {
    let connection = Connection::open(db).unwrap();
    connection.busy_timeout(PATIENCE).unwrap();
    connection
}

pub(crate) fn execute(db: &Path, sql: &str) {
    open(db).execute_batch(sql).unwrap();
}

/// The same with no trigger firing, so that the columns of a change fall out of step.
pub(crate) fn execute_past_triggers(db: &Path, sql: &str) {
    let connection = open(db);
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)
        .unwrap();
    connection.execute_batch(sql).unwrap();
}

/// The first value of the first row.
#[track_caller]
pub(crate) fn value(db: &Path, sql: &str) -> Sql {
    open(db).query_row(sql, [], |row| row.get(0)).unwrap()
}

#[track_caller]
pub(crate) fn number(db: &Path, sql: &str) -> i64 {
    open(db).query_row(sql, [], |row| row.get(0)).unwrap()
}

#[track_caller]
pub(crate) fn texts(db: &Path, sql: &str) -> Vec<String> {
    let connection = open(db);
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// Everything that a file holds: each row of the schema, and each row of each table with its rowid.
pub(crate) fn everything(db: &Path) -> String {
    dump(db, "TRUE")
}

/// Everything but what changeover itself keeps there.
pub(crate) fn applications_part(db: &Path) -> String {
    dump(db, "tbl_name NOT LIKE '\\_changeover\\_%' ESCAPE '\\'")
}

fn dump(db: &Path, which: &str) -> String {
    let connection = open(db);
    let mut text = String::new();
    let mut list = |sql: &str| {
        let Ok(mut statement) = connection.prepare(sql) else {
            return false;
        };
        let width = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<Sql> = (0..width).map(|at| row.get(at).unwrap()).collect();
            writeln!(text, "{values:?}").unwrap();
        }
        true
    };
    list(&format!(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE {which} ORDER BY type, name"
    ));
    let tables = texts(
        db,
        &format!("SELECT name FROM sqlite_schema WHERE type = 'table' AND {which} ORDER BY name"),
    );
    for table in tables {
        let table = format!("\"{}\"", table.replace('"', "\"\""));
        let with_rowid = list(&format!("SELECT rowid, * FROM {table} ORDER BY rowid"));
        assert!(with_rowid || list(&format!("SELECT * FROM {table} ORDER BY 1, 2")));
    }
    text
}

pub(crate) fn bytes(db: &Path) -> Vec<u8> {
    std::fs::read(db).unwrap()
}

/// Does something that must leave the file, and the names in its folder, as they are.
#[track_caller]
pub(crate) fn unchanged<T>(db: &Path, work: impl FnOnce() -> T) -> T {
    let folder = |db: &Path| {
        let entries = std::fs::read_dir(db.parent().unwrap()).unwrap();
        let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = (bytes(db), folder(db));
    let outcome = work();
    assert!(before.0 == bytes(db), "the file has other bytes");
    assert_eq!(before.1, folder(db));
    outcome
}

/// Says that a test looks at nothing on this machine, and why.
#[allow(clippy::print_stderr)]
pub(crate) fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
