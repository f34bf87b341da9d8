//! A rollout: the phases of a change, and between them the instances of the application, a few at a time.
//!
//! Expand, migrate data; then each instance is deployed and must be found healthy before the next ones are touched;
//! then contract. What is done is in the ledger: a rollout that was stopped, or killed, goes on where it was.

mod command;
mod file;
mod health;
mod instance;
mod progress;
mod wave;

use std::fs::{File, TryLockError};
use std::ops::ControlFlow;
use std::path::Path;

use crate::changeover::Changeover;
use crate::error::{Error, Result};
use crate::ledger::{Deployment, Entry};
use crate::phase::State;
use crate::plan::Plan;
use crate::request::Request;

pub use command::{Command, Failure};
pub use file::{Change, Gate, Rollout, SCHEMA};
pub use health::{Health, Probe};
pub use instance::Instance;
pub use progress::{Observer, Progress, Step};

use instance::Surroundings;
use wave::Voice;

/// What a rollout would do in the file, as far as that can be told.
#[derive(Debug)]
pub struct Plans {
    /// Before the instances: expand and migrate data.
    pub before: Vec<Plan>,
    /// Behind them: contract. Empty as long as the data are not migrated.
    pub behind: Vec<Plan>,
}

impl Rollout {
    /// What it would do in the file. Nothing is changed, and no command is run.
    pub fn plan(&self, changeover: &Changeover) -> Result<Plans> {
        let before = changeover.plan_both(&self.expand(), &self.migrate_data())?;
        let is_applied = before.iter().all(|it| it.transactions().is_empty());
        let behind = if is_applied {
            changeover.plan(&self.contract())?
        } else {
            Vec::new()
        };
        Ok(Plans { before, behind })
    }

    /// Takes the file through the phases, and the instances to the new version. `db` is the path of the file, for
    /// the commands. Returns the record of contract.
    ///
    /// Fails with [`Error::Unhealthy`] behind instances that did not become healthy: they are back in the old version
    /// where there is a command for that, and both versions go on. Where the observer asks to stop between two
    /// instances, with [`Error::Stopped`]. Run again it goes on.
    pub fn run(
        &self,
        changeover: &mut Changeover,
        db: &Path,
        observer: &mut Observer<'_>,
    ) -> Result<Entry> {
        let _lock = self.lock()?;
        // What is refused is refused before anything is done.
        changeover.plan_both(&self.expand(), &self.migrate_data())?;
        let expanded = apply(changeover, &Request::Expand(self.expand()), observer)?;
        let migrate_data = Request::MigrateData(self.migrate_data());
        let migrated = apply(changeover, &migrate_data, observer)?;
        if Self::waits_for_instances(changeover, expanded.change)? {
            Rolling {
                rollout: self,
                change: expanded.change,
                around: Surroundings {
                    db,
                    old_version: expanded.version - 1,
                    new_version: migrated.version,
                },
                changeover,
                observer,
            }
            .run()?;
        }
        apply(changeover, &self.contract(), observer)
    }

    /// Keeps every other rollout of this file away while the lock lives. A process that is killed has it no more.
    fn lock(&self) -> Result<File> {
        let file = File::open(&self.path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                Err(Error::Running(format!("it runs `{}`", self.path.display())))
            }
            // Where there are no locks, somebody has to see to it that there is one rollout at a time.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
        }
    }

    /// Whether contract has not begun yet. Once it has, every instance had been found healthy, and none could go back.
    fn waits_for_instances(changeover: &Changeover, change: i64) -> Result<bool> {
        let changes = changeover.status()?.changes;
        let change = changes.iter().find(|it| it.id == change);
        Ok(change.is_some_and(|it| it.state == State::Migrated))
    }
}

/// Applies a phase, or has its record told again.
fn apply(
    changeover: &mut Changeover,
    request: &Request,
    observer: &mut Observer<'_>,
) -> Result<Entry> {
    let entry = changeover.apply(request, &mut |event| observer(&Progress::Event(event)))?;
    // What is done is done; who wants to stop is heard before the next step.
    let _ = observer(&Progress::Applied(&entry));
    Ok(entry)
}

/// The instances on their way.
struct Rolling<'a, 'o> {
    rollout: &'a Rollout,
    change: i64,
    around: Surroundings<'a>,
    changeover: &'a mut Changeover,
    observer: &'a mut Observer<'o>,
}

