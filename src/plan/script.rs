//! A plan as a SQL script that people can read, and sqlite3 can run.

use std::fmt;

use super::{Expect, Manner, Plan};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in &self.warnings {
            writeln!(f, "-- warning: {}", warning.replace('\n', " "))?;
        }
        for (number, (manner, steps, purpose)) in self.transactions().into_iter().enumerate() {
            writeln!(f, "\n-- transaction {}: {purpose}", number + 1)?;
            if manner == Manner::Batches {
                writeln!(f, "-- (here in one go; in truth in short transactions)")?;
            }
            let begin = match manner {
                Manner::Sweep | Manner::Scratch => "BEGIN",
                Manner::Once | Manner::Batches => "BEGIN IMMEDIATE",
            };
            writeln!(f, "{begin};")?;
            for step in &steps {
                let must = match &step.expect {
                    Expect::Success => String::new(),
                    Expect::Changes(rows) => format!(" (must change {rows} rows)"),
                    Expect::NoRow(_)
                    | Expect::Agreement { .. }
                    | Expect::Distinct { .. }
                    | Expect::NothingLost { .. } => " (must find no row)".to_owned(),
                };
                writeln!(f, "-- {}{must}", step.why.replace('\n', " "))?;
                writeln!(f, "{};", step.statement.expanded())?;
            }
            writeln!(f, "COMMIT;")?;
        }
        Ok(())
    }
}
