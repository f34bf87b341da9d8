//! The arguments of every command.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser, ValueParserFactory};
use clap::{Args, Parser, Subcommand};

use crate::changeover::{Options, Rebuilds, Runner};
use crate::instance::{Label, Lease};
use crate::name::Name;
use crate::process;
use crate::request::{
    Abort, AddIndex, Contract, Expand, Hold, MigrateData, OfInstance, RegisterInstance, Request,
    Rest, Undo, Verify, Winner,
};
use crate::sample;

use super::index_args::Terms;

/// Change the schema of a SQLite file while old and new versions of an application keep running on it
///
/// A column gives way to another in three phases: `expand` adds the new column beside the old one,
/// `migrate-data` copies the values, and `contract` removes the old column once every application has moved on.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true, after_help = EXIT_STATUS)]
pub struct Cli {
    /// What is the same for every command.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_STATUS: &str = "Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused by a check (nothing was changed), \
4 the file stayed locked or the work was stopped (run it again).";

/// What is the same for every command.
#[derive(Args, Debug)]
pub struct Globals {
    /// The SQLite file
    #[arg(long, value_name = "PATH", env = "CHANGEOVER_DB", global = true)]
    pub db: Option<PathBuf>,
    /// Print one JSON object instead of words
    #[arg(long, global = true)]
    pub json: bool,
    /// How long to wait for a lock
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds, global = true)]
    pub busy_timeout: Duration,
    /// Rows in one transaction of the backfill at most
    #[arg(long, value_name = "ROWS", default_value_t = Options::default().batch_rows,
          value_parser = clap::value_parser!(u32).range(1..), global = true)]
    pub batch_rows: u32,
    /// How long the write lock may be held to rebuild a table or to make an index in one transaction, in milliseconds;
    /// with a larger table that is done online
    #[arg(long, value_name = "MILLISECONDS", default_value = "50", value_parser = milliseconds, global = true)]
    pub max_hold: Duration,
    /// Whether tables are rebuilt, and indexes made, online
    #[arg(long, value_name = "WHEN", default_value = "auto", value_parser = rebuilds(), global = true)]
    pub online: Rebuilds,
}

impl Globals {
    /// The options of the engine.
    #[must_use]
    pub fn options(&self) -> Options {
        Options {
            busy_timeout: self.busy_timeout,
            batch_rows: self.batch_rows,
            max_hold: self.max_hold,
            rebuilds: self.online,
            runner: Runner {
                name: process::this(),
                is_gone: process::is_gone,
            },
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// A phase.
    #[command(flatten)]
    Phase(PhaseCommand),
    /// Take a file through the phases, and the instances of the application to its new version between them
    Rollout(RolloutArgs),
    /// Print the SQL that a phase would run; nothing is changed
    Plan {
        /// Which phase.
        #[command(subcommand)]
        phase: PhaseCommand,
    },
    /// Look whether old and new agree, row by row; nobody waits for it
    Verify(VerifyArgs),
    /// Let the copy of a data migration rest between two batches, from any terminal
    Pause(RestArgs),
    /// Let a copy that rests go on
    Resume(RestArgs),
    /// Show who uses the file, as far as that can be told, and what keeps contract from being
    Who,
    /// Tell of a running application, so that contract waits for it
    Instance {
        /// What to tell.
        #[command(subcommand)]
        word: InstanceCommand,
    },
    /// Show how far the changes have come, and who is at work on them
    Status {
        /// Show it again and again, until no change is under way any more
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = seconds)]
        watch: Option<Duration>,
    },
    /// Show the phases that were applied
    History,
    /// Take changeover's own tables out of a file that has no open change
    Forget,
    /// Answer JSON messages on stdin, one a line
    Node(NodeArgs),
    /// Write the sample: a file with a table `users(name TEXT NOT NULL)`
    Seed {
        /// Where; no file is ever overwritten
        path: PathBuf,
        /// How many rows
        #[arg(long, default_value_t = sample::ROWS)]
        rows: u32,
    },
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, as roff
    Man,
}

/// How `changeover node` answers.
#[derive(Args, Clone, Copy, Debug)]
pub struct NodeArgs {
    /// Wrap each reply in an envelope, with src and dest of the message exchanged
    #[arg(long)]
    pub envelope: bool,
}

/// The phases.
#[derive(Debug, Subcommand)]
pub enum PhaseCommand {
    /// Add the new column beside the old one
    Expand(ExpandArgs),
    /// Copy every value of the old column into the new one
    MigrateData(MigrateDataArgs),
    /// Remove the old column: the new one takes its place
    Contract(ContractArgs),
    /// Give a table an index, while applications go on writing
    AddIndex(AddIndexArgs),
    /// Bring back the old column that a contract with --hold has left behind, with all its values
    Undo(UndoArgs),
    /// Undo a change that is not contracted yet, or the building of an index
    Abort(AbortArgs),
}