impl<'a> Rolling<'a, '_> {
    fn run(mut self) -> Result<()> {
        let at_once = usize::try_from(self.rollout.at_once.get()).unwrap_or(usize::MAX);
        for wave in self.outstanding()?.chunks(at_once) {
            self.tell(&Progress::Working)?;
            self.bring(wave)?;
        }
        Ok(())
    }

    /// The instances that were not found healthy behind their command, or are so no longer.
    fn outstanding(&mut self) -> Result<Vec<&'a Instance>> {
        let (known, around) = (self.changeover.deployments(self.change)?, self.around);
        let is_done = |instance: &&Instance| {
            let same = |it: &Deployment| {
                it.instance == instance.name.as_str() && it.command == instance.deploy.to_string()
            };
            known.iter().any(|it| it.is_healthy && same(it))
        };
        let all = self.rollout.instances.iter();
        let done: Vec<_> = all.clone().filter(is_done).map(|it| (it, ())).collect();
        let (steps, heard) =
            self.at_once(&done, |(instance, ()), voice| instance.look(around, voice));
        heard?;
        let healthy = done.iter().zip(steps);
        let healthy = healthy.filter(|(_, step)| *step == Step::Healthy);
        let healthy: Vec<_> = healthy.map(|((it, ()), _)| &it.name).collect();
        Ok(all.filter(|it| !healthy.contains(&&it.name)).collect())
    }

    /// Brings some instances to the new version at the same time, and those that do not become healthy back.
    fn bring(&mut self, wave: &[&'a Instance]) -> Result<()> {
        let (known, around) = (self.changeover.deployments(self.change)?, self.around);
        let process = |instance: &Instance| {
            let mut known = known.iter();
            let earlier = known.find(|it| it.instance == instance.name.as_str())?;
            earlier.process.clone()
        };
        let begun: Vec<_> = wave.iter().map(|it| (*it, process(it))).collect();
        for (instance, process) in &begun {
            self.note(instance, process.clone(), false)?;
        }
        let (steps, heard) = self.at_once(&begun, |(instance, earlier), voice| {
            instance.deploy(around, earlier.as_deref(), voice)
        });
        let failed: Vec<_> = wave.iter().zip(steps).filter_map(failure).collect();
        if failed.is_empty() {
            return heard;
        }
        // Whatever else has gone wrong meanwhile, both versions are to go on.
        let (steps, _) = self.at_once(&failed, |(instance, _), voice| {
            instance.restore(around, voice)
        });
        let outcomes = failed.iter().zip(&steps);
        Err(Error::Unhealthy(outcomes.map(sentence).collect()))
    }

    /// Does something with several instances at the same time. What becomes of them is in the ledger before it is told.
    fn at_once<With: Sync>(
        &mut self,
        items: &[(&Instance, With)],
        work: impl Fn(&(&Instance, With), &Voice) -> Step + Sync,
    ) -> (Vec<Step>, Result<()>) {
        wave::at_once(items, work, |news| {
            let Some(((instance, _), step)) = news else {
                return self.tell(&Progress::Working);
            };
            self.keep(instance, step)?;
            let name = instance.name.as_str();
            self.tell(&Progress::Instance { name, step })
        })
    }

    /// Fails with [`Error::Stopped`] where the observer wants to go no further.
    fn tell(&mut self, progress: &Progress<'_>) -> Result<()> {
        match (self.observer)(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Stopped),
        }
    }

    /// Keeps in the ledger what another run needs to know.
    fn keep(&mut self, instance: &Instance, step: &Step) -> Result<()> {
        match step {
            Step::Deploying { process } | Step::Restoring { process } => {
                self.note(instance, Some(process.clone()), false)
            }
            Step::Healthy => self.note(instance, None, true),
            Step::Unanswered { .. }
            | Step::Awaiting { .. }
            | Step::Unhealthy(_)
            | Step::Restored
            | Step::Lost(_)
            | Step::Left => Ok(()),
        }
    }

    fn note(
        &mut self,
        instance: &Instance,
        process: Option<String>,
        is_healthy: bool,
    ) -> Result<()> {
        let now = Deployment {
            instance: instance.name.to_string(),
            command: instance.deploy.to_string(),
            process,
            is_healthy,
        };
        match self.changeover.note_deployment(self.change, &now) {
            // Who asks us to stop interrupts what SQLite does at that moment. This is to be known all the same.
            Err(Error::Stopped) => self.changeover.note_deployment(self.change, &now),
            noted => noted,
        }
    }
}

fn failure<'a>((instance, step): (&&'a Instance, Step)) -> Option<(&'a Instance, Failure)> {
    match step {
        Step::Unhealthy(failure) => Some((instance, failure)),
        _ => None,
    }
}

/// What has become of an instance that was to be put back.
fn sentence(((instance, failure), step): (&(&Instance, Failure), &Step)) -> String {
    let now = match step {
        Step::Restored => "it is back in the old version, and healthy".to_owned(),
        Step::Lost(failure) => format!("nor is it in the old version: {}", failure.reason),
        _ => "it has no `restore` command".to_owned(),
    };
    format!("{}: {}; {now}", instance.name, failure.reason)
}
