//! Processes by names that no other process has, and whether they still live.

use std::fs;
use std::process;

/// What this process is called.
pub fn this() -> String {
    name(process::id())
}

/// What a process that lives is called: its number, its machine, and when it was started.
#[must_use]
pub fn name(pid: u32) -> String {
    let pid = pid.to_string();
    match (host(), start_tick(&pid)) {
        (Some(host), Some(started)) => {
            format!("process {pid} on {host}, started at tick {started}")
        }
        (Some(host), None) => format!("process {pid} on {host}"),
        (None, _) => format!("process {pid}"),
    }
}

/// Whether a process of that name is known to have ended.
#[must_use]
pub fn is_gone(name: &str) -> bool {
    lives(name) == Some(false)
}

/// Whether a process of that name is known to live.
#[must_use]
pub fn is_alive(name: &str) -> bool {
    lives(name) == Some(true)
}

/// None for what ran on another machine, or where nothing tells.
fn lives(name: &str) -> Option<bool> {
    let (pid, tick) = here(name)?;
    let now = start_tick(pid).map(|it| it.to_string());
    Some(now.as_deref() == Some(tick))
}

/// The number of a process of this machine, and when it was started.
fn here(name: &str) -> Option<(&str, &str)> {
    let (pid, rest) = name.strip_prefix("process ")?.split_once(" on ")?;
    let (at, tick) = rest.rsplit_once(", started at tick ")?;
    (host()? == at).then_some((pid, tick))
}

/// A process and all that it has started, but for what has made itself independent.
#[derive(Clone, Copy, Debug)]
pub struct Group(u32);

impl Group {
    /// Lets a command lead a group of its own, so that Ctrl-C in our terminal is not meant for it.
    pub fn lead(command: &mut process::Command) {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        #[cfg(not(unix))]
        let _ = command;
    }

    /// The group that a child of ours leads.
    #[must_use]
    pub fn of(leader: u32) -> Self {
        Self(leader)
    }

    /// The group of a process by its name, while that is known to live.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let (pid, _) = here(name).filter(|_| is_alive(name))?;
        pid.parse().ok().map(Self)
    }

    /// Asks it to end.
    pub fn terminate(self) {
        #[cfg(unix)]
        self.signal(rustix::process::Signal::TERM);
    }

    /// Ends it.
    pub fn kill(self) {
        #[cfg(unix)]
        self.signal(rustix::process::Signal::KILL);
    }

    /// What has ended meanwhile need not be told.
    #[cfg(unix)]
    fn signal(self, signal: rustix::process::Signal) {
        let leader = i32::try_from(self.0).ok();
        if let Some(leader) = leader.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(leader, signal);
        }
    }
}

/// The machine: a container has a name of its own.
fn host() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned())
}

/// When the process was started, in hundredths of a second since the machine was; none where there is no such process,
/// or nothing of it but how it ended, or nothing tells.
#[must_use]
pub fn start_tick(pid: &str) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program stands in parentheses and may hold anything; this is the 20th field behind it.
    let (_, fields) = stat.rsplit_once(") ")?;
    let is_dead = fields.starts_with(['Z', 'X']);
    fields.split(' ').nth(19).filter(|_| !is_dead)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_gone_when_another_one_has_its_number_or_none() {
        let name = this();
        assert!(!is_gone(&name), "{name}");
        if host().is_some() {
            assert!(is_alive(&name), "{name}");
            assert!(is_gone(&format!("{name}0")));
            assert!(is_gone(&name.replace("process ", "process 9999")));
        }
        for other in [
            "",
            "a program without a name",
            "process 1 on elsewhere, started at tick 1",
        ] {
            assert!(!is_gone(other) && !is_alive(other), "{other}");
        }
    }
}
