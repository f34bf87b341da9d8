//! The `changeover` program.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use changeover::cli::{self, Cli, Command, ExitStatus, Globals, NodeArgs};
use changeover::node::{self, Wrapping};
use changeover::{Changeover, Result, sample};
use clap::Parser;

/// The file that message mode works on, and makes, when none is named.
const DEFAULT_DB: &str = "changeover.db";

fn main() -> ExitCode {
    let Cli { globals, command } = Cli::parse();
    let status = match command {
        Command::Node(args) => match serve(&globals, args) {
            Ok(()) => ExitStatus::Done,
            Err(error) => cli::report(&globals, &error),
        },
        command => cli::run(&globals, command),
    };
    status.into()
}

fn serve(globals: &Globals, args: NodeArgs) -> Result<()> {
    let db = match &globals.db {
        Some(db) => db.clone(),
        None => seeded(Path::new(DEFAULT_DB))?,
    };
    let mut changeover = Changeover::open(&db, globals.options())?;
    let wrapping = if args.envelope {
        Wrapping::Envelope
    } else {
        Wrapping::Bare
    };
    let (input, output) = (io::stdin().lock(), io::stdout().lock());
    Ok(node::serve(&mut changeover, input, output, wrapping)?)
}

/// The file, with the sample in it where there was none.
fn seeded(db: &Path) -> Result<PathBuf> {
    match sample::write(db, sample::ROWS) {
        Ok(()) | Err(changeover::Error::FileExists(_)) => Ok(db.to_owned()),
        Err(error) => Err(error),
    }
}
