//! What it costs an application to write while both columns are kept in step.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::file::{Copy, prepare};
use super::ours::{expanded, migrated};
use super::table::{Table, counted};
use super::{Outcome, Sizes};

/// What an application writes, in a file as it was and in one whose columns are kept in step.
struct Write {
    what: &'static str,
    /// Of an application that knows the old column, as all did before.
    without: &'static str,
    /// Of one that knows the old column, or the new one.
    with: &'static str,
}

const WRITES: [Write; 4] = [
    Write {
        what: "UPDATE of the old column",
        without: "UPDATE users SET name = 'Name ' || ?1 || ?2 WHERE id = ?1",
        with: "UPDATE users SET name = 'Name ' || ?1 || ?2 WHERE id = ?1",
    },
    Write {
        what: "UPDATE of the new column",
        without: "UPDATE users SET name = 'Name ' || ?1 || ?2 WHERE id = ?1",
        with: "UPDATE users SET full_name = 'Name ' || ?1 || ?2 WHERE id = ?1",
    },
    Write {
        what: "UPDATE of another column",
        without: "UPDATE users SET mail = 'Mail ' || ?1 || ?2 WHERE id = ?1",
        with: "UPDATE users SET mail = 'Mail ' || ?1 || ?2 WHERE id = ?1",
    },
    Write {
        what: "INSERT",
        without: "INSERT INTO users (name, mail) VALUES ('Name ' || ?1 || ?2, NULL)",
        with: "INSERT INTO users (full_name, mail) VALUES ('Name ' || ?1 || ?2, NULL)",
    },
];

/// Rows in one transaction: one by one, as most applications write, and many.
const IN_A_TRANSACTION: [u32; 2] = [1, 100];

/// Transactions in one measurement.
const TRANSACTIONS: u32 = 500;

/// Measures each write on two files, which take turns.
pub(super) fn synced_writes(sizes: &Sizes, folder: &Path, table: &mut Table) -> Outcome<()> {
    let prepared = folder.join("prepared.db");
    prepare(&prepared, sizes.few_rows)?;
    // The indexes of both columns cost what indexes cost.
    Connection::open(&prepared)?.execute_batch("DROP INDEX users_name")?;
    let (plain, synced) = (Copy::of(&prepared)?, Copy(prepared));
    migrated(&mut expanded(&synced.0)?)?;
    let (plain, synced) = (application(&plain.0)?, application(&synced.0)?);
    for write in WRITES {
        for rows in IN_A_TRANSACTION {
            let mut pairs = Vec::new();
            for run in 0..u32::try_from(sizes.runs)? {
                let with = took(&synced, write.with, rows, run, sizes.few_rows)?;
                let without = took(&plain, write.without, rows, run, sizes.few_rows)?;
                pairs.push((with, without));
            }
            let what = write.what;
            let each = if rows == 1 {
                "row by row".to_owned()
            } else {
                format!("{} rows a transaction", counted(rows))
            };
            let target = (rows == 1).then_some(1.4);
            table.times(format!("in step, {each}: {what}"), &pairs, target);
        }
    }
    Ok(())
}

fn application(path: &Path) -> Outcome<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

/// Writes rows all over the table, in no order, and returns how long a transaction took on average.
fn took(connection: &Connection, sql: &str, rows: u32, run: u32, all: u32) -> Outcome<Duration> {
    let mut statement = connection.prepare(sql)?;
    let mut id = run;
    let started = Instant::now();
    for _ in 0..TRANSACTIONS {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for _ in 0..rows {
            id = (id + 7_919_777) % all;
            statement.execute([id, run])?;
        }
        connection.execute_batch("COMMIT")?;
    }
    Ok(started.elapsed() / TRANSACTIONS)
}
