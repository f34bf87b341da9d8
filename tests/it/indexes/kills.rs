//! Processes that are killed while they build indexes, and an application that goes on.
//!
//! `CHANGEOVER_KILLS` says how many are killed, 10 where it is not set.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;
use std::{env, thread};

use super::super::application::{Application, expect_twins, make_tables};
use super::super::process::{Dice, Folder, await_end, number, on, start, texts, words};

/// Kills a command some time after it has begun. Returns whether it was done before.
#[track_caller]
fn kill(db: &Path, dice: &mut Dice, line: &str) -> bool {
    let mut child = start(on(db).args(line.split(' ')));
    thread::sleep(Duration::from_micros(dice.roll(60_000).into()));
    child.kill().unwrap();
    let ran = await_end(child, b"");
    if ran.status.signal().is_none() {
        ran.done();
        return true;
    }
    // In the midst of it a table of ours may hold NULL in its key, as an index does.
    let check = "SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check NOT LIKE 'NULL value in %'";
    assert_eq!(texts(db, check), ["ok"]);
    false
}

const ADD: [&str; 3] = [
    "add-index people age --expr lower(name) --name i --online always --batch-rows 50",
    "add-index people name --collate name=NOCASE --desc name --name i --online always --batch-rows 50",
    "add-index people id name --unique --where id>100 --name i --online always --batch-rows 50",
];

#[test]
fn killed_at_random_moments_under_traffic_the_index_comes_out_right() {
    let wanted = env::var("CHANGEOVER_KILLS").map_or(10, |it| it.parse().unwrap());
    let (mut dice, mut kills) = (Dice::new(), 0);
    while kills < wanted {
        let folder = Folder::new();
        let db = folder.join("app.db");
        make_tables(&db, dice.pick(&["WAL", "DELETE"]));
        let mut application = Application::start(&db, "name");
        let line = dice.pick(&ADD);
        for _ in 0..4 {
            if kill(&db, &mut dice, line) {
                break;
            }
            kills += 1;
            if dice.one_in(4) {
                application.crash();
            }
            if dice.one_in(4) {
                // Nothing is there to be called off where it was killed before it began.
                let aborted = words(&db, "abort people");
                assert!([0, 3].contains(&aborted.code()), "{aborted:?}");
            }
        }
        words(&db, line).done();
        application.await_writes();
        application.end();
        words(&db, "verify --index i").done();
        expect_twins(&db, "name");
        let left = "SELECT count(*) FROM sqlite_schema WHERE name GLOB '_changeover_[0-9]*'";
        assert_eq!(number(&db, left), 0);
    }
    eprintln!("{kills} kills");
}
