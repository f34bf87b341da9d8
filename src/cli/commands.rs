//! What each command does and says.

use std::path::Path;
use std::time::Duration;
use std::{io, iter, slice};

use clap::CommandFactory;

use crate::changeover::Reply;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::request::{OfInstance, Request, Verify};
use crate::sample;

use super::args::{Globals, InstanceCommand, VerifyArgs};
use super::printer::{Printer, data};
use super::stop::Stop;
use super::{Cli, Command, ExitStatus, open, rollout, shell, status, verified, who};

/// Runs any command but `node`, and says what came of it.
pub fn run(globals: &Globals, command: Command) -> ExitStatus {
    let mut printer = Printer::new(globals.json);
    let is_rollout = matches!(command, Command::Rollout(_));
    match dispatch(globals, command, &mut printer) {
        Ok(()) => ExitStatus::Done,
        Err(error) => {
            let status = report(globals, &error);
            let goes_on = match error {
                Error::Stopped | Error::CalledOff | Error::Unhealthy(_) => true,
                Error::GateShut { .. } => is_rollout,
                _ => false,
            };
            if goes_on {
                printer.remark(&format!("next: {}", shell::same_again()));
            }
            status
        }
    }
}

/// Says why nothing came of a command.
pub fn report(globals: &Globals, error: &Error) -> ExitStatus {
    match Printer::new(globals.json).error(error) {
        Ok(()) => ExitStatus::from(error),
        Err(_) => ExitStatus::Failed,
    }
}

fn dispatch(globals: &Globals, command: Command, printer: &mut Printer) -> Result<()> {
    match command {
        Command::Phase(phase) if phase.is_dry_run() => {
            plan(globals, &phase.into_request(), printer)
        }
        Command::Rollout(args) => rollout::run(globals, &args, printer),
        Command::Plan { phase } => plan(globals, &phase.into_request(), printer),
        Command::Pause(args) => {
            let (mut changeover, db) = open(globals)?;
            let tables = changeover.pause(&args.into())?;
            printer.outcome(Reply::tables("pause_ok", &tables), || {
                status::paused(&tables)
            })?;
            let resume = shell::command(db, &["resume"], &[]);
            printer.remark(&format!("next: {resume}"));
            Ok(())
        }
        Command::Resume(args) => {
            let tables = open(globals)?.0.resume(&args.into())?;
            let words = || status::resumed(&tables);
            printer.outcome(Reply::tables("resume_ok", &tables), words)?;
            Ok(())
        }
        Command::Verify(args) => verify(globals, args, printer),
        Command::Phase(phase) => apply(globals, &phase.into_request(), printer),
        Command::Status { watch: Some(every) } => watch(globals, every, printer),
        Command::Status { watch: None } => {
            let (changeover, db) = open(globals)?;
            let found = changeover.status()?;
            printer.outcome(Reply::status(&found), || status::status(&found, db))?;
            Ok(())
        }
        Command::Who => {
            let found = open(globals)?.0.who()?;
            printer.outcome(Reply::who(&found), || who::who(&found))?;
            Ok(())
        }
        Command::Instance { word } => instance(globals, word, printer),
        Command::History => {
            let history = open(globals)?.0.history()?;
            printer.outcome(Reply::history(&history), || status::history(&history))?;
            Ok(())
        }
        Command::Forget => {
            open(globals)?.0.forget()?;
            let reply = Reply::new("forget_ok");
            printer.outcome(reply, || "the ledger is gone from the file".to_owned())?;
            Ok(())
        }
        Command::Seed { path, rows } => seed(&path, rows, printer),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "changeover", &mut script);
            Ok(data(&String::from_utf8_lossy(&script))?)
        }
        Command::Man => Ok(data(&manual()?)?),
        // The other face answers messages.
        Command::Node(_) => Ok(()),
    }
}

fn apply(globals: &Globals, request: &Request, printer: &mut Printer) -> Result<()> {
    let (mut changeover, db) = open(globals)?;
    let stop = Stop::heard_by(&changeover);
    let entry = changeover.apply(request, &mut |event| {
        printer.progress(event);
        stop.verdict()
    })?;
    printer.outcome(Reply::applied(&entry), || status::applied(&entry))?;
    let changes = changeover.status()?.changes;
    let change = changes.iter().find(|change| change.id == entry.change);
    match (
        change.and_then(|change| status::next(change, &changes, db)),
        &entry.index,
    ) {
        (Some(next), _) => printer.remark(&format!("next: {next}")),
        (None, None) => printer.remark(&format!("look at it: {}", shell::look(db))),
        (None, Some(index)) => {
            let verify = ["verify", "--index"];
            let look = shell::command(db, &verify, &[index.name.as_str()]);
            printer.remark(&format!("look at it: {look}"));
        }
    }
    Ok(())
}

