//! Commands that a rollout runs: without a shell, for a limited time, with their output kept.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::process::{self, Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::json;
use crate::process::{Group, is_alive, name};

/// Waits for a line, and becomes the command then. Its words are arguments: no shell reads them.
const WAITING: &str = r#"read -r go && exec "$@" </dev/null"#;

/// How often we look whether a command has ended.
const LOOK: Duration = Duration::from_millis(10);

/// How long a command that is told to end may take for it.
const GRACE: Duration = Duration::from_secs(5);

/// How much of the end of an output is told: in bytes that are read, and in lines.
const TAIL_BYTES: i64 = 8192;
const TAIL_LINES: usize = 20;

/// A program and its arguments.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Vec<String>")]
pub struct Command(Vec<String>);

/// What a command finds in its environment, besides ours.
pub(super) type Variables = [(&'static str, String); 3];

/// Why something did not succeed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// What is the matter.
    pub reason: String,
    /// The last lines that the command has said; empty where it was silent, or there was no command.
    pub output: String,
}

impl TryFrom<Vec<String>> for Command {
    type Error = &'static str;

    fn try_from(words: Vec<String>) -> Result<Self, Self::Error> {
        match words.first().map(String::as_str) {
            None => Err("a command needs at least the name of a program"),
            Some(program) if program.is_empty() || program.starts_with('-') => {
                Err("the name of a program can neither be empty nor begin with `-`")
            }
            Some(_) if words.iter().any(|word| word.contains('\0')) => {
                Err("no word of a command can have a NUL in it")
            }
            Some(_) => Ok(Self(words)),
        }
    }
}

impl fmt::Display for Command {
    /// As a JSON array, so that nobody has to guess where a word ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&json::line(&self.0).map_err(|_| fmt::Error)?)
    }
}

impl Command {
    /// Runs it to its end, which must come in `time`, and must be a success. `started` is told the process before that
    /// does anything: where we are killed meanwhile, it never will.
    pub(super) fn run(
        &self,
        variables: &Variables,
        time: Duration,
        started: impl FnOnce(String),
    ) -> Result<(), Failure> {
        // A file and no pipe: who is started here to stay may keep it open, and nobody waits for that.
        let output = tempfile::tempfile().map_err(|error| self.not_started(&error))?;
        let mut child = self
            .start(variables, &output)
            .map_err(|error| self.not_started(&error))?;
        let go = child.stdin.take();
        started(name(child.id()));
        // It may have ended by itself.
        let _ = go.map(|mut it| it.write_all(b"\n"));
        let reason = match wait(&mut child, time) {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => format!("{self} failed, {status}"),
            Ok(None) => {
                end(&mut child);
                format!("{self} was ended, as it took longer than {time:?}")
            }
            Err(error) => format!("nothing can be told of {self}: {error}"),
        };
        Err(Failure {
            reason,
            output: tail(output).unwrap_or_default(),
        })
    }

    fn start(&self, variables: &Variables, output: &File) -> io::Result<Child> {
        let mut command = process::Command::new("sh");
        command
            .args(["-c", WAITING, "sh"])
            .args(&self.0)
            .envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped());
        command
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?);
        Group::lead(&mut command);
        command.spawn()
    }

    fn not_started(&self, error: &io::Error) -> Failure {
        Failure {
            reason: format!("{self} cannot be started: {error}"),
            output: String::new(),
        }
    }
}

/// How it ended; none where it has not in that time.
fn wait(child: &mut Child, time: Duration) -> io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    loop {
        let ended = child.try_wait()?;
        if ended.is_some() || begun.elapsed() >= time {
            return Ok(ended);
        }
        thread::sleep(LOOK);
    }
}

/// Lets it end, and what it has started; makes them after a while.
fn end(child: &mut Child) {
    let group = Group::of(child.id());
    group.terminate();
    if !matches!(wait(child, GRACE), Ok(Some(_))) {
        group.kill();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Waits for a command that an earlier run has started, by the name of its process; ends it when `time` is over.
pub(super) fn await_earlier(process: &str, time: Duration) {
    let ends_in = |time: Duration| {
        let begun = Instant::now();
        while is_alive(process) && begun.elapsed() < time {
            thread::sleep(LOOK);
        }
        !is_alive(process)
    };
    if let Some(group) = Group::of_name(process)
        && !ends_in(time)
    {
        group.terminate();
        if !ends_in(GRACE) {
            group.kill();
        }
    }
}

/// The end of an output, in whole lines.
fn tail(mut output: File) -> io::Result<String> {
    let length = i64::try_from(output.metadata()?.len()).unwrap_or(i64::MAX);
    output.seek(SeekFrom::End(-length.min(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    output
        .take(TAIL_BYTES.unsigned_abs())
        .read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let begin = lines.len().saturating_sub(TAIL_LINES);
    Ok(lines[begin..].join("\n"))
}
