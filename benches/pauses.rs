//! How long applications are kept waiting by a whole change, from the first phase to the last, and by other ways to the
//! same table.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::file::{Copy, LARGEST_LOG, log_size, prepare_wide};
use super::kept::{Expected, lost};
use super::ours::{Conversation, Held, told};
use super::peers::{PATIENCE, PEERS, Peer};
use super::plot::{self, Panel};
use super::table::{MOST, Table, counted};
use super::traffic::{LONGEST_HOLD, compare, idle};
use super::writers::{NEITHER, NEW_APPLICATION, OLD_APPLICATION, Write, Written, now};
use super::{Outcome, Sizes};

/// How long all three phases may take.
const LONGEST: Duration = Duration::from_mins(1);

/// How many times as long as ours the longest wait with another way should be.
const TIMES: u32 = 20;

/// How long old and new applications run beside each other before the last phase.
const ROLL_OUT: Duration = Duration::from_secs(2);

/// For how long behind the last phase a wait is still its doing, in microseconds: whoever writes next moves the log that
/// it has left.
const AFTERMATH: u64 = 1_000_000;

/// How often somebody looks how large the log is.
const LOOK: Duration = Duration::from_millis(5);

/// How long the rebuilt table may take to come into the place of the live one.
const LONGEST_CUTOVER: Duration = Duration::from_millis(10);

const PHASES: [&str; 3] = ["expand", "migrate data", "contract"];

/// What a change of the table came to.
struct Run {
    written: Vec<Written>,
    /// When each part of it was.
    phases: Vec<(&'static str, Range<u64>)>,
    /// The largest that the log was, in MiB.
    log: f64,
    /// How many rows do not hold what was written last.
    lost: usize,
}

/// What only ours tells.
struct Told {
    held: Vec<Held>,
    /// In MiB; not everywhere available.
    memory: Option<f64>,
}

/// Ours with two applications and a third writer on the file, and the peers with the third alone.
pub(super) fn pauses(sizes: &Sizes, folder: &Path, table: &mut Table) -> Outcome<()> {
    let prepared = Copy(folder.join("prepared.db"));
    prepare_wide(&prepared.0, sizes.rows)?;
    let size = std::fs::metadata(&prepared.0)?.len() >> 20;
    let rows = format!("{} rows", counted(sizes.rows));
    let head = format!("pauses, {rows}");
    eprintln!("{head}, {size} MiB");
    let (ours, said) = by_us(&prepared.0, sizes)?;
    tell(table, &head, &ours, &said);
    let mut drawn = None;
    for (at, peer) in PEERS.iter().enumerate() {
        let head = format!("{head}, {}", peer.what);
        if let Some(program) = peer.missing() {
            table.skipped(head, &format!("no {program} here"));
            continue;
        }
        eprintln!("pauses: {}", peer.what);
        // What is drawn below ours goes on for as long.
        let at_least = if at == 0 && sizes.plot.is_some() {
            ours.whole()
        } else {
            0..0
        };
        match by(peer, &prepared.0, sizes, length(&at_least)) {
            Ok(theirs) => {
                tell_beside(table, &head, &ours, &theirs);
                if at == 0 {
                    drawn = Some(theirs);
                }
            }
            // It is no failure of ours that it cannot do it.
            Err(error) => {
                eprintln!("{head}: {error}");
                table.skipped(head, "failed");
            }
        }
    }
    if let Some(path) = &sizes.plot {
        let theirs = drawn
            .as_ref()
            .map(|run| run.panel("the same with SQLite's twelve steps"));
        let panels: Vec<Panel> = [ours.panel(
            "changeover: three phases, and a roll-out of the new application between the last two",
        )]
        .into_iter()
        .chain(theirs)
        .collect();
        let title = format!("How long each write took: {rows}, {size} MiB");
        std::fs::write(path, plot::drawn(&title, &panels, idle(sizes)))?;
    }
    if ours.lost > 0 {
        return Err(format!("{} rows have lost a write", ours.lost).into());
    }
    Ok(())
}

impl Run {
    /// From the first phase to the last.
    fn whole(&self) -> Range<u64> {
        let start = self.phases.first().map_or(0, |it| it.1.start);
        let end = self.phases.last().map_or(0, |it| it.1.end);
        start..end
    }

    /// When writers may feel it.
    fn felt(&self) -> Range<u64> {
        let Range { start, end } = self.whole();
        start..end + AFTERMATH
    }

    /// The longest wait of all writers of which some was in this time.
    fn longest(&self, time: &Range<u64>) -> Option<&Write> {
        let writes = self.written.iter().flat_map(|it| &it.writes);
        writes.filter(|it| it.is_in(time)).max_by_key(|it| it.took)
    }

    /// How long it was.
    fn longest_wait(&self, time: &Range<u64>) -> Duration {
        self.longest(time).map_or(Duration::ZERO, |it| it.took)
    }

    /// How long the phases took, without what was between them.
    fn took(&self) -> Duration {
        self.phases.iter().map(|it| length(&it.1)).sum()
    }