/// Shows the status until nothing is under way any more, or somebody has seen enough.
fn watch(globals: &Globals, every: Duration, printer: &Printer) -> Result<()> {
    let (changeover, db) = open(globals)?;
    let stop = Stop::heard_by(&changeover);
    loop {
        let found = match changeover.status() {
            Err(Error::Stopped) => return Ok(()),
            found => found?,
        };
        printer.redraw(Reply::status(&found), || status::status(&found, db))?;
        if stop.is_asked() || !found.is_under_way() {
            return Ok(());
        }
        stop.sleep(every);
    }
}

fn plan(globals: &Globals, request: &Request, printer: &Printer) -> Result<()> {
    print_plans(&open(globals)?.0.plan(request)?, printer)
}

fn print_plans(plans: &[Plan], printer: &Printer) -> Result<()> {
    let words = || plans.iter().map(ToString::to_string).collect::<String>();
    printer.outcome(Reply::plans(plans), words)?;
    printer.remark("nothing was changed");
    Ok(())
}

fn verify(globals: &Globals, args: VerifyArgs, printer: &mut Printer) -> Result<()> {
    let mut changeover = open(globals)?.0;
    let is_dry_run = args.dry_run;
    let asked = Verify::from(args);
    if is_dry_run {
        return print_plans(&changeover.plan_repair(&asked)?, printer);
    }
    let stop = Stop::heard_by(&changeover);
    if let Some(index) = &asked.index {
        let found = changeover.verify_index(index, &mut |event| {
            printer.progress(event);
            stop.verdict()
        })?;
        let words = || verified::index(&found);
        printer.outcome(Reply::verified_index(&found), words)?;
        return Ok(());
    }
    let found = changeover.verify(&asked, &mut |event| {
        printer.progress(event);
        stop.verdict()
    })?;
    printer.outcome(Reply::verified(&found), || verified::words(&found))?;
    Ok(())
}

fn instance(globals: &Globals, word: InstanceCommand, printer: &Printer) -> Result<()> {
    let (mut changeover, db) = open(globals)?;
    match word {
        InstanceCommand::Register(args) => {
            let found = changeover.register_instance(&args.into())?;
            let reply = Reply::instance("register_instance_ok", &found);
            printer.outcome(reply, || who::registered(slice::from_ref(&found)))?;
            let words = ["instance", "heartbeat"];
            let heartbeat = shell::command(db, &words, &[found.name.as_str()]);
            printer.remark(&format!("next, before the lease ends: {heartbeat}"));
        }
        InstanceCommand::Heartbeat(args) => {
            let found = changeover.heartbeat(&args.into())?;
            let reply = Reply::instance("heartbeat_ok", &found);
            printer.outcome(reply, || who::registered(slice::from_ref(&found)))?;
        }
        InstanceCommand::Retire(args) => {
            let asked = OfInstance::from(args);
            let was_there = changeover.retire_instance(&asked)?;
            printer.outcome(Reply::retired(&asked.name, was_there), || {
                who::retired(&asked.name, was_there)
            })?;
        }
        InstanceCommand::List => {
            let found = changeover.instances()?;
            printer.outcome(Reply::instances(&found), || who::registered(&found))?;
        }
    }
    Ok(())
}

fn seed(path: &Path, rows: u32, printer: &Printer) -> Result<()> {
    sample::write(path, rows)?;
    let reply = Reply::new("seed_ok")
        .with("path", path.display().to_string())
        .with("rows", rows);
    let db = path.display();
    printer.outcome(reply, || format!("{db}: users (name), {rows} rows"))?;
    let words = ["expand", "users", "full_name", "--from", "name"];
    printer.remark(&format!("next: {}", shell::command(path, &words, &[])));
    Ok(())
}

/// One page for the command and all its subcommands.
fn manual() -> io::Result<String> {
    let mut page = Vec::new();
    let mut command = Cli::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for subcommand in command.get_subcommands() {
        let nested = subcommand.get_subcommands();
        // Those of `plan` are the phases, which have their own sections.
        let nested = nested.filter(|it| command.find_subcommand(it.get_name()).is_none());
        for it in iter::once(subcommand).chain(nested) {
            section(it, &mut page)?;
        }
    }
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn section(command: &clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    if command.get_name() == "help" {
        return Ok(());
    }
    let man = clap_mangen::Man::new(command.clone());
    let name = command.get_bin_name().unwrap_or_default().to_uppercase();
    page.extend(format!(".SH \"{name}\"\n").into_bytes());
    man.render_description_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_options_section(page)
}
