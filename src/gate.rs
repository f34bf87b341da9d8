//! The gate before contract: who may still use the old column, judged by what is known. Reads nothing itself.

use std::fmt;
use std::time::Duration;

use crate::census::Process;
use crate::instance::Instance;
use crate::name::Name;
use crate::phase::State;
use crate::time::rounded;

/// What is known of an open change, and of those who use the file.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The old column, once it is named.
    pub old: Option<&'a Name>,
    /// How far the change has come.
    pub state: State,
    /// The end of its data migration; none before that.
    pub migrated: Option<Migrated>,
    /// The version of the latest phase of the file.
    pub latest: i64,
    /// Who has registered, live or not.
    pub instances: &'a [Instance],
    /// How long ago an application last wrote the old column alone.
    pub old_write: Option<Duration>,
    /// Who else has the file open; none where the system does not tell.
    pub processes: Option<&'a [Process]>,
}

/// The end of a data migration, from which on new applications may run.
#[derive(Clone, Copy, Debug)]
pub struct Migrated {
    /// The version under which it is recorded.
    pub version: i64,
    /// How long ago that was.
    pub ago: Duration,
}

/// What is asked of the gate.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// For how long nobody may have written the old column alone.
    pub quiet_for: Duration,
    /// Whether processes that are older than the data migration, and have not registered, are a reason to refuse.
    pub strict: bool,
}

/// What the gate says.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Why contract may not be; it may where there are none.
    pub reasons: Vec<Reason>,
    /// What speaks against it, and does not keep it.
    pub warnings: Vec<Reason>,
}

impl Verdict {
    /// Whether contract may be.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// Something that speaks against a contract. Written out it is the finding and what would clear it.
#[derive(Clone, Debug)]
pub enum Reason {
    /// The data are not migrated yet, or the change is being undone.
    NotMigrated {
        /// How far the change has come.
        state: State,
    },
    /// A live instance does not know the new column.
    Instance {
        /// It.
        instance: Instance,
        /// The version that it would have to know.
        needed: i64,
        /// The latest that it can know.
        latest: i64,
    },
    /// An application has written the old column alone.
    OldWrite {
        /// The old column.
        old: Name,
        /// How long ago.
        ago: Duration,
        /// How long nobody may have.
        quiet_for: Duration,
    },
    /// A process is older than the data migration, and has not registered.
    Process {
        /// It.
        process: Process,
        /// The version of the data migration.
        needed: i64,
    },
    /// Which processes have the file open cannot be told, and was to be heeded.
    NoCensus,
}

impl Reason {
    /// The kind of evidence, in a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotMigrated { .. } => "not_migrated",
            Self::Instance { .. } => "instance",
            Self::OldWrite { .. } => "old_write",
            Self::Process { .. } => "process",
            Self::NoCensus => "no_census",
        }
    }

    /// What was found. It stays the same for as long as the reason does.
    #[must_use]
    pub fn finding(&self) -> String {
        match self {
            Self::NotMigrated {
                state: State::Aborting | State::Undoing,
            } => "the change is being undone".to_owned(),
            Self::NotMigrated { state } => {
                format!("the data are not migrated: the change is {state}")
            }
            Self::Instance {
                instance: Instance { name, version, .. },
                needed,
                latest,
            } => {
                if i64::from(*version) > *latest {
                    format!(
                        "instance `{name}` says version {version}, which the file has not come to: it is not believed"
                    )
                } else {
                    format!(
                        "instance `{name}` knows version {version}, and the new column came with version {needed}"
                    )
                }
            }
            Self::OldWrite { old, .. } => {
                format!("an application still writes `{}` alone", old.as_str())
            }
            Self::Process { process, needed } => format!(
                "process {} (`{}`) is older than version {needed}, has the file open and is not registered",
                process.pid, process.command
            ),
            Self::NoCensus => {
                "which processes have the file open cannot be told on this system".to_owned()
            }
        }
    }

    /// What would clear it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::NotMigrated {
                state: State::Aborting,
            } => "let abort come to its end".to_owned(),
            Self::NotMigrated {
                state: State::Undoing,
            } => "let undo come to its end".to_owned(),
            Self::NotMigrated { .. } => "run migrate data".to_owned(),
            Self::Instance {
                instance, needed, ..
            } => format!(
                "retire it, or register it anew with version {needed}; its lease ends in {}",
                rounded(instance.left.unwrap_or_default())
            ),
            Self::OldWrite { ago, quiet_for, .. } => format!(
                "stop the old versions; the last write was {} ago, and {} more without one will do",
                rounded(*ago),
                rounded(quiet_for.saturating_sub(*ago))
            ),
            Self::Process { .. } => {
                "end it if it is of an old version, or let it register with its process id"
                    .to_owned()
            }
            Self::NoCensus => "contract without --strict (`strict`)".to_owned(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.finding(), self.remedy())
    }
}

