//! Instances of `examples/guestbook` that share a file, and clients that ask them all the while.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{Folder, Ran, finish, on, poll, program, texts};

pub(super) const INSTANCES: [&str; 3] = ["guest-1", "guest-2", "guest-3"];

/// Longer than anything here takes, unless it hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the deploy command of these tests does around the example's own: it takes the instance out of rotation, and
/// waits until nobody is in the middle of a request. `NAME.broken` stands for a build that does not start.
const BALANCED_DEPLOY: &str = r#"#!/bin/sh
set -eu
name=$1 port=$2 version=$3
touch "$name.out"
while [ -e "$name.busy" ]; do sleep 0.01; done
if [ -e "$name.broken" ] && [ "$version" = new ]; then version=broken; fi
echo "deploying $name as $version"
./deploy "$name" "$port" "$version"
rm "$name.out"
"#;

/// Three instances that share a file, and the rollout that takes them to the new version.
pub(super) struct Fleet {
    folder: Folder,
    pub(super) db: PathBuf,
    ports: BTreeMap<&'static str, u16>,
}

impl Fleet {
    /// Three instances of the old version that serve.
    pub(super) fn of_old_versions() -> Self {
        let folder = Folder::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        fs::copy(
            root.join("examples/guestbook/deploy"),
            folder.join("deploy"),
        )
        .unwrap();
        fs::copy(
            root.join("examples/guestbook/deploy"),
            folder.join("balanced"),
        )
        .unwrap();
        fs::write(folder.join("balanced"), BALANCED_DEPLOY).unwrap();
        let fleet = Self {
            db: folder.join("guests.db"),
            ports: INSTANCES.into_iter().zip(free_ports()).collect(),
            folder,
        };
        fleet.describe(|_| ());
        for name in INSTANCES {
            fleet.deploy(name, "old");
        }
        for name in INSTANCES {
            poll("an instance that is up", || fleet.is_up(name).then_some(()));
        }
        fleet
    }

    fn rollout_file(&self) -> PathBuf {
        self.folder.join("rollout.json")
    }

    fn rollout(&self) -> Value {
        let instances = INSTANCES.map(|name| {
            let (port, url) = (self.ports[name].to_string(), self.url(name));
            json!({
                "name": name,
                "deploy": ["./balanced", name, port, "new"],
                "restore": ["./balanced", name, port, "old"],
                "health": {"url": url, "attempts": 40, "interval": 0.05},
            })
        });
        json!({
            "change": {"table": "entries", "from": "name", "to": "full_name"},
            "instances": instances,
            "gate": {"quiet_for": 0.5, "wait": 30},
        })
    }

    /// Says something else in the file of the rollout.
    pub(super) fn describe(&self, change: impl FnOnce(&mut Value)) {
        let mut rollout = self.rollout();
        change(&mut rollout);
        fs::write(self.rollout_file(), rollout.to_string()).unwrap();
    }

    fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/up", self.ports[name])
    }

    /// A command of the program on the file.
    pub(super) fn changeover(&self, arguments: &[&str]) -> Command {
        let mut command = on(&self.db);
        command.args(arguments).current_dir(self.folder.path());
        command.env("PATH", path());
        command
    }

    pub(super) fn roll_out(&self) -> Ran {
        finish(&mut self.changeover(&["rollout", "rollout.json"]), b"")
    }

    fn deploy(&self, name: &str, version: &str) {
        let mut command = Command::new("./deploy");
        command.args([name, &self.ports[name].to_string(), version]);
        command.current_dir(self.folder.path());
        command.env("PATH", path()).env("CHANGEOVER_DB", &self.db);
        finish(&mut command, b"").done();
    }

    fn ask(&self, name: &str, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        ask(self.ports[name], method, path, body)
    }

    fn is_up(&self, name: &str) -> bool {
        matches!(self.ask(name, "GET", "/up", ""), Some((200, _)))
    }

    fn is_in(&self, name: &str, what: &str) -> bool {
        self.folder.join(&format!("{name}.{what}")).exists()
    }

    pub(super) fn mark(&self, name: &str, what: &str) {
        fs::write(self.folder.join(&format!("{name}.{what}")), "").unwrap();
    }

    pub(super) fn unmark(&self, name: &str, what: &str) {
        let _ = fs::remove_file(self.folder.join(&format!("{name}.{what}")));
    }

    pub(super) fn columns(&self) -> Vec<String> {
        texts(
            &self.db,
            "SELECT name FROM pragma_table_info('entries') ORDER BY name",
        )
    }

    /// Does something while clients write to each instance and read from it. Returns what came of it; expects that no
    /// request to an instance in rotation failed, and that each answered write is in the file.
    pub(super) fn under_load<T>(&self, work: impl FnOnce(&Load<'_>) -> T) -> T {
        let load = Load {
            fleet: self,
            is_over: AtomicBool::new(false),
            tallies: Mutex::default(),
        };
        let outcome = thread::scope(|scope| {
            for name in INSTANCES {
                let load = &load;
                scope.spawn(move || load.serve(name));
            }
            // Clients that find something wrong end by themselves.
            let over = Over(&load.is_over);
            let outcome = work(&load);
            drop(over);
            outcome
        });
        load.expect_nothing_lost();
        outcome
    }
}

