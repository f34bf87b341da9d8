//! A Litestream replica that runs through a whole change, as a soak of its own:
//!
//! `CHANGEOVER_LITESTREAM=/path/to/litestream cargo test --test it litestream -- --ignored --nocapture`

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use super::application::{Application, expect_twins, make_tables};
use super::process::{
    Folder, await_end, everything, execute, finish, number, on, poll, skipped, start, texts, words,
};

/// How many people there are besides those that applications write: as many as fill the log more than once.
const MORE: u32 = 200_000;

/// Litestream at work on a file.
struct Litestream {
    replica: Replica,
    db: PathBuf,
    log: PathBuf,
    process: Child,
}

/// What it has written.
struct Replica {
    program: OsString,
    folder: PathBuf,
}

impl Litestream {
    fn start(program: OsString, db: &Path, folder: &Folder) -> Self {
        let log = folder.join("litestream.log");
        let replica = Replica {
            program,
            folder: folder.join("replica"),
        };
        Self {
            process: replica.follow(db, &log),
            replica,
            db: db.to_owned(),
            log,
        }
    }

    /// Ends it in the middle of whatever it does, lets work be done without it, and starts another one.
    fn crash(&mut self, meanwhile: impl FnOnce()) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        meanwhile();
        self.process = self.replica.follow(&self.db, &self.log);
    }

    /// Ends it once it has written what there is, and prints what it said of that.
    fn end(self) -> Replica {
        let mut kill = Command::new("kill");
        kill.arg("-INT").arg(self.process.id().to_string());
        assert!(kill.status().unwrap().success());
        await_end(self.process, b"").done();
        let log = std::fs::read_to_string(&self.log).unwrap();
        let is_told = |line: &&str| !line.contains("level=DEBUG") || line.contains("snapshot");
        for line in log.lines().filter(is_told) {
            println!("litestream: {line}");
        }
        self.replica
    }
}

impl Replica {
    fn url(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    fn follow(&self, db: &Path, log: &Path) -> Child {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(&self.program);
        command.args(["replicate", "-log-level", "debug"]);
        command.arg(db).arg(self.url());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        command.spawn().unwrap()
    }

    /// Restores the file as it was after a transaction, or as it was last.
    fn restore(&self, transaction: Option<&str>, to: &Path) {
        let mut restore = Command::new(&self.program);
        restore.arg("restore").arg("-o").arg(to);
        if let Some(transaction) = transaction {
            restore.args(["-txid", transaction]);
        }
        finish(restore.arg(self.url()), b"").done();
        assert_eq!(texts(to, "PRAGMA integrity_check"), ["ok"]);
    }

    /// The transactions that it can restore; a file is named by its first and its last.
    fn transactions(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.join("ltx/0")).unwrap();
        let names = files.map(|it| it.unwrap().file_name().into_string().unwrap());
        let mut last: Vec<String> = names.map(|it| it[17..33].to_owned()).collect();
        last.sort();
        last
    }
}

/// Does a phase, and prints how long that took and what it said.
fn phase(db: &Path, line: &str) {
    let begun = Instant::now();
    let ran = words(db, line).done();
    println!("{line}: {:.1?}\n{}", begun.elapsed(), ran.stderr);
}

/// What is restored of a change under a writer, and of its online contract above all, is what the file holds in the end;
/// and restored from somewhere in the middle it is a file on which the change can be undone.
#[test]
#[ignore = "wants Litestream, and two minutes"]
fn litestream_replica_of_a_change_restores_to_what_the_file_holds() {
    let Some(program) = env::var_os("CHANGEOVER_LITESTREAM") else {
        return skipped("CHANGEOVER_LITESTREAM does not say where Litestream is");
    };
    for crashes in [false, true] {
        let folder = Folder::new();
        let db = folder.join("app.db");
        make_tables(&db, "WAL");
        execute(
            &db,
            &format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MORE})
                 INSERT INTO people(id, name) SELECT 100000 + i, 'name ' || i || hex(zeroblob(90)) FROM n;
                 INSERT INTO twin SELECT id, name FROM people WHERE id > 100000"
            ),
        );
        let mut litestream = Litestream::start(program.clone(), &db, &folder);
        poll("the first of the replica", || {
            folder.join("replica/ltx/0").exists().then_some(())
        });
        let old = Application::start(&db, "name");
        phase(&db, "expand people full_name --from name");
        phase(&db, "migrate-data name full_name");
        let new = Application::start(&db, "full_name");
        old.end();
        if crashes {
            let contract = start(on(&db).args(["contract", "people", "name", "--quiet-for", "0"]));
            let shadow =
                "SELECT count(*) FROM sqlite_schema WHERE name LIKE '%\\_shadow' ESCAPE '\\'";
            poll("the shadow", || (number(&db, shadow) == 1).then_some(()));
            litestream.crash(|| thread::sleep(Duration::from_secs(2)));
            await_end(contract, b"").done();
        } else {
            phase(&db, "contract people name --quiet-for 0");
        }
        new.await_writes();
        new.end();
        let replica = litestream.end();
        let restored = folder.join("restored.db");
        replica.restore(None, &restored);
        expect_twins(&restored, "full_name");
        assert!(everything(&db) == everything(&restored));
        let transactions = replica.transactions();
        for nth in 1..6 {
            let transaction = &transactions[transactions.len() * nth / 6];
            let restored = folder.join(&format!("{transaction}.db"));
            replica.restore(Some(transaction), &restored);
            let status = words(&restored, "status").done().stdout;
            println!("transaction {transaction}: {status}");
            let column = if status.contains("contracted") {
                "full_name"
            } else {
                words(&restored, "abort people").done();
                "name"
            };
            expect_twins(&restored, column);
        }
    }
}
