//! Turns with the write lock, between other connections that read and write.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use changeover::database::{Database, ForeignKeys, Turns};
use changeover::event::{Event, Obstacle};
use changeover::request::{MigrateData, Request};
use changeover::{Changeover, Error, Options, Result, unobserved};

use super::process::open;
use super::support::{File, change};

const MIB: u64 = 1024 * 1024;

/// A table for the turns, and one for everybody else.
const TABLES: &str = "CREATE TABLE ours (content); CREATE TABLE theirs (content);";

fn file(journal: &str) -> File {
    File::of(&format!("PRAGMA journal_mode = {journal}; {TABLES}"))
}

fn database(file: &File, busy_timeout: Duration) -> Database {
    Database::open(&file.path(), busy_timeout).unwrap()
}

/// A turn that writes so much.
fn write(turns: &mut Turns<'_>, kib: u32) -> Result<Option<()>> {
    write_and_tell(turns, kib, &mut unobserved)
}

fn write_and_tell(
    turns: &mut Turns<'_>,
    kib: u32,
    observer: &mut changeover::event::Observer<'_>,
) -> Result<Option<()>> {
    turns.rows(0)?;
    turns.take(ForeignKeys::On, observer, |connection| {
        let sql = "INSERT INTO ours VALUES (zeroblob(?1 * 1024))";
        connection.execute(sql, [kib])?;
        Ok(Some(()))
    })
}

fn rows(file: &File, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    let connection = open(&file.path());
    connection.query_row(&sql, [], |row| row.get(0)).unwrap()
}

fn log_size(file: &File) -> u64 {
    let mut log = file.path().into_os_string();
    log.push("-wal");
    std::fs::metadata(Path::new(&log)).unwrap().len()
}

#[track_caller]
fn sound(file: &File) {
    let check = "PRAGMA integrity_check";
    let found: String = open(&file.path())
        .query_row(check, [], |row| row.get(0))
        .unwrap();
    assert_eq!(found, "ok");
}

/// Does something while others do what `other` does, each again and again on a connection of its own.
fn beside<T>(file: &File, others: &[fn(&Connection)], work: impl FnOnce() -> T) -> T {
    struct End<'a>(&'a AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // The others end even where the work panics.
        let _end = End(&is_over);
        for other in others {
            let connection = open(&file.path());
            connection
                .pragma_update(None, "synchronous", "OFF")
                .unwrap();
            let is_over = &is_over;
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    other(&connection);
                }
            });
        }
        work()
    })
}

fn insert(connection: &Connection) {
    connection
        .execute("INSERT INTO theirs VALUES (zeroblob(5000))", [])
        .unwrap();
    thread::sleep(Duration::from_millis(1));
}

/// Reads in a snapshot that lasts for a moment.
fn read(connection: &Connection) {
    connection
        .execute_batch("BEGIN; SELECT count(*) FROM theirs")
        .unwrap();
    thread::sleep(Duration::from_millis(3));
    connection.execute_batch("COMMIT").unwrap();
}

#[test]
fn turns_that_bring_nothing_or_fail_leave_nothing() {
    for journal in ["WAL", "DELETE"] {
        let file = file(journal);
        let database = database(&file, Duration::ZERO);
        let mut turns = Turns::new(&database, 1024, 10).unwrap();
        let insert =
            |connection: &Connection| connection.execute_batch("INSERT INTO ours VALUES (1)");
        let stale = turns.take(ForeignKeys::On, &mut unobserved, |connection| {
            insert(connection)?;
            Ok(None::<()>)
        });
        assert!(stale.unwrap().is_none());
        let failed = turns.take(ForeignKeys::On, &mut unobserved, |connection| {
            insert(connection)?;
            Err::<Option<()>, _>(Error::Stopped)
        });
        assert!(matches!(failed, Err(Error::Stopped)));
        assert_eq!(rows(&file, "ours"), 0);
        write(&mut turns, 1).unwrap();
        assert_eq!((rows(&file, "ours"), turns.holds().turns), (1, 3));
    }
}

