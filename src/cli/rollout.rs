//! What a rollout does and says.

use std::collections::BTreeMap;
use std::io;
use std::path;

use serde_json::{Value, json};

use crate::changeover::Reply;
use crate::error::Result;
use crate::plan::Plan;
use crate::rollout::{Failure, Instance, Plans, Progress, Rollout, SCHEMA, Step};

use super::args::{Globals, RolloutArgs};
use super::commands::open;
use super::printer::{Printer, data};
use super::status;
use super::stop::Stop;

pub(super) fn run(globals: &Globals, args: &RolloutArgs, printer: &mut Printer) -> Result<()> {
    let Some(file) = &args.file else {
        return Ok(data(SCHEMA)?);
    };
    let rollout = Rollout::read(file)?;
    let (mut changeover, db) = open(globals)?;
    if args.dry_run {
        let plans = rollout.plan(&changeover)?;
        printer.outcome(reply(&rollout, &plans), || script(&rollout, &plans))?;
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
    printer.remark(&format!("look at it: {}", status::look(db)));
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
        let (word, fields, words) = described(step);
        let reply = fields.into_iter().fold(
            Reply::new("instance").with("name", name).with("step", word),
            |reply, (field, value)| reply.with(field, value),
        );
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

/// A step by its name, with what else there is to know of it, and in words.
fn described(step: &Step) -> (&'static str, Vec<(&'static str, Value)>, String) {
    let failure = |it: &Failure| vec![("reason", json!(it.reason)), ("output", json!(it.output))];
    let at_work = |process: &String| vec![("process", json!(process))];
    match step {
        Step::Awaiting { process } => (
            "awaiting",
            at_work(process),
            format!("waiting for the command of an earlier run: {process}"),
        ),
        Step::Deploying { process } => ("deploying", at_work(process), "deploying".to_owned()),
        Step::Unanswered {
            attempt,
            of,
            problem,
        } => (
            "unanswered",
            vec![
                ("attempt", json!(attempt)),
                ("of", json!(of)),
                ("problem", json!(problem)),
            ],
            format!("not healthy yet: {problem}"),
        ),
        Step::Healthy => (
            "healthy",
            Vec::new(),
            "healthy in the new version".to_owned(),
        ),
        Step::Unhealthy(it) => (
            "unhealthy",
            failure(it),
            because("not healthy in the new version", it),
        ),
        Step::Restoring { process } => {
            ("restoring", at_work(process), "putting it back".to_owned())
        }
        Step::Restored => (
            "restored",
            Vec::new(),
            "healthy in the old version".to_owned(),
        ),
        Step::Lost(it) => (
            "lost",
            failure(it),
            because("not healthy in the old version", it),
        ),
        Step::Left => (
            "left",
            Vec::new(),
            "left as it is: it has no `restore` command".to_owned(),
        ),
    }
}

/// What failed, why, and what was said last.
fn because(what: &str, Failure { reason, output }: &Failure) -> String {
    let lines = output.lines().map(|line| format!("\n  | {line}"));
    format!("{what}: {reason}{}", lines.collect::<String>())
}

/// The whole rollout as a script: the SQL of the phases, and the rest as comments.
fn script(rollout: &Rollout, plans: &Plans) -> String {
    let sql = |plans: &[Plan]| plans.iter().map(ToString::to_string).collect::<String>();
    let behind = match plans.behind.as_slice() {
        [] => "\n-- then contract, which is planned once the data are migrated\n".to_owned(),
        behind => sql(behind),
    };
    let at_once = match rollout.at_once.get() {
        1 => "one by one".to_owned(),
        number => format!("{number} at a time"),
    };
    let between = format!("\n-- then the instances of the application, {at_once}\n");
    let instances = rollout.instances.iter().map(comment);
    [sql(&plans.before), between]
        .into_iter()
        .chain(instances)
        .chain([behind])
        .collect()
}

fn comment(instance: &Instance) -> String {
    let Instance {
        name,
        deploy,
        restore,
        health,
        ..
    } = instance;
    let back = restore.as_ref().map_or_else(
        || "left as it is".to_owned(),
        |restore| format!("put back by {restore}"),
    );
    format!(
        "-- {name}: {deploy}\n--   healthy by {} in {} attempts; else {back}\n",
        health.probe, health.attempts
    )
}

fn reply(rollout: &Rollout, plans: &Plans) -> Reply {
    let instances = rollout.instances.iter().map(|it| {
        json!({
            "name": it.name,
            "deploy": it.deploy,
            "health": it.health.probe.to_string(),
            "restore": it.restore,
        })
    });
    let phases: Vec<Value> = [&plans.before, &plans.behind]
        .into_iter()
        .map(|it| Reply::plans(it).alone()["plans"].clone())
        .collect();
    Reply::new("rollout_plan")
        .with("before", phases[0].clone())
        .with("at_once", rollout.at_once.get())
        .with("instances", instances.collect::<Vec<_>>())
        .with("behind", phases[1].clone())
}
