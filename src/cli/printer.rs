//! Who may write where: data goes to stdout, words to stderr, a progress bar to a terminal alone.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

use crate::changeover::Reply;
use crate::error::Error;
use crate::event::{Event, Holds, Obstacle};
use crate::json;

use super::work;

/// Writes what a command says.
pub(super) struct Printer {
    json: bool,
    bar: ProgressBar,
    /// How long the lock was held, once there is something to tell of it.
    holds: Option<Holds>,
    shown: Shown,
    /// The wait that was last spoken of: what for, and after how many seconds.
    spoken: Option<(Obstacle, u64)>,
}

/// What the progress bar is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shown {
    Nothing,
    Copy,
    Look,
}

/// Takes a terminal's cursor home and clears what is below.
const CLEAR: &[u8] = b"\x1b[H\x1b[J";

const COPY: &str = "{bar:32} {human_pos} of {human_len} rows, {per_sec}, {eta} to go";
const LOOK: &str = "{spinner} {human_pos} rows looked at, {per_sec}";

impl Printer {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            bar: ProgressBar::hidden(),
            holds: None,
            shown: Shown::Nothing,
            spoken: None,
        }
    }

    /// Whether a program reads what is said.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// The outcome: one JSON object, or the words for it.
    pub(super) fn outcome(&self, reply: Reply, words: impl FnOnce() -> String) -> io::Result<()> {
        let text = if self.json {
            json::line(&reply.alone())?
        } else {
            words()
        };
        self.bar.finish_and_clear();
        data(&text)
    }

    /// An outcome in the place of the one before, where a terminal shows them; else behind it.
    pub(super) fn redraw(&self, reply: Reply, words: impl FnOnce() -> String) -> io::Result<()> {
        if !self.json && io::stdout().is_terminal() {
            io::stdout().write_all(CLEAR)?;
        }
        self.outcome(reply, words)
    }

    /// Words beside the data, which a program that reads the data does not want.
    pub(super) fn remark(&self, text: &str) {
        if !self.json {
            self.words(text);
        }
    }

    /// News on the way to the outcome: a JSON object, or the words for it beside the data.
    pub(super) fn news(&self, reply: Reply, words: &str) -> io::Result<()> {
        if self.json {
            return data(&json::line(&reply.alone())?);
        }
        self.words(words);
        Ok(())
    }

    /// An error, and what to do next.
    pub(super) fn error(&self, error: &Error) -> io::Result<()> {
        if self.json {
            return data(&json::line(&Reply::error(error).alone())?);
        }
        self.words(&format!("error: {error}"));
        if let Some(hint) = error.hint() {
            self.words(&format!("hint: {hint}"));
        }
        Ok(())
    }

    /// Shows an event as progress.
    pub(super) fn progress(&mut self, event: &Event) {
        match event {
            Event::BackfillStarted { rows } => {
                self.show(Shown::Copy, || ProgressBar::new(*rows), COPY);
            }
            Event::Looked { rows } => {
                if self.shown != Shown::Look {
                    self.show(Shown::Look, ProgressBar::new_spinner, LOOK);
                }
                self.bar.set_position(*rows);
            }
            Event::BatchDone { passed, .. } => {
                self.spoken = None;
                self.bar.set_position(*passed);
            }
            Event::BackfillDone { holds } if holds.turns > 1 => self.holds = Some(*holds),
            Event::PhaseDone { .. } => {
                self.bar.finish_and_clear();
                if let Some(holds) = self.holds.take() {
                    self.remark(&work::locks(&holds));
                }
            }
            Event::IndexesAtOnce { why } => {
                self.remark(&format!("the indexes are made at once instead: {why}"));
            }
            Event::GateShut { reasons } => {
                self.remark("waiting until the gate opens:");
                for reason in reasons {
                    self.remark(&format!("  - {reason}"));
                }
            }
            Event::GatePassed { in_spite_of } => {
                for reason in in_spite_of {
                    self.remark(&format!("warning: {reason}"));
                }
            }
            Event::Waiting { on, so_far } => self.waiting(*on, so_far.as_secs()),
            Event::BackfillDone { .. }
            | Event::CutOver { .. }
            | Event::StepDone { .. }
            | Event::LedgerReady => {}
        }
    }

    /// Says what is waited for; of a long wait less and less often.
    fn waiting(&mut self, on: Obstacle, seconds: u64) {
        let is_told = match on {
            Obstacle::Pause => self.spoken.is_some_and(|(it, _)| it == on),
            _ => !seconds.is_power_of_two() || self.spoken == Some((on, seconds)),
        };
        if is_told {
            return;
        }
        self.spoken = Some((on, seconds));
        match on {
            Obstacle::Pause => self.remark("paused: `changeover resume` lets it go on"),
            _ => self.remark(&format!("waiting for {seconds} s: {}", reason(on))),
        }
    }

    /// Another bar in the place of the one that is shown; none where nobody looks at it.
    fn show(&mut self, what: Shown, bar: impl FnOnce() -> ProgressBar, line: &str) {
        if self.json || !io::stderr().is_terminal() {
            return;
        }
        self.bar.finish_and_clear();
        (self.bar, self.shown) = (bar(), what);
        if let Ok(style) = ProgressStyle::with_template(line) {
            self.bar.set_style(style);
        }
    }

    /// Nobody is left to tell when stderr is closed too.
    fn words(&self, text: &str) {
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
    }
}

/// Why the work waits.
fn reason(on: Obstacle) -> &'static str {
    match on {
        Obstacle::Lock => "another connection holds the write lock",
        Obstacle::FullLog => {
            "the write-ahead log is full, and another connection still reads from it"
        }
        Obstacle::Runner => "another changeover is at work on this change",
        Obstacle::Pause => "somebody has paused it",
        Obstacle::Gate => "the gate is shut",
    }
}

/// Data, as it is.
pub(super) fn data(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}