/// The new column.
#[derive(Args, Debug)]
pub struct ExpandArgs {
    /// The table
    table: Name,
    /// The column to add
    new_column: Name,
    /// The column that it will replace: its type is taken over, and what contract would refuse is refused now
    #[arg(long, value_name = "OLD_COLUMN")]
    from: Option<Name>,
    /// The declared type, where the old column's own will not do
    #[arg(long = "type", value_name = "TYPE")]
    column_type: Option<String>,
    /// Go on although views or triggers would break
    #[arg(long)]
    allow_breaking: bool,
    /// Print what would run, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// The two columns.
#[derive(Args, Debug)]
pub struct MigrateDataArgs {
    /// The column to copy from
    old_column: Name,
    /// The column to copy to
    new_column: Name,
    /// The table, where the columns do not tell
    #[arg(long)]
    table: Option<Name>,
    /// Whose value counts where both columns hold one
    #[arg(long, value_name = "COLUMN", value_parser = winner())]
    winner: Option<Winner>,
    /// The new value as a SQL expression over the old column, where it is another one; with --down
    #[arg(long, value_name = "EXPRESSION")]
    up: Option<String>,
    /// The old value as a SQL expression over the new column; with --up
    #[arg(long, value_name = "EXPRESSION")]
    down: Option<String>,
    /// Go on where new applications have to write both columns
    #[arg(long)]
    write_both: bool,
    /// Expand first where nothing has yet
    #[arg(long)]
    expand: bool,
    /// Print what would run, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// The column that goes.
#[derive(Args, Debug)]
pub struct ContractArgs {
    /// The table
    table: Name,
    /// The column to remove
    old_column: Name,
    /// Whose value counts where both columns hold one
    #[arg(long, value_name = "COLUMN", value_parser = winner())]
    winner: Option<Winner>,
    /// For how long nobody may have written the old column alone: 90, 90s, 5m or 2h
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    quiet_for: Duration,
    /// Refuse, rather than warn, because of a process that is older than the data migration and has not registered
    #[arg(long)]
    strict: bool,
    /// Wait so long until the gate opens
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration, hide_default_value = true)]
    wait: Duration,
    /// Go past the gate, for a reason that the ledger keeps
    #[arg(long, requires = "reason")]
    force: bool,
    /// The reason to go past the gate
    #[arg(long, value_name = "TEXT", requires = "force")]
    reason: Option<Label>,
    /// Whether the old column can be read still.
    #[command(flatten)]
    held: HoldArgs,
    /// Print what would run, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// For how long the old column can be read still.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub(super) struct HoldArgs {
    /// Leave the old column behind for so long at least, to be read and not written: 90s, 5m or 2h; undo brings it back,
    /// and contract removes it when that time is over
    #[arg(long, value_name = "DURATION", value_parser = hold)]
    hold: Option<Hold>,
    /// Remove the old column although it is held for longer
    #[arg(long)]
    now: bool,
}

/// The table.
#[derive(Args, Debug)]
pub struct UndoArgs {
    /// The table
    table: Name,
    /// Print what would run, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// The index.
#[derive(Args, Debug)]
pub struct AddIndexArgs {
    /// The table
    table: Name,
    /// What it is over.
    #[command(flatten)]
    terms: Terms,
    /// Its name; without it, `TABLE_COLUMN_index`
    #[arg(long)]
    name: Option<Name>,
    /// No two rows may share a key
    #[arg(long)]
    unique: bool,
    /// The condition that rows must fulfil to be in it, as SQL over the columns of the table
    #[arg(long = "where", value_name = "SQL")]
    condition: Option<String>,
    /// Print what would run, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// The table.
#[derive(Args, Debug)]
pub struct AbortArgs {
    /// The table
    table: Name,
    /// Whether values that stand in the new column alone are kept (new) or dropped (old)
    #[arg(long, value_name = "COLUMN", value_parser = winner())]
    winner: Option<Winner>,
    /// Print what would run, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What is rolled out.
#[derive(Args, Debug)]
pub struct RolloutArgs {
    /// The file that describes it, as JSON
    #[arg(required_unless_present = "schema")]
    pub(super) file: Option<PathBuf>,
    /// Print what would run, and run nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print the JSON Schema of the file
    #[arg(long, exclusive = true)]
    pub(super) schema: bool,
}

/// Whose work.
#[derive(Args, Debug)]
pub struct RestArgs {
    /// The table; without it every open change
    table: Option<Name>,
}

impl From<RestArgs> for Rest {
    fn from(RestArgs { table }: RestArgs) -> Self {
        Self { table }
    }
}

/// What is told of an instance.
#[derive(Debug, Subcommand)]
pub enum InstanceCommand {
    /// It runs, and knows the schema up to a version; what it said before is forgotten
    Register(RegisterArgs),
    /// It lives on: its lease begins anew
    Heartbeat(OfInstanceArgs),
    /// It is no more
    Retire(OfInstanceArgs),
    /// Show who has registered
    List,
}

/// An instance, and what it knows.
#[derive(Args, Debug)]
pub struct RegisterArgs {
    /// What tells it from others: a host and a number, for instance
    name: Label,
    /// The version of the latest phase whose outcome it can work with; 0 where it knows of none
    #[arg(long, value_name = "NUMBER")]
    version: u32,
    /// For how long it is believed to live without a heartbeat: 90, 90s, 5m or 2h, at most a day
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = lease)]
    lease: Lease,
    /// The application's own version, for people
    #[arg(long, value_name = "TEXT")]
    app_version: Option<Label>,
    /// The number of its process, so that it is not taken for a stranger
    #[arg(long, value_name = "NUMBER")]
    pid: Option<NonZeroU32>,
}

impl From<RegisterArgs> for RegisterInstance {
    fn from(args: RegisterArgs) -> Self {
        Self {
            name: args.name,
            version: args.version,
            lease_seconds: args.lease,
            app_version: args.app_version,
            pid: args.pid,
        }
    }
}

/// An instance.
#[derive(Args, Debug)]
pub struct OfInstanceArgs {
    /// What it has registered as
    name: Label,
}

impl From<OfInstanceArgs> for OfInstance {
    fn from(OfInstanceArgs { name }: OfInstanceArgs) -> Self {
        Self { name }
    }
}

/// What is compared, and whether it is mended.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// The table; without it every change whose data migration has begun
    table: Option<Name>,
    /// Mend what does not agree: put the sync triggers back, and give rows without a new value one
    #[arg(long)]
    repair: bool,
    /// Whose value counts where both columns hold one
    #[arg(long, value_name = "COLUMN", value_parser = winner(), requires = "repair")]
    winner: Option<Winner>,
    /// Compare an index with its table instead
    #[arg(long, value_name = "NAME", conflicts_with_all = ["table", "repair"])]
    index: Option<Name>,
    /// Print what a repair would run, and change nothing
    #[arg(long, requires = "repair")]
    pub(super) dry_run: bool,
}

