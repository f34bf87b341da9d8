//! Our side: the three phases as requests, and processes that run them when they are told to.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use changeover::event::{Event, Holds};
use changeover::request::{Contract, Expand, MigrateData, Request};
use changeover::{Changeover, Options, unobserved};

use super::Outcome;
use super::file::MIB;

pub(super) const BINARY: &str = env!("CARGO_BIN_EXE_changeover");

/// The three phases on the table `users`, as messages.
pub(super) const MESSAGES: &str = include_str!("../fixtures/messages.jsonl");

/// The argument that makes this program one that changes a file through the library.
pub(super) const CHANGER: &str = "--changer";

/// The three phases on the table `users`.
pub(super) fn phases() -> [Request; 3] {
    let expand = Request::Expand(Expand {
        table: "users".into(),
        add_column: "full_name".into(),
        column_type: None,
        from: Some("name".into()),
        allow_breaking: false,
    });
    let migrate = Request::MigrateData(MigrateData {
        from: "name".into(),
        to: "full_name".into(),
        table: Some("users".into()),
        winner: None,
        up: None,
        down: None,
        write_both: false,
        expand: false,
    });
    let contract = Request::Contract(Contract {
        quiet_for: Duration::ZERO,
        ..Contract::of("users", "name")
    });
    [expand, migrate, contract]
}

/// A file whose change waits for its data.
pub(super) fn expanded(path: &Path) -> Outcome<Changeover> {
    let mut changeover = Changeover::open(path, Options::default())?;
    let [expand, ..] = phases();
    changeover.apply(&expand, &mut unobserved)?;
    Ok(changeover)
}

/// Migrates the data, and returns how long the turns held the lock.
pub(super) fn migrated(changeover: &mut Changeover) -> Outcome<Holds> {
    let [_, migrate, _] = phases();
    Ok(applied(changeover, &migrate)?.holds)
}

/// How long a phase held the write lock.
#[derive(Clone, Copy, Default)]
pub(super) struct Held {
    /// In the turns of its longest work.
    pub(super) holds: Holds,
    /// In the transaction that put a rebuilt table in the place of the live one.
    pub(super) cutover: Duration,
}

/// Applies one phase.
fn applied(changeover: &mut Changeover, request: &Request) -> Outcome<Held> {
    let mut found = Held::default();
    changeover.apply(request, &mut |event: &Event| {
        match event {
            Event::BackfillDone { holds } if holds.turns >= found.holds.turns => {
                found.holds = *holds;
            }
            Event::CutOver { held } => found.cutover = *held,
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// This program as a changer: reads the number of a phase, applies it, and tells how often the lock was held and how
/// long.
pub(super) fn change(mut arguments: impl Iterator<Item = String>) -> Outcome<()> {
    let path = arguments.next().ok_or("no file")?;
    let mut changeover = Changeover::open(Path::new(&path), Options::default())?;
    for line in std::io::stdin().lines() {
        let at: usize = line?.parse()?;
        let Held { holds, cutover } = applied(&mut changeover, &phases()[at])?;
        let times = [holds.p50, holds.p99, holds.max, cutover];
        let micros = times.map(|it| it.as_micros().to_string());
        println!("{} {}", holds.turns, micros.join(" "));
    }
    Ok(())
}

/// What a changer has told of the lock.
pub(super) fn told(line: &str) -> Outcome<Held> {
    let numbers: Result<Vec<u64>, _> = line.split(' ').map(str::parse).collect();
    let [turns, p50, p99, max, cutover] = numbers?[..] else {
        return Err(line.into());
    };
    let [p50, p99, max, cutover] = [p50, p99, max, cutover].map(Duration::from_micros);
    let waited = Duration::ZERO;
    let holds = Holds {
        turns,
        p50,
        p99,
        max,
        waited,
    };
    Ok(Held { holds, cutover })
}

/// A process that answers each line with a line, when it has done what the line asks for.
pub(super) struct Conversation {
    child: Child,
    input: Option<ChildStdin>,
    replies: Lines<BufReader<ChildStdout>>,
    is_at_work: bool,
}

impl Conversation {
    /// One with the binary, which takes messages.
    pub(super) fn with_node(path: &Path) -> Outcome<Self> {
        Self::with(Command::new(BINARY).args(["node", "--db"]).arg(path))
    }

    /// One with the library in a process of its own, which takes the number of a phase.
    pub(super) fn with_changer(path: &Path) -> Outcome<Self> {
        Self::with(
            Command::new(std::env::current_exe()?)
                .arg(CHANGER)
                .arg(path),
        )
    }

    fn with(program: &mut Command) -> Outcome<Self> {
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("no stdout")?;
        Ok(Self {
            input: child.stdin.take(),
            replies: BufReader::new(output).lines(),
            child,
            is_at_work: false,
        })
    }

    /// What it answers, and how long that took.
    pub(super) fn ask(&mut self, line: &str) -> Outcome<(String, Duration)> {
        let started = Instant::now();
        self.is_at_work = true;
        writeln!(self.input.as_mut().ok_or("no stdin")?, "{line}")?;
        let reply = self.replies.next().ok_or("it ended without a reply")??;
        self.is_at_work = false;
        if reply.contains("\"error\"") {
            return Err(reply.into());
        }
        Ok((reply, started.elapsed()))
    }

    /// `VmHWM` of the process so far, in MiB: its input is still open, so that it is there to be asked.
    pub(super) fn peak(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|it| it.trim().strip_suffix(" kB"));
        Ok(kib.ok_or("no VmHWM")?.parse::<f64>()? / MIB)
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // Without an input it ends by itself; after an error it may be in the midst of its work.
        drop(self.input.take());
        if self.is_at_work {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
