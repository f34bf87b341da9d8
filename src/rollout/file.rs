//! The file that describes a rollout.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_path_to_error::{Path as Place, Segment};

use crate::error::{Error, Result};
use crate::instance::Label;
use crate::name::Name;
use crate::request::{Contract, Expand, Hold, MigrateData, QUIET, Request, Winner, seconds};

use super::instance::{Instance, instances};

/// The JSON Schema of the file.
pub const SCHEMA: &str = include_str!("../../docs/rollout.schema.json");

/// The largest file that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// How long the gate is waited for, where the file does not say: the last instances wrote the old column until they were
/// replaced.
const WAIT: Duration = Duration::from_mins(5);

/// How many instances at a time, where the file does not say.
const AT_ONCE: NonZeroU32 = NonZeroU32::MIN;

/// A change, and the instances of the application that go along with it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// Where it was read.
    #[serde(skip)]
    pub(super) path: PathBuf,
    /// For editors that know JSON Schema.
    #[serde(rename = "$schema")]
    _schema: Option<String>,
    /// The change.
    #[serde(deserialize_with = "change")]
    pub change: Change,
    /// How many instances are brought to the new version at the same time.
    #[serde(default = "at_once")]
    pub at_once: NonZeroU32,
    /// The instances, in the order in which they are brought there.
    #[serde(deserialize_with = "instances")]
    pub instances: Vec<Instance>,
    /// What contract asks for.
    #[serde(default, deserialize_with = "gate")]
    pub gate: Gate,
}

/// One column giving way to another.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The table.
    pub table: Name,
    /// The old column.
    pub from: Name,
    /// The new column.
    pub to: Name,
    /// Its declared type, where the old column's own will not do.
    #[serde(default)]
    pub column_type: Option<String>,
    /// Go on although views or triggers of old applications would break.
    #[serde(default)]
    pub allow_breaking: bool,
    /// Whose value counts where both columns hold one.
    #[serde(default)]
    pub winner: Option<Winner>,
    /// The new value as a SQL expression over the old column, where it is another one.
    #[serde(default)]
    pub up: Option<String>,
    /// The old value as a SQL expression over the new column; neither goes without the other.
    #[serde(default)]
    pub down: Option<String>,
    /// Go on where new applications have to write both columns.
    #[serde(default)]
    pub write_both: bool,
    /// For how long the old column can be read still, behind the last instance; it goes at once where nothing is said.
    #[serde(default)]
    pub hold: Option<Hold>,
}

/// What contract asks of the gate behind the last instance. Every field is the one of [`Contract`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gate {
    /// For how long to wait until it opens.
    #[serde(deserialize_with = "seconds")]
    pub wait: Duration,
    /// For how long nobody may have written the old column alone.
    #[serde(deserialize_with = "seconds")]
    pub quiet_for: Duration,
    /// Whether processes that are older than the data migration, and have not registered, keep it shut.
    pub strict: bool,
    /// Whether to go past it; that needs a reason.
    pub force: bool,
    /// Why.
    pub reason: Option<Label>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            wait: WAIT,
            quiet_for: QUIET,
            strict: false,
            force: false,
            reason: None,
        }
    }
}

/// A change whose values go one way by an expression needs another one for the way back.
fn change<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Change, D::Error> {
    let change = Change::deserialize(from)?;
    match (&change.up, &change.down) {
        (Some(_), None) => Err(D::Error::custom("`up` needs `down`")),
        (None, Some(_)) => Err(D::Error::custom("`down` needs `up`")),
        _ => Ok(change),
    }
}

/// A gate that is to be passed by force needs a reason.
fn gate<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Gate, D::Error> {
    let gate = Gate::deserialize(from)?;
    match (gate.force, &gate.reason) {
        (true, None) => Err(D::Error::custom("`force` needs a `reason`")),
        (false, Some(_)) => Err(D::Error::custom("a `reason` is for `force`")),
        _ => Ok(gate),
    }
}

impl Rollout {
    /// Reads the file. Nothing else is looked at.
    ///
    /// Fails with [`Error::BadRollout`] where it cannot be read, or says something that makes no sense.
    pub fn read(path: &Path) -> Result<Self> {
        let bad = |place: String, problem: String| Error::BadRollout {
            path: path.to_owned(),
            place,
            problem,
        };
        let text = read(path).map_err(|error| bad(String::new(), error.to_string()))?;
        let mut parser = serde_json::Deserializer::from_slice(&text);
        let mut rollout: Self = serde_path_to_error::deserialize(&mut parser)
            .map_err(|error| bad(pointer(error.path()), error.inner().to_string()))?;
        parser
            .end()
            .map_err(|error| bad(String::new(), error.to_string()))?;
        path.clone_into(&mut rollout.path);
        Ok(rollout)
    }

    pub(super) fn expand(&self) -> Expand {
        Expand {
            table: self.change.table.clone(),
            add_column: self.change.to.clone(),
            column_type: self.change.column_type.clone(),
            from: Some(self.change.from.clone()),
            allow_breaking: self.change.allow_breaking,
        }
    }

    pub(super) fn migrate_data(&self) -> MigrateData {
        MigrateData {
            from: self.change.from.clone(),
            to: self.change.to.clone(),
            table: Some(self.change.table.clone()),
            winner: self.change.winner,
            up: self.change.up.clone(),
            down: self.change.down.clone(),
            write_both: self.change.write_both,
            expand: false,
        }
    }

    pub(super) fn contract(&self) -> Request {
        Request::Contract(Contract {
            table: self.change.table.clone(),
            remove_column: self.change.from.clone(),
            winner: None,
            quiet_for: self.gate.quiet_for,
            strict: self.gate.strict,
            wait: self.gate.wait,
            force: self.gate.force,
            reason: self.gate.reason.clone(),
            hold: self.change.hold,
            now: false,
        })
    }
}

fn at_once() -> NonZeroU32 {
    AT_ONCE
}

/// The bytes of the file, which must not be too many.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(LIMIT + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LIMIT {
        let problem = format!("it is larger than {} KiB", LIMIT >> 10);
        return Err(io::Error::new(ErrorKind::FileTooLarge, problem));
    }
    Ok(text)
}

/// The place as a JSON pointer: `/instances/2/health/url`; the whole file is the empty one.
fn pointer(place: &Place) -> String {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    place.iter().map(step).collect()
}
