//! Who may write where: data goes to stdout, words to stderr, a progress bar to a terminal alone.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;

use indicatif::{ProgressBar, ProgressStyle};

use crate::changeover::Reply;
use crate::error::Error;
use crate::event::Event;
use crate::json;

/// Writes what a command says.
pub(super) struct Printer {
    json: bool,
    bar: ProgressBar,
}

impl Printer {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            bar: ProgressBar::hidden(),
        }
    }

    /// The outcome: one JSON object, or the words for it.
    pub(super) fn outcome(&self, reply: Reply, words: impl FnOnce() -> String) -> io::Result<()> {
        let text = if self.json {
            json::line(&reply.alone())?
        } else {
            words()
        };
        data(&text)
    }

    /// Words beside the data, which a program that reads the data does not want.
    pub(super) fn remark(&self, text: &str) {
        if !self.json {
            self.words(text);
        }
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
    pub(super) fn progress(&mut self, event: &Event) -> ControlFlow<()> {
        match event {
            Event::BackfillStarted { rows } if !self.json && io::stderr().is_terminal() => {
                const LINE: &str =
                    "{bar:32} {human_pos} of {human_len} rows, {per_sec}, {eta} to go";
                self.bar = ProgressBar::new(*rows);
                if let Ok(style) = ProgressStyle::with_template(LINE) {
                    self.bar.set_style(style);
                }
            }
            Event::BatchDone { passed, .. } => self.bar.set_position(*passed),
            Event::PhaseDone { .. } => self.bar.finish_and_clear(),
            Event::BackfillStarted { .. }
            | Event::BackfillDone { .. }
            | Event::Waiting { .. }
            | Event::LedgerReady => {}
        }
        ControlFlow::Continue(())
    }

    /// Nobody is left to tell when stderr is closed too.
    fn words(&self, text: &str) {
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
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