#[test]
fn lock_that_stays_taken_is_busy_once_the_timeout_is_over() {
    for journal in ["WAL", "DELETE"] {
        let file = file(journal);
        let timeout = Duration::from_millis(50);
        let database = database(&file, timeout);
        let mut turns = Turns::new(&database, 1024, 10).unwrap();
        let other = file.application();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let started = Instant::now();
        assert!(matches!(write(&mut turns, 1), Err(Error::Busy)));
        assert!(started.elapsed() >= timeout);
        assert!(turns.holds().waited >= timeout);
        other.execute_batch("COMMIT").unwrap();
        write(&mut turns, 1).unwrap();
        assert_eq!(rows(&file, "ours"), 1);
    }
}

#[test]
fn lock_that_is_given_back_in_time_is_taken_and_a_long_wait_is_told() {
    let file = file("WAL");
    let database = database(&file, Duration::from_mins(1));
    let mut turns = Turns::new(&database, 1024, 10).unwrap();
    let other = file.application();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut told = Vec::new();
    write_and_tell(&mut turns, 1, &mut |event| {
        other.execute_batch("COMMIT").unwrap();
        told.push(event.clone());
        ControlFlow::Continue(())
    })
    .unwrap();
    let [
        Event::Waiting {
            on: Obstacle::Lock,
            so_far,
        },
    ] = told[..]
    else {
        panic!("{told:?}");
    };
    assert!(so_far >= Duration::from_millis(100));
    assert_eq!(rows(&file, "ours"), 1);
}

#[test]
fn wait_for_the_lock_can_be_stopped() {
    let file = file("WAL");
    let database = database(&file, Duration::from_mins(1));
    let mut turns = Turns::new(&database, 1024, 10).unwrap();
    let other = file.application();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let stopped = write_and_tell(&mut turns, 1, &mut |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(Error::Stopped)));
}

#[test]
fn log_stays_short_between_writers_and_a_reader() {
    let file = file("WAL");
    let database = database(&file, Duration::from_mins(1));
    let mut turns = Turns::new(&database, 1024, 10).unwrap();
    beside(&file, &[insert, insert, read], || {
        for _ in 0..200 {
            write(&mut turns, 256).unwrap();
        }
    });
    assert_eq!(rows(&file, "ours"), 200);
    let size = log_size(&file);
    assert!(size < 32 * MIB, "{size}");
    drop(turns);
    sound(&file);
}

