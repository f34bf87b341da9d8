//! An application as a process of its own, which may be killed like any other.
//!
//! Whatever it does to a row of `people` it does to that of `twin` too, in the same transaction, and it looks whether
//! both hold the same before. So whatever is killed, and whenever, each row must be what its twin is.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, thread};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::process::{Dice, await_end, execute, number, open, poll, texts};

/// The column by the name that the application knows, and the file; set for its process alone.
const COLUMN: &str = "CHANGEOVER_TEST_COLUMN";
const FILE: &str = "CHANGEOVER_TEST_FILE";

/// The keys that applications write under.
const KEYS: u32 = 4000;

/// Makes the tables that applications write.
pub(crate) fn make_tables(db: &Path, journal: &str) {
    execute(
        db,
        &format!(
            "PRAGMA journal_mode = {journal};
             CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT NOT NULL, age INT DEFAULT 3);
             CREATE INDEX by_name ON people(name);
             CREATE TABLE twin(id INTEGER PRIMARY KEY, name TEXT NOT NULL);
             CREATE TABLE written(application TEXT PRIMARY KEY, times INT NOT NULL);
             INSERT INTO written VALUES ('name', 0), ('full_name', 0);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 2 FROM n WHERE i + 2 < {KEYS})
             INSERT INTO people(id, name) SELECT i, 'name ' || i FROM n;
             INSERT INTO twin SELECT id, name FROM people;"
        ),
    );
}

/// A process that writes until it is told to end, or its column is gone.
pub(crate) struct Application<'a> {
    db: &'a Path,
    column: &'static str,
    process: Child,
}

impl<'a> Application<'a> {
    /// Starts one that knows the column by that name, and waits until it writes.
    pub(crate) fn start(db: &'a Path, column: &'static str) -> Self {
        let application = Self {
            db,
            column,
            process: spawn(db, column),
        };
        application.await_writes();
        application
    }

    /// Waits until it has written a few times more.
    pub(crate) fn await_writes(&self) {
        let enough = written(self.db, self.column) + 3;
        poll("a write of the application", || {
            (written(self.db, self.column) >= enough).then_some(())
        });
    }

    /// Kills it in the middle of whatever it does, and starts another one.
    pub(crate) fn crash(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = spawn(self.db, self.column);
        self.await_writes();
    }

    /// Lets it end as it wants to, and expects that it saw nothing wrong.
    #[track_caller]
    pub(crate) fn end(self) {
        await_end(self.process, b"").done();
    }
}

/// How many times the applications that know the column by that name have written.
pub(crate) fn written(db: &Path, column: &str) -> i64 {
    number(
        db,
        &format!("SELECT times FROM written WHERE application = '{column}'"),
    )
}

fn spawn(db: &Path, column: &str) -> Child {
    let this = env::current_exe().unwrap();
    Command::new(this)
        .args(["--exact", "application::writes", "--ignored", "--nocapture"])
        .env(FILE, db)
        .env(COLUMN, column)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "what other tests start as a process"]
fn writes() {
    let (Some(db), Ok(column)) = (env::var_os(FILE), env::var(COLUMN)) else {
        return;
    };
    // Its stdin ends when it is to end, or when the test that started it is no more.
    thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        IS_OVER.store(true, Ordering::Relaxed);
    });
    let connection = open(Path::new(&db));
    let mut dice = Dice::new();
    while !IS_OVER.load(Ordering::Relaxed) {
        if let Err(error) = transact(&connection, &column, &mut dice) {
            assert!(is_superseded(&error), "{error}");
            break;
        }
        thread::sleep(Duration::from_micros(dice.roll(2000).into()));
    }
}

static IS_OVER: AtomicBool = AtomicBool::new(false);

/// Whether the application's column is not there any more: its time is over, and what it had begun is rolled back.
fn is_superseded(error: &rusqlite::Error) -> bool {
    let text = error.to_string();
    text.contains("no such column") || text.contains("has no column named")
}

/// Looks at a row and its twin, and does something to both.
fn transact(connection: &Connection, column: &str, dice: &mut Dice) -> rusqlite::Result<()> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    transaction.execute(
        "UPDATE written SET times = times + 1 WHERE application = ?1",
        [column],
    )?;
    let id = dice.roll(KEYS);
    let read = |table: &str, column: &str| {
        let sql = format!("SELECT {column} FROM {table} WHERE id = ?1");
        let mut statement = transaction.prepare(&sql)?;
        let row = statement.query_row([id], |row| row.get::<_, Option<String>>(0));
        row.optional()
    };
    assert_eq!(read("people", column)?, read("twin", "name")?, "row {id}");
    let action = dice.roll(5);
    let word = dice.roll(u32::MAX).to_string();
    for (table, column) in [("people", column), ("twin", "name")] {
        let other = KEYS + id;
        match action {
            0 => transaction.execute(&format!("DELETE FROM {table} WHERE id = ?1"), [id])?,
            1 => transaction.execute(
                &format!("UPDATE OR REPLACE {table} SET id = ?2 WHERE id = ?1"),
                [id, other],
            )?,
            2 => transaction.execute(
                &format!("INSERT OR REPLACE INTO {table}(id, {column}) VALUES (?1, ?2)"),
                params![id, word],
            )?,
            _ => transaction.execute(
                &format!("UPDATE {table} SET {column} = {column} || ?2 WHERE id = ?1"),
                params![id, word],
            )?,
        };
    }
    transaction.commit()
}

/// Expects each row to be what its twin is, and the file to be sound.
#[track_caller]
pub(crate) fn expect_twins(db: &Path, column: &str) {
    let unlike = format!(
        "SELECT count(*) FROM people FULL JOIN twin USING (id) WHERE people.{column} IS NOT twin.name"
    );
    assert_eq!(number(db, &unlike), 0, "rows unlike their twins");
    assert_eq!(texts(db, "PRAGMA integrity_check"), ["ok"]);
}
