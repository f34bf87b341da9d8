//! What a change costs beside the same steps as plain SQL, how much memory it takes, and what applications feel of it.
//!
//! `cargo bench` runs it and prints one table; `docs/performance.md` says what is in it. Only ratios within one
//! run are judged: ours and the peer take turns on fresh copies of one file, so that whatever else the machine
//! does weighs on both. A missed target is told and is no failure; only what goes wrong is.

// The table is what this program is for; how far it has come goes beside it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod change;
mod file;
mod growth;
mod index;
mod kept;
mod ours;
mod pauses;
mod peers;
mod plot;
mod sync;
mod table;
mod traffic;
mod writers;

use std::error::Error;
use std::path::{Path, PathBuf};

use table::Table;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Measures one thing, in a folder for its files.
type Measure = fn(&Sizes, &Path, &mut Table) -> Outcome<()>;

/// What can be asked for alone, in the order in which all of it is measured.
const GROUPS: [(&str, Measure); 10] = [
    ("change", change::whole_change),
    ("online", change::online),
    ("messages", change::three_messages),
    ("memory", growth::peak_memory),
    ("traffic", traffic::under_traffic),
    ("alone", traffic::alone),
    ("growth", growth::growth),
    ("sync", sync::synced_writes),
    ("pauses", pauses::pauses),
    ("index", index::index),
];

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|it| it == writers::WRITER).is_some() {
        return writers::write(arguments);
    }
    if arguments.next_if(|it| it == ours::CHANGER).is_some() {
        return ours::change(arguments);
    }
    let Some(sizes) = Sizes::asked(arguments)? else {
        println!("{USAGE}");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let mut table = Table::default();
    let outcome = GROUPS
        .iter()
        .filter(|(group, _)| sizes.wants(group))
        .try_for_each(|(_, measure)| measure(&sizes, folder.path(), &mut table));
    // What was measured before something went wrong is worth seeing.
    println!("{}", table.printed());
    outcome
}

const USAGE: &str = "\
cargo bench --bench change -- [--quick] [--rows N] [--runs N] [--plot PATH] [GROUP]...

  --quick      small tables and few runs: to see that it works, not how fast
  --rows N     rows of the whole change, of a migration under traffic or alone, of pauses and of an index (1000000)
  --runs N     pairs of runs of the whole change, at once or online, and of an index (5); the three messages run ten times as often
  --plot PATH  draws the writers' latencies in pauses, as SVG
  GROUP        change, online, messages, memory, traffic, alone, growth, sync, pauses or index; else all of them

CHANGEOVER_PEERS names a folder in which pauses looks for sqlite-utils and alembic before PATH.";

/// How much is to be measured.
struct Sizes {
    rows: u32,
    runs: usize,
    few_rows: u32,
    many_rows: u32,
    quick: bool,
    plot: Option<PathBuf>,
    only: Vec<String>,
}

impl Sizes {
    /// Reads the arguments; none where help is asked for.
    fn asked(mut arguments: impl Iterator<Item = String>) -> Outcome<Option<Self>> {
        let mut sizes = Self {
            rows: 1_000_000,
            runs: 5,
            few_rows: 100_000,
            many_rows: 5_000_000,
            quick: false,
            plot: None,
            only: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--rows" => sizes.rows = value()?.parse()?,
                "--runs" => sizes.runs = value()?.parse::<usize>()?.max(1),
                "--plot" => sizes.plot = Some(value()?.into()),
                "--quick" => {
                    sizes.rows = 50_000;
                    sizes.runs = 1;
                    sizes.few_rows = 50_000;
                    sizes.many_rows = 100_000;
                    sizes.quick = true;
                }
                // Cargo says so to every benchmark.
                "--bench" => {}
                "--help" | "-h" => return Ok(None),
                group if GROUPS.iter().any(|it| it.0 == group) => sizes.only.push(argument),
                _ => return Err(format!("unknown argument {argument}\n{USAGE}").into()),
            }
        }
        Ok(Some(sizes))
    }

    fn wants(&self, what: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|it| it == what)
    }
}