#[test]
fn reader_who_stays_stops_the_log_from_growing_and_is_told_of() {
    let file = file("WAL");
    let database = database(&file, Duration::from_secs(5));
    let mut turns = Turns::new(&database, 1024, 10).unwrap();
    let reader = file.application();
    let look = "SELECT count(*) FROM ours";
    let sees = || {
        reader
            .query_row(look, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    // A snapshot of a log that somebody has written to already.
    write(&mut turns, 1024).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(sees(), 1);
    let mut stop = |event: &Event| {
        assert!(matches!(
            event,
            Event::Waiting {
                on: Obstacle::FullLog,
                ..
            }
        ));
        ControlFlow::Break(())
    };
    let stopped = (0..100).find_map(|_| write_and_tell(&mut turns, 1024, &mut stop).err());
    assert!(matches!(stopped, Some(Error::Stopped)), "{stopped:?}");
    assert!(log_size(&file) < 32 * MIB);
    assert_eq!(sees(), 1);
    reader.execute_batch("COMMIT").unwrap();
    for _ in 0..50 {
        write(&mut turns, 1024).unwrap();
    }
    assert!(log_size(&file) < 32 * MIB);
}

#[test]
fn full_log_is_waited_for_until_the_reader_ends() {
    let file = file("WAL");
    let database = database(&file, Duration::ZERO);
    let mut turns = Turns::new(&database, 1024, 10).unwrap();
    let reader = file.application();
    write(&mut turns, 1024).unwrap();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM ours")
        .unwrap();
    let mut waits = 0;
    for _ in 0..50 {
        write_and_tell(&mut turns, 1024, &mut |_| {
            waits += 1;
            reader.execute_batch("COMMIT").unwrap();
            ControlFlow::Continue(())
        })
        .unwrap();
    }
    assert_eq!((waits, rows(&file, "ours")), (1, 51));
    assert!(log_size(&file) < 32 * MIB);
}

#[test]
fn log_is_left_to_the_connection_again_afterwards() {
    let file = file("WAL");
    let database = database(&file, Duration::ZERO);
    let moved_at = || {
        let connection = database.connection();
        connection.pragma_query_value(None, "wal_autocheckpoint", |row| row.get::<_, i64>(0))
    };
    let before = moved_at().unwrap();
    let turns = Turns::new(&database, 1024, 10).unwrap();
    assert_eq!(moved_at().unwrap(), 0);
    drop(turns);
    assert_eq!(moved_at().unwrap(), before);
    assert_ne!(before, 0);
}

/// Who comes while we have taken ourselves to be alone gets the lock, though nobody sees him wait.
#[test]
fn newcomer_gets_his_turn() {
    for journal in ["WAL", "DELETE"] {
        let file = file(journal);
        let database = database(&file, Duration::from_mins(1));
        let mut turns = Turns::new(&database, 1024, 1_000_000).unwrap();
        let (came, comes) = mpsc::channel();
        let path = file.path();
        let mut newcomer = None;
        let started = Instant::now();
        let work = |turns: &mut Turns<'_>| {
            turns.rows(0)?;
            turns.take(ForeignKeys::On, &mut unobserved, |connection| {
                let held = Instant::now();
                while held.elapsed() < Duration::from_millis(10) {
                    connection.execute("INSERT INTO ours VALUES (1)", [])?;
                }
                Ok(Some(()))
            })
        };
        loop {
            work(&mut turns).unwrap();
            if newcomer.is_none() && started.elapsed() > Duration::from_millis(500) {
                let (path, came) = (path.clone(), came.clone());
                newcomer = Some(thread::spawn(move || {
                    let connection = Connection::open(path).unwrap();
                    connection.busy_timeout(Duration::from_secs(5)).unwrap();
                    let outcome = connection.execute("INSERT INTO theirs VALUES (1)", []);
                    came.send(outcome).unwrap();
                }));
            }
            if let Ok(outcome) = comes.try_recv() {
                assert_eq!(outcome, Ok(1), "{journal}");
                break;
            }
        }
    }
}

// The backfill takes turns.

/// What a data migration tells while the application does something behind each of its batches.
fn told(file: &File, batch_rows: u32, mut application: impl FnMut(usize)) -> Vec<Event> {
    let options = Options {
        batch_rows,
        ..Options::default()
    };
    let mut changeover = Changeover::open(&file.path(), options).unwrap();
    let request = Request::MigrateData(MigrateData {
        from: "old".into(),
        to: "new".into(),
        table: Some("t".into()),
        winner: None,
        up: None,
        down: None,
        write_both: true,
        expand: false,
    });
    let mut events = Vec::new();
    let mut batches = 0;
    let outcome = changeover.apply(&request, &mut |event| {
        if let Event::BatchDone { .. } = event {
            batches += 1;
            application(batches);
        }
        events.push(event.clone());
        ControlFlow::Continue(())
    });
    outcome.unwrap();
    events
}

fn filled(table: &str, rows: u32) -> File {
    let file = File::of(&format!(
        "{table}; INSERT INTO t WITH RECURSIVE count(number) AS \
         (SELECT 1 UNION ALL SELECT number + 1 FROM count WHERE number < {rows}) \
         SELECT number, 'value ' || number FROM count"
    ));
    change("t", "old", "new").expand(&file).unwrap();
    file
}

#[test]
fn rows_are_counted_and_holds_are_told_whatever_the_key() {
    for table in [
        "PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, old)",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, old)",
        "CREATE TABLE t (id, old)",
        "CREATE TABLE t (id, old, PRIMARY KEY (old, id DESC)) WITHOUT ROWID",
    ] {
        let file = filled(table, 25_000);
        let events = told(&file, 10_000, |_| ());
        assert!(
            events.contains(&Event::BackfillStarted { rows: 25_000 }),
            "{table}: {events:?}"
        );
        let holds = events.iter().find_map(|event| match event {
            Event::BackfillDone { holds } => Some(holds),
            _ => None,
        });
        let holds = holds.unwrap();
        assert!(holds.turns >= 3 && holds.p50 <= holds.p99 && holds.p99 <= holds.max);
        assert!(!holds.max.is_zero());
    }
}