impl From<VerifyArgs> for Verify {
    fn from(args: VerifyArgs) -> Self {
        Self {
            table: args.table,
            repair: args.repair,
            winner: args.winner,
            index: args.index,
        }
    }
}

impl PhaseCommand {
    /// Whether it is only to be planned.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        match self {
            Self::Expand(args) => args.dry_run,
            Self::MigrateData(args) => args.dry_run,
            Self::Contract(args) => args.dry_run,
            Self::AddIndex(args) => args.dry_run,
            Self::Undo(args) => args.dry_run,
            Self::Abort(args) => args.dry_run,
        }
    }

    /// What it asks of the engine.
    #[must_use]
    pub fn into_request(self) -> Request {
        match self {
            Self::Expand(args) => Request::Expand(Expand {
                table: args.table,
                add_column: args.new_column,
                column_type: args.column_type,
                from: args.from,
                allow_breaking: args.allow_breaking,
            }),
            Self::MigrateData(args) => Request::MigrateData(MigrateData {
                from: args.old_column,
                to: args.new_column,
                table: args.table,
                winner: args.winner,
                up: args.up,
                down: args.down,
                write_both: args.write_both,
                expand: args.expand,
            }),
            Self::Contract(args) => Request::Contract(Contract {
                table: args.table,
                remove_column: args.old_column,
                winner: args.winner,
                quiet_for: args.quiet_for,
                strict: args.strict,
                wait: args.wait,
                force: args.force,
                reason: args.reason,
                hold: args.held.hold,
                now: args.held.now,
            }),
            Self::AddIndex(args) => Request::AddIndex(AddIndex {
                table: args.table,
                columns: args.terms.0,
                name: args.name,
                unique: args.unique,
                condition: args.condition,
            }),
            Self::Undo(args) => Request::Undo(Undo { table: args.table }),
            Self::Abort(args) => Request::Abort(Abort {
                table: args.table,
                winner: args.winner,
            }),
        }
    }
}

/// Takes a name from a command line. Without this clap would take the conversion that checks nothing.
impl ValueParserFactory for Name {
    type Parser = fn(&str) -> Result<Self, &'static str>;

    fn value_parser() -> Self::Parser {
        str::parse
    }
}

fn winner() -> impl TypedValueParser<Value = Winner> {
    PossibleValuesParser::new(["old", "new"]).map(|word| match word.as_str() {
        "old" => Winner::Old,
        _ => Winner::New,
    })
}

fn rebuilds() -> impl TypedValueParser<Value = Rebuilds> {
    PossibleValuesParser::new(["auto", "always", "never"]).map(|word| match word.as_str() {
        "always" => Rebuilds::Online,
        "never" => Rebuilds::AtOnce,
        _ => Rebuilds::Auto,
    })
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| "not a number of milliseconds".to_owned())?;
    Duration::try_from_secs_f64(number / 1000.0).map_err(|error| error.to_string())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// A number of seconds, or of what its last letter says.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "s"),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "not a duration, as in 90, 90s, 5m or 2h".to_owned())?;
    let seconds = match unit {
        "h" => 3600.0,
        "m" => 60.0,
        _ => 1.0,
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|error| error.to_string())
}

fn hold(text: &str) -> Result<Hold, String> {
    Ok(duration(text)?.try_into()?)
}

fn lease(text: &str) -> Result<Lease, String> {
    let seconds = duration(text)?.as_secs();
    Lease::try_from(i64::try_from(seconds).unwrap_or(i64::MAX))
}
