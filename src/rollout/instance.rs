//! One instance: deployed, asked whether it is healthy, put back.

use std::path::Path;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::instance::Label;
use crate::process::is_alive;
use crate::request::seconds;

use super::command::{Command, Failure, Variables, await_earlier};
use super::health::Health;
use super::progress::Step;
use super::wave::Voice;

/// How long a command may take, where the file does not say.
const TIMEOUT: Duration = Duration::from_mins(5);

/// An instance of the application, and how it is brought from one version to the other.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// What it is called.
    pub name: Label,
    /// The command that puts the new version in the place of the old one, or of itself.
    pub deploy: Command,
    /// The command that puts the old version back.
    #[serde(default)]
    pub restore: Option<Command>,
    /// How long each of them may take.
    #[serde(default = "timeout", deserialize_with = "seconds")]
    pub timeout: Duration,
    /// What says that it is healthy, in either version.
    pub health: Health,
}

fn timeout() -> Duration {
    TIMEOUT
}

/// Instances, at least one, each of a name of its own.
pub(super) fn instances<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Instance>, D::Error> {
    let instances = Vec::<Instance>::deserialize(from)?;
    if instances.is_empty() {
        return Err(D::Error::custom("a rollout needs at least one instance"));
    }
    for (place, Instance { name, .. }) in instances.iter().enumerate() {
        if let Some(other) = instances[..place].iter().position(|it| it.name == *name) {
            return Err(D::Error::custom(format!(
                "/instances/{other} and /instances/{place} are both called `{name}`"
            )));
        }
    }
    Ok(instances)
}

/// What commands are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'a> {
    /// The path of the file.
    pub(super) db: &'a Path,
    /// The version of the schema before the change.
    pub(super) old_version: i64,
    /// The version of the schema under which new applications may run.
    pub(super) new_version: i64,
}

impl Instance {
    /// Looks whether it still is healthy.
    pub(super) fn look(&self, around: Surroundings<'_>, voice: &Voice) -> Step {
        let healthy = self
            .health
            .check(&self.variables(around, around.new_version), voice);
        healthy.map_or_else(Step::Unhealthy, |()| Step::Healthy)
    }

    /// Brings it to the new version; `earlier` is the process of a command that an earlier run started on it.
    pub(super) fn deploy(
        &self,
        around: Surroundings<'_>,
        earlier: Option<&str>,
        voice: &Voice,
    ) -> Step {
        if let Some(process) = earlier.filter(|it| is_alive(it)) {
            voice.tell(Step::Awaiting {
                process: process.to_owned(),
            });
            await_earlier(process, self.timeout);
        }
        let deploying = |process| voice.tell(Step::Deploying { process });
        let healthy = self.bring(&self.deploy, (around, around.new_version), voice, deploying);
        healthy.map_or_else(Step::Unhealthy, |()| Step::Healthy)
    }

    /// Brings it back to the old version.
    pub(super) fn restore(&self, around: Surroundings<'_>, voice: &Voice) -> Step {
        let Some(restore) = &self.restore else {
            return Step::Left;
        };
        let restoring = |process| voice.tell(Step::Restoring { process });
        let healthy = self.bring(restore, (around, around.old_version), voice, restoring);
        healthy.map_or_else(Step::Lost, |()| Step::Restored)
    }

    fn bring(
        &self,
        command: &Command,
        (around, version): (Surroundings<'_>, i64),
        voice: &Voice,
        started: impl FnOnce(String),
    ) -> Result<(), Failure> {
        let variables = self.variables(around, version);
        command.run(&variables, self.timeout, started)?;
        self.health.check(&variables, voice)
    }

    /// What commands find in their environment.
    fn variables(&self, around: Surroundings<'_>, version: i64) -> Variables {
        [
            ("CHANGEOVER_DB", around.db.display().to_string()),
            ("CHANGEOVER_INSTANCE", self.name.to_string()),
            ("CHANGEOVER_VERSION", version.to_string()),
        ]
    }
}
