//! Other ways to the same table: SQL by hand, and programs that rebuild it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::Outcome;
use super::file::by_hand_on;

/// Names a folder in which programs are looked for before `PATH`.
const FOLDER: &str = "CHANGEOVER_PEERS";

/// The table as SQLite's documentation says that one changes it, in one transaction.
const TWELVE_STEPS: [&str; 2] = [
    "PRAGMA foreign_keys = OFF",
    "BEGIN IMMEDIATE;
     CREATE TABLE users_new (id INTEGER PRIMARY KEY, full_name TEXT NOT NULL, mail TEXT, note TEXT);
     INSERT INTO users_new SELECT id, name, mail, note FROM users;
     DROP TABLE users;
     ALTER TABLE users_new RENAME TO users;
     CREATE INDEX users_name ON users (full_name);
     COMMIT;",
];

/// Each a transaction, which makes the pauses shorter than one for all of it.
const COLUMN_BY_COLUMN: [&str; 5] = [
    "ALTER TABLE users ADD COLUMN full_name TEXT",
    "UPDATE users SET full_name = name",
    "CREATE INDEX users_full_name ON users (full_name)",
    "DROP INDEX users_name",
    "ALTER TABLE users DROP COLUMN name",
];

/// How many seconds everybody waits for the lock: longer than any pause, so that a pause is a wait and no failure.
pub(super) const PATIENCE: u64 = 60;

/// One way.
pub(super) struct Peer {
    pub(super) what: &'static str,
    /// What the table then has.
    pub(super) columns: [&'static str; 4],
    way: Way,
}

enum Way {
    Sql(&'static [&'static str]),
    /// The name of a program, and how it is told what to do with a file.
    Program(&'static str, fn(&mut Command, &Path)),
}

const REBUILT: [&str; 4] = ["id", "full_name", "mail", "note"];

/// All of them, the rebuild by hand first.
pub(super) const PEERS: [Peer; 4] = [
    Peer {
        what: "SQLite's twelve steps",
        columns: REBUILT,
        way: Way::Sql(&TWELVE_STEPS),
    },
    Peer {
        what: "ADD, UPDATE, CREATE INDEX, DROP",
        columns: ["id", "mail", "note", "full_name"],
        way: Way::Sql(&COLUMN_BY_COLUMN),
    },
    Peer {
        what: "sqlite-utils transform",
        columns: REBUILT,
        way: Way::Program("sqlite-utils", |program, file| {
            program.arg("transform").arg(file);
            program.args(["users", "--rename", "name", "full_name"]);
        }),
    },
    Peer {
        what: "Alembic batch mode",
        columns: REBUILT,
        way: Way::Program("alembic", |program, file| {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/alembic");
            program.args(["-c", &format!("{folder}/alembic.ini")]);
            program.args(["-x", &format!("file={}", file.display())]);
            program.args(["upgrade", "head"]);
            // Nothing is left beside its scripts.
            program.env("PYTHONDONTWRITEBYTECODE", "1");
        }),
    },
];

impl Peer {
    /// What is missing for it on this machine.
    pub(super) fn missing(&self) -> Option<&str> {
        match self.way {
            Way::Program(name, _) if found(name).is_none() => Some(name),
            _ => None,
        }
    }

    /// Changes the table.
    pub(super) fn change(&self, file: &Path) -> Outcome<()> {
        match self.way {
            Way::Sql(statements) => {
                let connection = by_hand_on(file)?;
                connection.busy_timeout(Duration::from_secs(PATIENCE))?;
                for statement in statements {
                    connection.execute_batch(statement)?;
                }
            }
            Way::Program(name, told) => {
                let mut program = Command::new(found(name).ok_or(name)?);
                told(&mut program, file);
                let output = program.output()?;
                if !output.status.success() {
                    let said = String::from_utf8_lossy(&output.stderr);
                    return Err(format!("{name}: {} {said}", output.status).into());
                }
            }
        }
        Ok(())
    }
}

/// Where a program is.
fn found(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::var_os(FOLDER).map(PathBuf::from).into_iter();
    folders
        .chain(env::split_paths(&path))
        .map(|folder| folder.join(name))
        .find(|it| it.is_file())
}