/// Until the copy is through the new column follows the old one, which would undo what is written into the new one alone.
#[test]
fn value_for_the_new_column_alone_is_refused_until_the_copy_is_through() {
    let file = filled("CREATE TABLE t (id INTEGER PRIMARY KEY, old)", 10);
    let application = open(&file.path());
    told(&file, 4, |batch| {
        if batch != 1 {
            return;
        }
        for refused in [
            "UPDATE t SET new = 'lost' WHERE id = 1",
            "UPDATE OR IGNORE t SET new = 'lost' WHERE id = 10",
            "INSERT INTO t(id, new) VALUES (11, 'lost')",
            "INSERT OR REPLACE INTO t(id, new) VALUES (2, 'lost')",
        ] {
            let error = application.execute_batch(refused).unwrap_err().to_string();
            assert!(error.contains("write `old`"), "{refused}: {error}");
        }
        // As an old application does that writes back all columns that it has read a while ago.
        application
            .execute_batch(
                "UPDATE t SET old = 'kept', new = NULL WHERE id = 3;
                 UPDATE t SET old = 'kept', new = 'value 4' WHERE id = 4;
                 UPDATE t SET old = 'value 5', new = NULL WHERE id = 5;
                 INSERT OR REPLACE INTO t VALUES (6, 'kept', 'value 6')",
            )
            .unwrap();
    });
    let query = "SELECT group_concat(new) FROM t WHERE old IS new AND id BETWEEN 2 AND 6";
    let values: String = application.query_row(query, [], |row| row.get(0)).unwrap();
    assert_eq!(values, "value 2,kept,kept,value 5,kept");
    assert_eq!(rows(&file, "t"), 10);
}

#[test]
fn first_turns_are_short_however_large_the_rows_are() {
    let file = File::of(
        "PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, old, more);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
         INSERT INTO t SELECT i, 'value ' || i, zeroblob(100000) FROM n",
    );
    change("t", "old", "new").expand(&file).unwrap();
    let mut longest = 0;
    told(&file, 10_000, |_| longest = longest.max(log_size(&file)));
    assert!(longest <= 32 << 20, "{longest}");
    sound(&file);
}

#[test]
fn schema_that_changes_between_two_batches_is_seen() {
    let file = filled("CREATE TABLE t (id INTEGER PRIMARY KEY, old)", 10);
    let application = open(&file.path());
    let events = told(&file, 4, |batch| {
        if batch == 2 {
            application
                .execute_batch("CREATE TABLE another (id)")
                .unwrap();
        }
    });
    let starts = |event: &&Event| matches!(event, Event::BackfillStarted { .. });
    assert_eq!(events.iter().filter(starts).count(), 2);
}

#[test]
fn phase_of_another_change_between_two_batches_is_seen() {
    let file = filled(
        "CREATE TABLE other (a); CREATE TABLE t (id INTEGER PRIMARY KEY, old)",
        10,
    );
    let other = change("other", "a", "b");
    other.expand(&file).unwrap();
    let events = told(&file, 4, |batch| {
        if batch == 2 {
            other.migrate_data(&file).unwrap();
        }
    });
    let starts = |event: &&Event| matches!(event, Event::BackfillStarted { .. });
    assert_eq!(events.iter().filter(starts).count(), 2);
}