/// Whether the change may be contracted. One that is contracting has passed the gate already.
#[must_use]
pub fn judge(facts: &Facts<'_>, terms: &Terms) -> Verdict {
    match (facts.state, facts.migrated) {
        (State::Contracting, _) => Verdict::default(),
        (State::Migrated | State::Held, Some(migrated)) => weigh(facts, migrated, terms),
        (state, _) => Verdict {
            reasons: vec![Reason::NotMigrated { state }],
            warnings: Vec::new(),
        },
    }
}

fn weigh(facts: &Facts<'_>, migrated: Migrated, terms: &Terms) -> Verdict {
    let mut reasons: Vec<Reason> = behind(facts, migrated.version).collect();
    reasons.extend(noisy(facts, terms.quiet_for));
    let mut warnings: Vec<Reason> = strangers(facts, migrated).collect();
    if terms.strict {
        reasons.append(&mut warnings);
        reasons.extend(facts.processes.is_none().then_some(Reason::NoCensus));
    }
    Verdict { reasons, warnings }
}

/// The live instances that do not know the new column, or claim to know what nobody can.
fn behind<'a>(facts: &'a Facts<'_>, needed: i64) -> impl Iterator<Item = Reason> + 'a {
    let latest = facts.latest;
    let behind = facts
        .instances
        .iter()
        .filter(move |it| it.is_live() && !(needed..=latest).contains(&i64::from(it.version)));
    behind.map(move |instance| Reason::Instance {
        instance: instance.clone(),
        needed,
        latest,
    })
}

/// A write of the old column that is too fresh.
fn noisy(facts: &Facts<'_>, quiet_for: Duration) -> Option<Reason> {
    // A column that is held can be written by nobody.
    let is_written = facts.state == State::Migrated;
    let ago = facts
        .old_write
        .filter(|ago| is_written && *ago < quiet_for)?;
    Some(Reason::OldWrite {
        old: facts.old?.clone(),
        ago,
        quiet_for,
    })
}

/// The processes that are older than the new column and of which nothing is known. What a live instance says of its own
/// process is believed, or judged as its word.
fn strangers<'a>(facts: &'a Facts<'_>, migrated: Migrated) -> impl Iterator<Item = Reason> + 'a {
    let is_registered = |process: &Process| {
        let mut live = facts.instances.iter().filter(|it| it.is_live());
        live.any(|it| it.pid.is_some_and(|pid| pid.get() == process.pid))
    };
    let processes = facts.processes.unwrap_or_default().iter();
    let strangers = processes.filter(move |it| it.age >= migrated.ago && !is_registered(it));
    strangers.map(move |process| Reason::Process {
        process: process.clone(),
        needed: migrated.version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_to_heed_processes_is_refused_where_none_can_be_seen() {
        let facts = Facts {
            old: None,
            state: State::Migrated,
            migrated: Some(Migrated {
                version: 2,
                ago: Duration::ZERO,
            }),
            latest: 2,
            instances: &[],
            old_write: None,
            processes: None,
        };
        let on = |strict| {
            let quiet_for = Duration::ZERO;
            judge(&facts, &Terms { quiet_for, strict })
        };
        assert!(on(false).is_open());
        assert_eq!(on(true).reasons[0].kind(), "no_census");
    }
}
