//! Runs what the documents show: every command of a `console` block, every message of a `messages` block.
//!
//! The blocks of a page are one session in one folder. `[..]` stands for anything within a line, and on a line
//! of its own for any lines. `cargo run --release --` is the program under test, and `changeover` is too.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use changeover::cli::Cli;
use clap::CommandFactory;

use super::process::{finish, skipped};

const PROGRAM: &str = env!("CARGO_BIN_EXE_changeover");

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap();
    let mut pages: Vec<PathBuf> = docs.map(|entry| entry.unwrap().path()).collect();
    pages.retain(|page| page.extension().is_some_and(|it| it == "md"));
    pages.push(root().join("README.md"));
    pages.sort();
    pages
}

/// The contents of the fenced blocks of one kind.
pub(crate) fn blocks(page: &Path, kind: &str) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap();
    let fence = format!("```{kind}\n");
    let parts = text.split(&fence).skip(1);
    parts
        .map(|part| part.split("```").next().unwrap().to_owned())
        .collect()
}

/// A command and the lines that are shown below it.
struct Shown {
    command: String,
    output: Vec<String>,
}

fn shown(page: &Path) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    for block in blocks(page, "console") {
        for line in block.lines() {
            match (line.strip_prefix("$ "), all.last_mut()) {
                (Some(command), _) => all.push(Shown {
                    command: command.to_owned(),
                    output: Vec::new(),
                }),
                (None, Some(last)) => last.output.push(line.to_owned()),
                (None, None) => panic!("{}: a block begins with a command", page.display()),
            }
        }
    }
    all
}

/// Whether a line fits a pattern in which `[..]` stands for anything.
fn fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("[..]");
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap()) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether the lines fit; a pattern that is `[..]` alone stands for any number of lines.
fn all_fit(patterns: &[String], lines: &[&str]) -> bool {
    match patterns.split_first() {
        None => lines.is_empty(),
        Some((any, rest)) if any == "[..]" => {
            (0..=lines.len()).any(|skipped| all_fit(rest, &lines[skipped..]))
        }
        Some((pattern, rest)) => match lines.split_first() {
            Some((line, more)) => fits(pattern, line) && all_fit(rest, more),
            None => false,
        },
    }
}

/// Puts into the folder what the pages take for granted.
fn bring_along(folder: &Path, ports: &Ports) {
    fs::create_dir(folder.join("fixtures")).unwrap();
    fs::create_dir_all(folder.join("examples/guestbook")).unwrap();
    for file in [
        "fixtures/messages.jsonl",
        "examples/guestbook/deploy",
        "examples/guestbook/rollout.json",
    ] {
        fs::copy(root().join(file), folder.join(file)).unwrap();
    }
    let rollout = folder.join("examples/guestbook/rollout.json");
    let text = fs::read_to_string(&rollout).unwrap();
    fs::write(rollout, ports.instead_of_shown(&text)).unwrap();
}

/// The processes that a page starts in a folder, and leaves there by number. None outlives the test.
struct Started<'a>(&'a Path);

impl Drop for Started<'_> {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.0).unwrap().flatten() {
            if entry.path().extension().is_some_and(|it| it == "pid") {
                let pid = fs::read_to_string(entry.path()).unwrap_or_default();
                let _ = Command::new("kill").args(["-9", pid.trim()]).output();
            }
        }
    }
}

