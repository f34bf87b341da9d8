//! What other programs notice of a whole change and its cutover: those that keep prepared statements, and those that read
//! all the while.
//!
//! Each is an application that keeps one connection and does what it is asked to. One is written in Rust, one in Python
//! and one in Node, the last two being processes: of `node:sqlite`, or of better-sqlite3 where `NODE_PATH` leads to it.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use changeover::changeover::Rebuilds;
use changeover::event::{Event, Observer, Obstacle};
use changeover::{Changeover, Options, Phase, Result, unobserved};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Rows, params_from_iter};
use serde_json::{Value, json};

use super::process::{Conversation, number, open, skipped, texts};
use super::support::{File, change};

/// What an application is written in.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Rust,
    Python,
    Node,
}

/// An application, from the outside.
enum Application {
    Thread(Sender<String>, Receiver<String>),
    Process(Conversation),
}

impl Application {
    /// Starts one on a file; nothing, and a word about it, where this machine has not what it needs.
    fn start(kind: Kind, db: &Path) -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/neighbours");
        let mut command = match kind {
            Kind::Rust => return Some(Self::thread(db)),
            Kind::Python => Command::new("python3"),
            Kind::Node => Command::new("node"),
        };
        match kind {
            Kind::Node => command.args(["--no-warnings".into(), folder.join("application.js")]),
            _ => command.arg(folder.join("application.py")),
        };
        // Without input it ends as soon as it has said which driver it has.
        let trial = command.arg(db).stdin(Stdio::null()).output();
        let why = match trial {
            Ok(output) if output.status.success() => {
                let mut process = Conversation::start(&mut command);
                println!("{kind:?}: {}", process.hear());
                return Some(Self::Process(process));
            }
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        skipped(&format!("{kind:?}: {}", why.trim_end()));
        None
    }

    fn thread(db: &Path) -> Self {
        let (asks, asked) = mpsc::channel();
        let (answers, answered) = mpsc::channel();
        let connection = open(db);
        thread::spawn(move || serve(&connection, None, &asked, &answers));
        Self::Thread(asks, answered)
    }

    /// The rows of an answer, each of them the names and values of its columns; or what the driver said was wrong.
    fn ask(&mut self, what: &Value) -> std::result::Result<Value, String> {
        let answer = match self {
            Self::Thread(asks, answers) => {
                asks.send(what.to_string()).unwrap();
                answers.recv().unwrap()
            }
            Self::Process(process) => process.ask(&what.to_string()),
        };
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["rows"].take()),
        }
    }

    /// Runs a statement that is prepared when it is first asked for, and kept from then on.
    fn run(&mut self, sql: &str, values: &[i64]) -> std::result::Result<Value, String> {
        self.ask(&json!(["run", sql, values]))
    }

    /// Begins to read, and comes so far.
    fn read(&mut self, sql: &str, rows: usize) -> Vec<Value> {
        let rows = self.ask(&json!(["read", sql, rows])).unwrap();
        rows.as_array().unwrap().clone()
    }

    /// Reads to the end.
    fn read_on(&mut self) -> Vec<Value> {
        let rows = self.ask(&json!(["read on"])).unwrap();
        rows.as_array().unwrap().clone()
    }
}

/// The application in Rust: answers while there is somebody to ask, and while it reads until it has read to the end.
fn serve(
    connection: &Connection,
    mut reading: Option<Rows<'_>>,
    asked: &Receiver<String>,
    answers: &Sender<String>,
) {
    while let Ok(ask) = asked.recv() {
        let ask: Value = serde_json::from_str(&ask).unwrap();
        let sql = ask[1].as_str().unwrap_or_default();
        let rows = match ask[0].as_str().unwrap() {
            "run" => connection.prepare_cached(sql).and_then(|mut statement| {
                let values = ask[2].as_array().unwrap().iter().map(Value::as_i64);
                collect(&mut statement.query(params_from_iter(values))?, u64::MAX)
            }),
            "read" => {
                let mut statement = connection.prepare(sql).unwrap();
                let mut rows = statement.query([]).unwrap();
                let first = collect(&mut rows, ask[2].as_u64().unwrap()).unwrap();
                answers.send(json!({ "rows": first }).to_string()).unwrap();
                serve(connection, Some(rows), asked, answers);
                continue;
            }
            _ => collect(reading.as_mut().unwrap(), u64::MAX),
        };
        let answer = match rows {
            Ok(rows) => json!({ "rows": rows }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        answers.send(answer.to_string()).unwrap();
        if ask[0] == "read on" {
            return;
        }
    }
}

fn collect(rows: &mut Rows<'_>, most: u64) -> rusqlite::Result<Vec<Value>> {
    let mut all = Vec::new();
    while (all.len() as u64) < most
        && let Some(row) = rows.next()?
    {
        let names = row.as_ref().column_names();
        let values = names.enumerate().map(|(at, name)| {
            Ok(match row.get_ref(at)? {
                ValueRef::Null => json!([name, null]),
                ValueRef::Integer(number) => json!([name, number]),
                other => json!([name, other.as_str()?]),
            })
        });
        all.push(values.collect::<rusqlite::Result<Value>>()?);
    }
    Ok(all)
}

const ROWS: i64 = 2000;

/// People, and a view that old applications read them by.
fn people(journal: &str) -> File {
    File::of(&format!(
        "PRAGMA journal_mode = {journal};
         CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT NOT NULL, age INT NOT NULL DEFAULT 0);
         CREATE VIEW known AS SELECT id, name FROM people;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})
         INSERT INTO people(id, name) SELECT i, 'name ' || i FROM n"
    ))
}

