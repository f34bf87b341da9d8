//! Processes that are killed, changeovers and applications alike, while the others go on.
//!
//! `CHANGEOVER_KILLS` says how many changeovers are killed, 10 where it is not set.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, thread};

use super::application::{Application, expect_twins, make_tables, written};
use super::process::{Dice, Folder, await_end, number, on, start, texts, words};

const EXPAND: &str = "expand people full_name --from name";
/// Its index is built beside the table.
const MIGRATE_DATA: &str = "migrate-data name full_name --batch-rows 20 --online always";
const CONTRACT: &str = "contract people name --quiet-for 0";
const ABORT: &str = "abort people";

/// How contract and abort rebuild the table.
const WAYS: [&str; 2] = ["--online never", "--online always --batch-rows 100"];

/// Somebody who kills changeovers at random moments.
struct Killer {
    dice: Dice,
    wanted: u32,
    kills: u32,
    /// The kills that came in the midst of a data migration.
    in_migrations: u32,
    /// Those in the midst of a contract or an abort.
    in_rebuilds: u32,
}

impl Killer {
    fn new() -> Self {
        let wanted = env::var("CHANGEOVER_KILLS").ok();
        Self {
            dice: Dice::new(),
            wanted: wanted.map_or(10, |wanted| wanted.parse().unwrap()),
            kills: 0,
            in_migrations: 0,
            in_rebuilds: 0,
        }
    }

    fn has_enough(&self) -> bool {
        self.kills >= self.wanted && self.in_rebuilds >= self.wanted / 3
    }

    /// The command, and where it rebuilds the table, any way to do that.
    fn in_any_way(&mut self, line: &str) -> String {
        match line {
            CONTRACT | ABORT => format!("{line} {}", self.dice.pick(&WAYS)),
            _ => line.to_owned(),
        }
    }

    /// Starts a command and kills it a moment later. Returns whether it was done before.
    #[track_caller]
    fn kill(&mut self, db: &Path, line: &str) -> bool {
        let mut child = start(on(db).args(self.in_any_way(line).split(' ')));
        // Most commands are short, and a data migration under traffic is long.
        let longest = [50_000, 200_000][self.dice.roll(2) as usize];
        thread::sleep(Duration::from_micros(self.dice.roll(longest).into()));
        child.kill().unwrap();
        let ran = await_end(child, b"");
        if ran.status.signal().is_none() {
            ran.done();
            return true;
        }
        self.kills += 1;
        self.in_migrations += u32::from(line == MIGRATE_DATA);
        self.in_rebuilds += u32::from([CONTRACT, ABORT].contains(&line));
        assert_eq!(texts(db, "PRAGMA integrity_check"), ["ok"], "{line}");
        false
    }

    /// Runs a command that is killed a few times; whether it was done before is not told.
    #[track_caller]
    fn kill_some_times(&mut self, db: &Path, line: &str) {
        for _ in 0..self.dice.roll(6) {
            if self.has_enough() || self.kill(db, line) {
                return;
            }
        }
    }

    /// The same, and at last it is done.
    #[track_caller]
    fn kill_until_done(&mut self, db: &Path, line: &str) {
        self.kill_some_times(db, line);
        words(db, &self.in_any_way(line)).done();
    }
}

/// The texts of the table and of all that hangs on it.
fn schema(db: &Path) -> Vec<String> {
    texts(
        db,
        "SELECT sql FROM sqlite_schema WHERE tbl_name = 'people' ORDER BY rowid",
    )
}

fn is_contracted(db: &Path) -> bool {
    texts(
        db,
        "SELECT state FROM _changeover_changes ORDER BY id DESC LIMIT 1",
    ) == ["contracted"]
}

/// Calls the change off, which takes the column of the new application away, and begins it anew up to another one.
fn begun_anew<'a>(
    killer: &mut Killer,
    db: &'a Path,
    before: &[String],
    old: &Application<'_>,
    new: Application<'_>,
) -> Application<'a> {
    killer.kill_until_done(db, ABORT);
    new.end();
    assert_eq!(schema(db), before);
    old.await_writes();
    killer.kill_until_done(db, EXPAND);
    killer.kill_until_done(db, MIGRATE_DATA);
    Application::start(db, "full_name")
}

/// A whole change with both applications at work, begun anew once or twice.
fn change(killer: &mut Killer, journal: &str) {
    let folder = Folder::new();
    let db = folder.join("app.db");
    make_tables(&db, journal);
    let before = schema(&db);
    let mut old = Application::start(&db, "name");
    killer.kill_until_done(&db, EXPAND);
    killer.kill_some_times(&db, MIGRATE_DATA);
    old.crash();
    if killer.dice.roll(2) == 0 {
        killer.kill_until_done(&db, ABORT);
        assert_eq!(schema(&db), before);
        killer.kill_until_done(&db, EXPAND);
    }
    killer.kill_until_done(&db, MIGRATE_DATA);
    let mut new = Application::start(&db, "full_name");
    old.crash();
    new.crash();
    if killer.dice.roll(2) == 0 {
        new = begun_anew(killer, &db, &before, &old, new);
    }
    old.await_writes();
    killer.kill_some_times(&db, CONTRACT);
    if killer.dice.roll(2) == 0 && !is_contracted(&db) {
        new = begun_anew(killer, &db, &before, &old, new);
    }
    killer.kill_until_done(&db, CONTRACT);
    new.await_writes();
    old.end();
    new.end();
    expect_twins(&db, "full_name");
    let after: Vec<String> = before
        .iter()
        .map(|sql| {
            sql.replace("(name", "(full_name")
                .replace("KEY, name", "KEY, full_name")
        })
        .collect();
    assert_eq!(schema(&db), after);
    words(&db, "forget").done();
    assert_eq!(
        number(
            &db,
            "SELECT count(*) FROM sqlite_schema WHERE name LIKE '\\_changeover%' ESCAPE '\\'"
        ),
        0
    );
    eprintln!(
        "{journal}: {} writes by old applications, {} by new ones",
        written(&db, "name"),
        written(&db, "full_name")
    );
}

#[test]
fn killed_at_random_moments_under_traffic_it_loses_nothing() {
    let begun = Instant::now();
    let mut killer = Killer::new();
    while !killer.has_enough() {
        change(&mut killer, "WAL");
        change(&mut killer, "DELETE");
    }
    eprintln!(
        "{} kills, {} of them in data migrations and {} in rebuilds, in {:?}",
        killer.kills,
        killer.in_migrations,
        killer.in_rebuilds,
        begun.elapsed()
    );
}