/// Sets a flag when it goes, be that by a panic.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// No instance outlives its test.
impl Drop for Fleet {
    fn drop(&mut self) {
        for name in INSTANCES {
            let pid = fs::read_to_string(self.folder.join(&format!("{name}.pid")));
            if let Ok(pid) = pid {
                let _ = Command::new("kill").args(["-9", pid.trim()]).output();
            }
        }
    }
}

/// What clients were answered.
pub(super) struct Load<'a> {
    fleet: &'a Fleet,
    is_over: AtomicBool,
    /// The messages that were written, for each instance.
    tallies: Mutex<BTreeMap<&'static str, Vec<String>>>,
}

impl Load<'_> {
    /// A client of one instance, which asks it only while it is in rotation.
    fn serve(&self, name: &'static str) {
        let mut was_out = true;
        for turn in 0.. {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            // Behind this mark whoever wants it out of rotation waits, or we see that it is.
            self.fleet.mark(name, "busy");
            let is_out = self.fleet.is_in(name, "out");
            if is_out || (was_out && !self.fleet.is_up(name)) {
                was_out = true;
            } else {
                was_out = false;
                self.request(name, turn);
            }
            self.fleet.unmark(name, "busy");
            thread::sleep(Duration::from_millis(2));
        }
    }

    #[track_caller]
    fn request(&self, name: &'static str, turn: u32) {
        let message = format!("{name} {turn}");
        let entry = json!({"author": "a client", "message": message});
        let answer = self.fleet.ask(name, "POST", "/", &entry.to_string());
        let Some((201, _)) = answer else {
            panic!("{message}: {answer:?}");
        };
        self.tallies
            .lock()
            .unwrap()
            .entry(name)
            .or_default()
            .push(message);
        if turn.is_multiple_of(16) {
            let answer = self.fleet.ask(name, "GET", "/", "");
            assert!(matches!(answer, Some((200, _))), "{name}: {answer:?}");
        }
    }

    fn written(&self, name: &str) -> usize {
        self.tallies.lock().unwrap().get(name).map_or(0, Vec::len)
    }

    /// Waits until each instance has answered a few more writes.
    #[track_caller]
    pub(super) fn await_writes(&self) {
        for name in INSTANCES {
            let enough = self.written(name) + 5;
            poll("a write that is answered", || {
                (self.written(name) >= enough).then_some(())
            });
        }
    }

    #[track_caller]
    fn expect_nothing_lost(&self) {
        let mut written: Vec<String> = self
            .tallies
            .lock()
            .unwrap()
            .values()
            .flatten()
            .cloned()
            .collect();
        let mut found = texts(&self.fleet.db, "SELECT message FROM entries");
        written.sort();
        found.sort();
        assert_eq!(written, found);
    }
}

/// Asks, and returns the status and the body; none where nobody answers.
fn ask(port: u16, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .ok()?;
    let mut answer = BufReader::new(stream);
    let mut status = String::new();
    answer.read_line(&mut status).ok()?;
    let mut rest = String::new();
    answer.read_to_string(&mut rest).ok()?;
    let status = status.split(' ').nth(1)?.parse().ok()?;
    Some((status, rest.split_once("\r\n\r\n")?.1.to_owned()))
}

/// Ports that nobody has.
fn free_ports() -> Vec<u16> {
    let listeners = INSTANCES.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|it| it.local_addr().unwrap().port()).into()
}

/// Where the program and the examples are found.
fn path() -> String {
    let programs = program().parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    format!(
        "{}:{}:{path}",
        programs.display(),
        programs.join("examples").display()
    )
}
