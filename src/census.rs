//! The census: which processes have a file open, as Linux tells from outside.
//!
//! No database is opened here, nor its log, nor what connections share in memory: a process that closes a file loses all
//! of its own locks on it, those of SQLite among them. To look at their numbers is harmless.

use std::path::Path;
use std::time::Duration;

use crate::instance::Label;

/// A process that has the file open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The command that it was started with.
    pub command: Label,
    /// How long ago it was started.
    pub age: Duration,
}

/// The other processes that have the SQLite file open, by their numbers; none where the system does not tell.
///
/// Those of other users are found by their lock on the file's write-ahead log, where there is one, and not otherwise.
/// What runs in a container of its own, or on another machine, is not seen.
#[must_use]
pub fn holders(file: &Path) -> Option<Vec<Process>> {
    #[cfg(target_os = "linux")]
    return linux::holders(file);
    #[cfg(not(target_os = "linux"))]
    return {
        let _ = file;
        None
    };
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeSet;
    use std::ffi::OsString;
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::path::{Path, PathBuf};
    use std::process;
    use std::time::Duration;

    use super::{Label, Process};
    use crate::process::start_tick;

    /// How many ticks Linux counts in a second towards programs, whatever it does inside.
    const TICKS: u64 = 100;

    /// The byte of the `-shm` file on which every connection to a file with a write-ahead log holds a shared lock, for
    /// as long as it is open.
    const DEAD_MAN_SWITCH: u64 = 128;

    /// What tells a file from all others of the machine.
    type Identity = (u64, u64);

    pub(super) fn holders(file: &Path) -> Option<Vec<Process>> {
        let up = up()?;
        let shared = identity(&beside(file, "-shm"));
        let wanted: Vec<Identity> = identity(file).into_iter().chain(shared).collect();
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        let locking = shared.map_or_else(BTreeSet::new, |(_, inode)| locking(&locks, inode));
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").ok()?.flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|it| it.parse().ok()) else {
                continue;
            };
            // Where its files can be seen they tell; locks name a file less surely, by the number of its inode alone.
            let holds = has_open(pid, &wanted).unwrap_or_else(|| locking.contains(&pid));
            if holds && pid != process::id() {
                found.extend(describe(pid, up));
            }
        }
        found.sort_by_key(|process| process.pid);
        Some(found)
    }

    /// How long the machine has been running.
    fn up() -> Option<Duration> {
        let text = fs::read_to_string("/proc/uptime").ok()?;
        let seconds = text.split(' ').next()?.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    fn beside(file: &Path, suffix: &str) -> PathBuf {
        let mut name = OsString::from(file);
        name.push(suffix);
        name.into()
    }

    fn identity(file: &Path) -> Option<Identity> {
        let metadata = fs::metadata(file).ok()?;
        Some((metadata.dev(), metadata.ino()))
    }

    /// Whether the process has one of the files open; none where that may not be seen.
    fn has_open(pid: u32, wanted: &[Identity]) -> Option<bool> {
        let mut open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        Some(open.any(|entry| {
            let link = entry.path();
            // What has no path is a pipe or a socket.
            fs::read_link(&link).is_ok_and(|target| target.is_absolute())
                && identity(&link).is_some_and(|it| wanted.contains(&it))
        }))
    }

    /// The processes that hold a lock on the switch in the file of that inode, by what `/proc/locks` says:
    ///
    /// `4: POSIX  ADVISORY  READ  4711 fd:00:1234567 128 128`
    pub(super) fn locking(locks: &str, inode: u64) -> BTreeSet<u32> {
        let pid = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, "POSIX", _, _, pid, file, from, to] = fields[..] else {
                return None;
            };
            let is_it = file.rsplit_once(':')?.1.parse() == Ok(inode);
            let from: u64 = from.parse().ok()?;
            let to = to.parse().unwrap_or(u64::MAX);
            (is_it && (from..=to).contains(&DEAD_MAN_SWITCH)).then_some(pid.parse().ok()?)
        };
        locks.lines().filter_map(pid).collect()
    }

    /// The process; none where it has ended meanwhile.
    fn describe(pid: u32, up: Duration) -> Option<Process> {
        let ticks = start_tick(&pid.to_string())?;
        let started = Duration::from_millis(ticks * (1000 / TICKS));
        let mut command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        while command.pop_if(|last| *last == 0).is_some() {}
        if command.is_empty() {
            command = fs::read(format!("/proc/{pid}/comm")).ok()?;
            command.pop();
        }
        for byte in command.iter_mut().filter(|it| **it == 0) {
            *byte = b' ';
        }
        Some(Process {
            pid,
            command: Label::found(&command),
            age: up.saturating_sub(started),
        })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::linux::locking;

    #[test]
    fn locks_name_who_holds_the_switch() {
        let locks = "\
            1: POSIX  ADVISORY  READ  4711 fd:00:77 128 128\n\
            2: POSIX  ADVISORY  READ  4712 fd:00:78 128 128\n\
            3: POSIX  ADVISORY  WRITE 4713 fd:00:77 120 120\n\
            4: OFDLCK ADVISORY  READ  -1 fd:00:77 128 128\n\
            4: -> POSIX  ADVISORY  WRITE 4714 fd:00:77 128 128\n\
            5: POSIX  ADVISORY  WRITE 4715 fd:00:77 0 EOF\n\
            6: FLOCK  ADVISORY  WRITE 4716 fd:00:77 0 EOF\n";
        assert_eq!(
            locking(locks, 77).into_iter().collect::<Vec<_>>(),
            [4711, 4715]
        );
        assert!(locking("", 77).is_empty());
    }
}
