//! An index that is built beside its table: what it costs beside CREATE INDEX, and what applications feel of it.

use std::ops::ControlFlow;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use changeover::event::Event;
use changeover::request::{AddIndex, Request, Term};
use changeover::{Changeover, Options};
use rusqlite::Connection;

use super::file::{Copy, LARGEST_LOG, by_hand_on, log_size, prepare};
use super::ours::{Conversation, Held};
use super::table::{Table, counted};
use super::traffic::{LONGEST_HOLD, compare, idle, written};
use super::writers::Ranked;
use super::{Outcome, Sizes};

/// How many times as long as CREATE INDEX it may take.
const TIMES: f64 = 3.0;

/// What no hold of the lock may exceed.
const LONGEST: Duration = Duration::from_millis(10);

/// The memory that it may take, in MiB: besides what a change takes there are the entries that are sorted.
const MOST: f64 = 96.0;

const MESSAGE: &str =
    r#"{"type": "add_index", "msg_id": 1, "table": "users", "columns": ["name", "mail"]}"#;

const BY_HAND: &str = "CREATE INDEX users_name_mail_index ON users(name, mail)";

/// The index alone in the file, and then in the midst of writers.
pub(super) fn index(sizes: &Sizes, folder: &Path, table: &mut Table) -> Outcome<()> {
    let prepared = Copy(folder.join("prepared.db"));
    prepare(&prepared.0, sizes.rows)?;
    alone(sizes, &prepared.0, table)?;
    under_traffic(sizes, &prepared.0, table)
}

fn alone(sizes: &Sizes, prepared: &Path, table: &mut Table) -> Outcome<()> {
    let head = format!("index on {} rows", counted(sizes.rows));
    let (mut pairs, mut memory) = (Vec::new(), 0.0_f64);
    for run in 0..sizes.runs {
        let ours = Copy::of(prepared)?;
        let mut node = Conversation::with_node(&ours.0)?;
        let (_, took) = node.ask(MESSAGE)?;
        memory = memory.max(node.peak().unwrap_or_default());
        drop(node);
        check(&ours.0)?;
        drop(ours);
        let theirs = Copy::of(prepared)?;
        let connection = by_hand_on(&theirs.0)?;
        let started = Instant::now();
        connection.execute_batch(BY_HAND)?;
        pairs.push((took, started.elapsed()));
        eprintln!("{head}: pair {} of {}", run + 1, sizes.runs);
    }
    table.times(format!("{head}, CREATE INDEX"), &pairs, Some(TIMES));
    table.size(format!("{head}, memory at most"), memory, None, Some(MOST));
    Ok(())
}

fn under_traffic(sizes: &Sizes, path: &Path, table: &mut Table) -> Outcome<()> {
    let head = format!("index on {} rows under traffic", counted(sizes.rows));
    eprintln!("{head}: nobody but the writers");
    // Whoever closes a file last takes its log away.
    let mut changeover = Changeover::open(path, Options::default())?;
    let (without, ()) = written(path, || {
        thread::sleep(idle(sizes));
        Ok(())
    })?;
    let log_without = log_size(path)?;
    // From here on the log is ours too.
    Connection::open(path)?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    eprintln!("{head}: and the index");
    let (with, (took, found)) = written(path, || {
        let started = Instant::now();
        let found = added(&mut changeover)?;
        Ok((started.elapsed(), found))
    })?;
    for (with, without) in with.iter().zip(&without) {
        let ranked = [with, without].map(|it| Ranked::of(&it.writes));
        let head = format!("{head}, {}", with.writer.what);
        compare(table, &head, &ranked, [&with.errors, &without.errors]);
    }
    let holds = found.holds;
    table.within(format!("{head}, locks held: p50"), holds.p50, None);
    let p99 = format!("{head}, locks held: p99");
    table.within(p99, holds.p99, Some(LONGEST_HOLD));
    let max = format!("{head}, locks held: max");
    table.within(max, holds.max, Some(LONGEST));
    let cutover = format!("{head}, cutover");
    table.within(cutover, found.cutover, Some(LONGEST));
    table.within(format!("{head}, all in all"), took, None);
    table.size(
        format!("{head}, log at most"),
        log_size(path)?,
        Some(log_without),
        Some(LARGEST_LOG),
    );
    drop(changeover);
    check(path)
}

fn added(changeover: &mut Changeover) -> Outcome<Held> {
    let request = Request::AddIndex(AddIndex {
        table: "users".into(),
        columns: vec![Term::Plain("name".into()), Term::Plain("mail".into())],
        name: None,
        unique: false,
        condition: None,
    });
    let (mut held, mut odd) = (Held::default(), None);
    changeover.apply(&request, &mut |event: &Event| {
        match event {
            Event::BackfillDone { holds } => held.holds = *holds,
            Event::CutOver { held: time } => held.cutover = *time,
            Event::IndexesAtOnce { why } => odd = Some(why.clone()),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    odd.map_or(Ok(held), |why| Err(why.into()))
}

/// Fails where SQLite finds fault with the index.
fn check(path: &Path) -> Outcome<()> {
    let connection = Connection::open(path)?;
    let found: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    let made: bool = connection
        .prepare("SELECT 1 FROM sqlite_schema WHERE sql = ?1")?
        .exists([BY_HAND])?;
    if found == "ok" && made {
        return Ok(());
    }
    Err(format!("the index is there: {made}; integrity_check: {found}").into())
}
