//! This process, and whether another one still lives.

use std::fs;
use std::process;

use crate::census::start_tick;
use crate::changeover::Runner;

/// This process, by a name that no other has: its number, its machine, and when it was started.
pub(super) fn this() -> Runner {
    let pid = process::id().to_string();
    let name = match (host(), start_tick(&pid)) {
        (Some(host), Some(started)) => {
            format!("process {pid} on {host}, started at tick {started}")
        }
        (Some(host), None) => format!("process {pid} on {host}"),
        (None, _) => format!("process {pid}"),
    };
    Runner { name, is_gone }
}

/// Whether a process of that name has ended. What ran on another machine, or where nothing tells, may still live.
fn is_gone(name: &str) -> bool {
    let parts = || {
        let (pid, rest) = name.strip_prefix("process ")?.split_once(" on ")?;
        let (at, tick) = rest.rsplit_once(", started at tick ")?;
        (host()? == at).then_some((pid, tick))
    };
    parts().is_some_and(|(pid, tick)| {
        start_tick(pid).map(|it| it.to_string()).as_deref() != Some(tick)
    })
}

/// The machine: a container has a name of its own.
fn host() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_gone_when_another_one_has_its_number_or_none() {
        let name = this().name;
        assert!(!is_gone(&name), "{name}");
        if host().is_some() {
            assert!(is_gone(&format!("{name}0")));
            assert!(is_gone(&name.replace("process ", "process 9999")));
        }
        for other in [
            "",
            "a program without a name",
            "process 1 on elsewhere, started at tick 1",
        ] {
            assert!(!is_gone(other), "{other}");
        }
    }
}