    fn panel(&self, title: &'static str) -> Panel<'_> {
        Panel {
            title,
            written: &self.written,
            phases: &self.phases,
            whole: self.whole(),
            longest: self.longest(&self.felt()),
        }
    }
}

fn length(time: &Range<u64>) -> Duration {
    Duration::from_micros(time.end - time.start)
}

/// The three phases, and a roll-out between the second and the third: the new application begins, then the old one ends.
fn by_us(prepared: &Path, sizes: &Sizes) -> Outcome<(Run, Told)> {
    let copy = Copy::of(prepared)?;
    let path = &copy.0;
    let mut changer = Conversation::with_changer(path)?;
    let log = Log::watched(path);
    let neither = NEITHER.start(path, PATIENCE)?;
    let old = OLD_APPLICATION.start(path, PATIENCE)?;
    thread::sleep(idle(sizes));
    let (mut phases, mut held) = (Vec::new(), Vec::new());
    let mut phase = |at: usize| -> Outcome<()> {
        let start = now();
        let (reply, _) = changer.ask(&at.to_string())?;
        phases.push((PHASES[at], start..now()));
        held.push(told(&reply)?);
        Ok(())
    };
    phase(0)?;
    phase(1)?;
    let new = NEW_APPLICATION.start(path, PATIENCE)?;
    thread::sleep(ROLL_OUT.min(idle(sizes)));
    let old = old.stop()?;
    phase(2)?;
    let memory = cfg!(target_os = "linux")
        .then(|| changer.peak())
        .transpose()?;
    drop(changer);
    thread::sleep(Duration::from_micros(AFTERMATH) + idle(sizes));
    let written = vec![old, new.stop()?, neither.stop()?];
    let columns = ["full_name", "full_name", "mail"];
    let run = Run {
        lost: lost(
            path,
            &Expected {
                columns: &["id", "full_name", "mail", "note"],
                rows: sizes.rows,
                written: &written.iter().zip(columns).collect::<Vec<_>>(),
            },
        )?,
        written,
        phases,
        log: log.largest()?,
    };
    Ok((run, Told { held, memory }))
}

/// Another way, whose writer goes on for a while, and until it has written for at least so long.
fn by(peer: &Peer, prepared: &Path, sizes: &Sizes, at_least: Duration) -> Outcome<Run> {
    let copy = Copy::of(prepared)?;
    let path = &copy.0;
    let log = Log::watched(path);
    let neither = NEITHER.start(path, PATIENCE)?;
    thread::sleep(idle(sizes));
    let start = now();
    let outcome = peer.change(path);
    let phase = start..now();
    thread::sleep(idle(sizes) + at_least.saturating_sub(length(&phase)));
    let written = vec![neither.stop()?];
    outcome?;
    Ok(Run {
        lost: lost(
            path,
            &Expected {
                columns: &peer.columns,
                rows: sizes.rows,
                written: &[(&written[0], "mail")],
            },
        )?,
        written,
        phases: vec![("the whole change", phase)],
        log: log.largest()?,
    })
}

/// The rows of ours.
fn tell(table: &mut Table, head: &str, ours: &Run, said: &Told) {
    for (phase, time) in &ours.phases {
        table.within(format!("{head}, {phase}"), length(time), None);
        let longest = ours.longest_wait(time);
        table.within(format!("{head}, {phase}: longest wait"), longest, None);
    }
    table.within(format!("{head}, all in all"), ours.took(), Some(LONGEST));
    for written in &ours.written {
        let head = format!("{head}, {}", written.writer.what);
        let ranked = written.split(&ours.felt());
        compare(table, &head, &ranked, [&written.errors, &[]]);
    }
    for (phase, Held { holds, cutover }) in PHASES.iter().zip(&said.held) {
        if holds.turns > 0 {
            let head = format!("{head}, locks held in {phase}");
            table.within(format!("{head}: p50"), holds.p50, None);
            table.within(format!("{head}: p99"), holds.p99, Some(LONGEST_HOLD));
        }
        if !cutover.is_zero() {
            table.within(format!("{head}, cutover"), *cutover, Some(LONGEST_CUTOVER));
        }
    }
    let log = Some(LARGEST_LOG);
    table.size(format!("{head}, log at most"), ours.log, None, log);
    let what = format!("{head}, memory at most");
    match said.memory {
        Some(memory) => table.size(what, memory, None, Some(MOST)),
        None => table.skipped(what, "not available"),
    }
    let kept = [said_lost(ours), String::new()];
    table.counts(
        format!("{head}, rows that lost a write"),
        kept,
        ours.lost == 0,
    );
}

/// The rows of a peer.
fn tell_beside(table: &mut Table, head: &str, ours: &Run, theirs: &Run) {
    let [mine, their] = [ours, theirs].map(|it| it.longest_wait(&it.felt()));
    let target = Some(their / TIMES);
    table.beside(format!("{head}: longest wait"), mine, their, target);
    let what = format!("{head}: all in all");
    table.beside(what, ours.took(), theirs.took(), None);
    table.size(format!("{head}: log"), ours.log, Some(theirs.log), None);
    let failed: usize = theirs.written.iter().map(|it| it.errors.len()).sum();
    if failed + theirs.lost > 0 {
        eprintln!("{head}: {failed} writes failed, {} lost", theirs.lost);
    }
}

fn said_lost(run: &Run) -> String {
    let writes: usize = run.written.iter().map(|it| it.writes.len()).sum();
    format!("{} of {writes} writes", run.lost)
}

/// Somebody who looks again and again how large the log is.
struct Log {
    is_over: Arc<AtomicBool>,
    looking: JoinHandle<f64>,
}

impl Log {
    fn watched(path: &Path) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&is_over);
        let path = path.to_path_buf();
        let looking = thread::spawn(move || {
            let mut largest: f64 = 0.0;
            while !end.load(Ordering::Relaxed) {
                // Where there is none, it holds nothing.
                largest = largest.max(log_size(&path).unwrap_or_default());
                thread::sleep(LOOK);
            }
            largest
        });
        Self { is_over, looking }
    }

    fn largest(self) -> Outcome<f64> {
        self.is_over.store(true, Ordering::Relaxed);
        let largest = self.looking.join();
        largest.map_err(|_| "nobody has looked at the log".into())
    }
}