/// Ports that nobody has, in the place of those that are shown.
struct Ports([(&'static str, String); 3]);

impl Ports {
    fn free() -> Self {
        let shown = ["8001", "8002", "8003"];
        let free = shown.map(|it| (it, TcpListener::bind("127.0.0.1:0").unwrap()));
        Self(free.map(|(shown, it)| (shown, it.local_addr().unwrap().port().to_string())))
    }

    fn instead_of_shown(&self, text: &str) -> String {
        let ports = self.0.iter();
        ports.fold(text.to_owned(), |text, (shown, it)| text.replace(shown, it))
    }

    fn as_shown(&self, text: &str) -> String {
        let ports = self.0.iter();
        ports.fold(text.to_owned(), |text, (shown, it)| text.replace(it, shown))
    }
}

fn guestbook() -> PathBuf {
    Path::new(PROGRAM).with_file_name("examples/guestbook")
}

#[test]
fn shown_commands_do_what_is_shown() {
    for page in pages() {
        let folder = tempfile::tempdir().unwrap();
        let shown = shown(&page);
        if page.ends_with("rollout.md") && !guestbook().exists() {
            skipped("the example is not built");
            continue;
        }
        let (started, ports) = (Started(folder.path()), Ports::free());
        bring_along(started.0, &ports);
        let programs = Path::new(PROGRAM).parent().unwrap();
        let programs = [programs.to_owned(), programs.join("examples")];
        let path = std::env::var_os("PATH").unwrap();
        let path = std::env::join_paths(programs.into_iter().chain(std::env::split_paths(&path)));
        let path = path.unwrap();
        for Shown { command, output } in shown {
            let run = command.replace("cargo run --release --", "changeover");
            let run = ports.instead_of_shown(&run);
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("{{ {run}\n}} 2>&1")]);
            shell.current_dir(folder.path()).env("PATH", &path);
            shell.env_remove("CHANGEOVER_DB");
            if page.ends_with("rollout.md") {
                shell.env("CHANGEOVER_DB", "guests.db");
            }
            let done = shell.output().unwrap();
            let printed = ports.as_shown(&String::from_utf8(done.stdout).unwrap());
            let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
            assert!(
                all_fit(&output, &printed),
                "{}: `{command}` prints\n{}\ninstead of\n{}",
                page.display(),
                printed.join("\n"),
                output.join("\n")
            );
        }
    }
}

#[test]
fn shown_messages_get_the_replies_that_are_shown() {
    for page in pages() {
        let lines: Vec<String> = blocks(&page, "messages")
            .iter()
            .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let mut node = Command::new(PROGRAM)
            .arg("node")
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = node.stdin.take().unwrap();
        for message in lines.iter().filter_map(|line| line.strip_prefix("→ ")) {
            writeln!(input, "{message}").unwrap();
        }
        drop(input);
        let printed = String::from_utf8(node.wait_with_output().unwrap().stdout).unwrap();
        let replies = lines.iter().filter_map(|line| line.strip_prefix("← "));
        for (shown, reply) in replies.clone().zip(printed.lines()) {
            assert!(
                fits(shown, reply),
                "{}: the reply is\n{reply}\nnot\n{shown}",
                page.display()
            );
        }
        assert_eq!(
            replies.count(),
            printed.lines().count(),
            "{}",
            page.display()
        );
    }
}

/// On a small table; `cargo test` has made the program.
#[test]
fn the_example_shows_a_change_in_which_no_statement_fails() {
    let example = Path::new(PROGRAM).with_file_name("examples/live_rename");
    if !example.exists() {
        return skipped("the example is not built");
    }
    let ran = finish(Command::new(example).arg("2000"), b"").done();
    let lines = ran.lines();
    for phase in ["expand", "migrate data", "contract"] {
        let done = format!("{phase}: done in ");
        assert!(lines.iter().any(|it| it.starts_with(&done)), "{ran:?}");
    }
    for version in ["old", "new"] {
        let verdict = format!("{version} version: 0 statements failed");
        assert!(lines.iter().any(|it| it.starts_with(&verdict)), "{ran:?}");
    }
    assert!(lines.contains(&"integrity_check: ok"), "{ran:?}");
}

#[test]
fn the_tests_are_run_as_the_readme_says() {
    let command = blocks(&root().join("README.md"), "sh").concat();
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(ci.lines().any(|line| line == command.trim()), "{command}");
}

#[test]
fn every_command_option_and_error_code_is_documented() {
    let pages: String = pages()
        .iter()
        .map(|page| fs::read_to_string(page).unwrap())
        .collect();
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        assert!(
            pages.contains(&format!("`{name}")),
            "the command `{name}` is not documented"
        );
    }
    for code in [10, 11, 12, 13, 20, 21, 22] {
        assert!(
            pages.contains(&format!("| {code} |")),
            "code {code} is not documented"
        );
    }
    for field in [
        "table",
        "add_column",
        "column_type",
        "from",
        "allow_breaking",
        "to",
        "winner",
        "remove_column",
        "up",
        "down",
        "write_both",
        "repair",
        "index",
        "columns",
        "collation",
        "descending",
        "expression",
        "unique",
        "where",
        "quiet_for",
        "strict",
        "wait",
        "force",
        "reason",
        "name",
        "version",
        "lease_seconds",
        "app_version",
        "pid",
    ] {
        assert!(
            pages.contains(&format!("`{field}`")),
            "the field `{field}` is not documented"
        );
    }
}