/// Does a phase in small batches; contract is done online.
fn apply(file: &File, phase: Phase, observer: &mut Observer<'_>) -> Result<()> {
    apply_to(&file.path(), phase, observer)
}

fn apply_to(db: &Path, phase: Phase, observer: &mut Observer<'_>) -> Result<()> {
    let options = Options {
        batch_rows: 150,
        rebuilds: Rebuilds::Online,
        ..Options::default()
    };
    let request = change("people", "name", "full_name").request(phase);
    Changeover::open(db, options)?
        .apply(&request, observer)
        .map(drop)
}

fn migrated(file: &File) {
    for phase in [Phase::Expand, Phase::MigrateData] {
        apply(file, phase, &mut unobserved).unwrap();
    }
}

#[track_caller]
fn sound(file: &File) {
    assert_eq!(texts(&file.path(), "PRAGMA integrity_check"), ["ok"]);
}

// Prepared statements.

/// An application that is called now and then, and the columns that are to be had by then.
struct Neighbour {
    application: Application,
    calls: i64,
    has: &'static [&'static str],
    lacks: &'static [&'static str],
}

impl Neighbour {
    /// Statements that name no column of the change do what they always did, whatever the moment; those that name one do
    /// too while there is such a column, and fail with a word of what is missing while there is none.
    #[track_caller]
    fn call(&mut self) {
        self.calls += 1;
        let id = self.calls;
        let name = format!("name {id}");
        let mut run = |sql: &str, values: &[i64]| self.application.run(sql, values);
        let sum = run("SELECT sum(age) AS age FROM people", &[]);
        assert_eq!(sum, Ok(json!([[["age", id - 1]]])));
        let older = run("UPDATE people SET age = age + 1 WHERE id = ?", &[id]);
        assert_eq!(older, Ok(json!([])));
        let age = run("SELECT age FROM people WHERE id = ?", &[id]);
        assert_eq!(age, Ok(json!([[["age", 1]]])));
        let known = run("SELECT name FROM known WHERE id = ?", &[id]);
        assert_eq!(known, Ok(json!([[["name", name]]])));
        run("DELETE FROM people WHERE id = ?", &[ROWS - id]).unwrap();
        let all = run("SELECT * FROM people WHERE id = ?", &[id]).unwrap();
        let shown: Vec<&Value> = all[0].as_array().unwrap().iter().map(|it| &it[0]).collect();
        assert!(self.has.iter().all(|it| shown.contains(&&json!(it))));
        assert!(!self.lacks.iter().any(|it| shown.contains(&&json!(it))));
        let naming = |column: &str| {
            [
                format!("SELECT {column} FROM people WHERE id = ?"),
                format!("UPDATE people SET {column} = {column} || '' WHERE id = ?"),
                format!("INSERT INTO people({column}) VALUES ('came as ' || ?)"),
            ]
        };
        for sql in self.has.iter().flat_map(|it| naming(it)) {
            run(&sql, &[id]).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        for column in self.lacks {
            for sql in naming(column) {
                let error = run(&sql, &[id]).expect_err(&sql);
                let is_told = error.contains(&format!("no such column: {column}"))
                    || error.contains(&format!("has no column named {column}"));
                assert!(is_told, "{sql}: {error}");
            }
        }
    }
}

fn is_between_transactions(event: &Event) -> bool {
    !matches!(event, Event::StepDone { .. } | Event::Waiting { .. })
}

/// The statements are used before and behind whatever is committed in the whole of a change.
fn statements_live_through_a_change(kind: Kind) {
    for journal in ["WAL", "DELETE"] {
        let file = people(journal);
        let Some(application) = Application::start(kind, &file.path()) else {
            return;
        };
        let mut neighbour = Neighbour {
            application,
            calls: 0,
            has: &["name"],
            lacks: &["full_name"],
        };
        neighbour.call();
        neighbour.lacks = &[];
        for phase in [Phase::Expand, Phase::MigrateData] {
            apply(&file, phase, &mut |event| {
                if is_between_transactions(event) {
                    neighbour.call();
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        }
        neighbour.has = &["name", "full_name"];
        let (mut before, mut behind) = (0, 0);
        apply(&file, Phase::Contract, &mut |event| {
            if let Event::CutOver { .. } = event {
                (neighbour.has, neighbour.lacks) = (&["full_name"], &["name"]);
            }
            if !is_between_transactions(event) {
                return ControlFlow::Continue(());
            }
            neighbour.call();
            before += i32::from(neighbour.lacks.is_empty());
            behind += i32::from(!neighbour.lacks.is_empty());
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(before > 10 && behind > 10, "{before} {behind}");
        neighbour.call();
        sound(&file);
    }
}

#[test]
fn prepared_statements_of_rusqlite_live_through_a_change() {
    statements_live_through_a_change(Kind::Rust);
}

#[test]
fn cached_statements_of_python_live_through_a_change() {
    statements_live_through_a_change(Kind::Python);
}

#[test]
fn prepared_statements_of_node_live_through_a_change() {
    statements_live_through_a_change(Kind::Node);
}

// Readers.

/// The names that were read, which are all that there were at first.
#[track_caller]
fn expect_all(rows: &[Value]) {
    let names = (1..=ROWS).map(|id| json!([["id", id], ["name", format!("name {id}")]]));
    assert!(rows.iter().eq(&names.collect::<Vec<_>>()));
}

const READ: &str = "SELECT id, name FROM people ORDER BY id";

/// An application is halfway through the rows when the table is exchanged, and comes to the end when it is long gone.
fn cursor_outlives_the_cutover(kind: Kind) {
    let file = people("WAL");
    let Some(mut reader) = Application::start(kind, &file.path()) else {
        return;
    };
    migrated(&file);
    let mut rows = Vec::new();
    apply(&file, Phase::Contract, &mut |event| {
        // The rows are copied, and the cutover follows.
        if let Event::BackfillDone { .. } = event
            && rows.is_empty()
        {
            rows = reader.read(READ, 1000);
            file.execute("UPDATE people SET name = 'another'");
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(rows.len(), 1000);
    rows.extend(reader.read_on());
    expect_all(&rows);
    let now = reader.run("SELECT DISTINCT full_name FROM people", &[]);
    assert_eq!(now, Ok(json!([[["full_name", "another"]]])));
    sound(&file);
}

#[test]
fn cursor_of_rusqlite_outlives_the_cutover() {
    cursor_outlives_the_cutover(Kind::Rust);
}

#[test]
fn cursor_of_python_outlives_the_cutover() {
    cursor_outlives_the_cutover(Kind::Python);
}

#[test]
fn cursor_of_node_outlives_the_cutover() {
    cursor_outlives_the_cutover(Kind::Node);
}

/// Without a write-ahead log nothing is committed while somebody reads; it is when he has done.
#[test]
fn cursor_in_a_file_with_a_rollback_journal_delays_the_cutover() {
    let while_reading = Duration::from_millis(300);
    for kind in [Kind::Rust, Kind::Python, Kind::Node] {
        let file = people("DELETE");
        let Some(reader) = Application::start(kind, &file.path()) else {
            continue;
        };
        migrated(&file);
        let mut waiting = Some(reader);
        let mut reading = None;
        apply(&file, Phase::Contract, &mut |event| {
            match event {
                // The rows are copied, and the cutover follows.
                Event::BackfillDone { .. } if reading.is_none() => {
                    let mut reader = waiting.take().unwrap();
                    let mut rows = reader.read(READ, 1000);
                    reading = Some(thread::spawn(move || {
                        thread::sleep(while_reading);
                        rows.extend(reader.read_on());
                        rows
                    }));
                }
                Event::CutOver { held } => assert!(*held >= while_reading, "{held:?}"),
                _ => {}
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        expect_all(&reading.unwrap().join().unwrap());
        sound(&file);
    }
}

/// A transaction that reads from before the contract until it is done is in nobody's way, and nobody in its.
#[test]
fn read_transaction_outlives_a_whole_contract() {
    for kind in [Kind::Rust, Kind::Python, Kind::Node] {
        let file = people("WAL");
        let Some(mut reader) = Application::start(kind, &file.path()) else {
            continue;
        };
        migrated(&file);
        reader.run("BEGIN", &[]).unwrap();
        let sees = |reader: &mut Application| {
            expect_all(&[reader.read(READ, 1), reader.read_on()].concat());
        };
        sees(&mut reader);
        let mut writes = 0;
        apply(&file, Phase::Contract, &mut |event| {
            assert!(!matches!(event, Event::Waiting { .. }), "{event:?}");
            if is_between_transactions(event) {
                file.execute("UPDATE people SET age = age + 1 WHERE id = 1");
                writes += 1;
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        sees(&mut reader);
        reader.run("COMMIT", &[]).unwrap();
        let gone = reader.run("SELECT name FROM people", &[]).unwrap_err();
        assert!(gone.contains("no such column: name"), "{gone}");
        let age = reader.run("SELECT age FROM people WHERE id = 1", &[]);
        assert_eq!(age, Ok(json!([[["age", writes]]])));
        sound(&file);
    }
}

/// Where the table is larger than the log may grow the contract waits for whoever keeps the log from being begun anew, tells
/// so, and goes on when he has done. Writers do not wait.
#[test]
fn contract_waits_for_a_reader_rather_than_let_the_log_grow() {
    let file = people("WAL");
    file.execute("UPDATE people SET name = name || hex(zeroblob(10000))");
    let Some(mut reader) = Application::start(Kind::Python, &file.path()) else {
        return;
    };
    migrated(&file);
    reader.run("BEGIN", &[]).unwrap();
    let look = "SELECT count(*) AS n, min(length(name)) > 20000 AS are_long FROM people";
    let old = Ok(json!([[["n", ROWS], ["are_long", 1]]]));
    assert_eq!(reader.run(look, &[]), old);
    let (mut waits, mut longest) = (0, 0);
    apply(&file, Phase::Contract, &mut |event| {
        longest = longest.max(log_size(&file));
        if let Event::Waiting { on, .. } = event {
            assert_eq!(*on, Obstacle::FullLog);
            waits += 1;
            file.execute("UPDATE people SET age = age + 1 WHERE id = 1");
            assert_eq!(reader.run(look, &[]), old);
            if waits == 3 {
                reader.run("COMMIT", &[]).unwrap();
            }
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(waits >= 3, "{waits}");
    assert!(longest < 32 << 20, "{longest}");
    let age = "SELECT age FROM people WHERE id = 1";
    assert_eq!(number(&file.path(), age), waits);
    let long = "SELECT count(*) FROM people WHERE length(full_name) > 20000";
    assert_eq!(number(&file.path(), long), ROWS);
    sound(&file);
}

fn log_size(file: &File) -> u64 {
    let mut log = file.path().into_os_string();
    log.push("-wal");
    std::fs::metadata(log).map_or(0, |it| it.len())
}

/// However much is written while the copy is compared with the table, that comes to an end: what is written by then is looked
/// up, not searched for row by row.
#[test]
fn rows_written_behind_the_copy_do_not_hold_up_the_look_at_it() {
    let file = people("WAL");
    let rows = 10_000_u64;
    file.execute(&format!(
        "WITH RECURSIVE n(i) AS (SELECT {ROWS} + 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO people(id, name) SELECT i, 'name ' || i FROM n"
    ));
    migrated(&file);
    let (mut written, mut took) = (None, None);
    let options = Options {
        rebuilds: Rebuilds::Online,
        ..Options::default()
    };
    let request = change("people", "name", "full_name").request(Phase::Contract);
    let mut changeover = Changeover::open(&file.path(), options).unwrap();
    let outcome = changeover.apply(&request, &mut |event| {
        match event {
            Event::BatchDone { passed, rows } if passed == rows && written.is_none() => {
                file.execute("UPDATE people SET name = name || '!'");
                written = Some(Instant::now());
            }
            Event::Looked { rows: looked } if *looked == rows && took.is_none() => {
                took = written.map(|it| it.elapsed());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    outcome.unwrap();
    let took = took.unwrap();
    assert!(took < Duration::from_secs(1), "{took:?}");
    let all = "SELECT count(*) FROM people WHERE full_name LIKE '%!'";
    assert_eq!(number(&file.path(), all), rows.cast_signed());
    sound(&file);
}
