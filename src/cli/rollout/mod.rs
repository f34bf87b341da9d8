//! What a rollout says while it runs, and before that of what it would do.

mod plan;
mod step;

use std::collections::BTreeMap;
use std::io;
use std::path;

use crate::changeover::Reply;
use crate::error::Result;
use crate::rollout::{Progress, Rollout, SCHEMA, Step};

use super::args::{Globals, RolloutArgs};
use super::printer::{Printer, data};
use super::stop::Stop;
use super::{open, shell, status};

pub(super) fn run(globals: &Globals, args: &RolloutArgs, printer: &mut Printer) -> Result<()> {
    let Some(file) = &args.file else {
        return Ok(data(SCHEMA)?);
    };
    let rollout = Rollout::read(file)?;
    let (mut changeover, db) = open(globals)?;
    if args.dry_run {
        let plans = rollout.plan(&changeover)?;
        printer.outcome(plan::reply(&rollout, &plans), || {
            plan::script(&rollout, &plans)
        })?;
        printer.remark("nothing was changed, and no command was run");
        return Ok(());
    }
    let stop = Stop::heard_by(&changeover);
    let mut teller = Teller {
        printer,
        problems: BTreeMap::new(),
        said_that_it_stops: false,
    };
    let mut failed = None;
    let outcome = rollout.run(&mut changeover, &path::absolute(db)?, &mut |progress| {
        // Who cannot hear any more is no reason to leave an instance half way.
        failed = teller.tell(progress, &stop).err().or(failed.take());
        stop.verdict()
    });
    outcome?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    printer.remark(&format!("look at it: {}", shell::look(db)));
    Ok(())
}

/// Says what happens.
struct Teller<'a> {
    printer: &'a mut Printer,
    /// What was the matter with each instance when that was last said.
    problems: BTreeMap<String, String>,
    said_that_it_stops: bool,
}

impl Teller<'_> {
    fn tell(&mut self, progress: &Progress<'_>, stop: &Stop) -> io::Result<()> {
        match progress {
            Progress::Event(event) => self.printer.progress(event),
            Progress::Applied(entry) => {
                self.printer
                    .outcome(Reply::applied(entry), || status::applied(entry))?;
            }
            Progress::Instance { name, step } => self.step(name, step)?,
            Progress::Working if stop.is_asked() && !self.said_that_it_stops => {
                self.said_that_it_stops = true;
                self.printer
                    .remark("stopping behind what is under way; Ctrl-C again ends at once");
            }
            Progress::Working => {}
        }
        Ok(())
    }

    fn step(&mut self, name: &str, step: &Step) -> io::Result<()> {
        let (reply, words) = step::told(name, step);
        if let Step::Healthy | Step::Restored = step {
            self.problems.remove(name);
            return self.printer.outcome(reply, || format!("{name}: {words}"));
        }
        if let Step::Unanswered { problem, .. } = step {
            let said = self.problems.insert(name.to_owned(), problem.clone());
            if said.as_ref() == Some(problem) && !self.printer.is_json() {
                return Ok(());
            }
        }
        self.printer.news(reply, &format!("{name}: {words}"))
    }
}
