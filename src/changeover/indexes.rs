//! Indexes at once or beside their table, and the building of the latter.

use std::time::Duration;

use rusqlite::Connection;

use crate::error::{Error, Result};
use crate::event::Event;
use crate::plan::{Building, IndexBuild, Leftovers, Stage, Step};
use crate::schema::{Entries, Key, Object, Schema, Table, Unique};

use super::Options;
use super::backlog::is_void;
use super::cost::{Cost, estimate};
use super::execution::{Execution, Ran, tell};
use super::room::room_for;

/// What the making of an index takes for each row, and for each page that they fill: measured, and rounded up.
const COST: Cost = Cost {
    row: Duration::from_nanos(900),
    page: Duration::from_micros(2),
};

/// How indexes are made: beside their table, or else in one transaction.
#[derive(Default)]
pub(super) struct Making {
    /// What is built beside the table.
    pub(super) building: Option<Building>,
    /// Why it is one transaction, where that is long.
    pub(super) obstacle: Option<String>,
}

impl Making {
    /// The bytes of the disk that it takes beside the table at most; none where nothing is built there.
    ///
    /// Fails with [`Error::NoRoom`] where the disk does not have them.
    pub(super) fn room(
        &self,
        connection: &Connection,
        table: &Table,
        left: &Leftovers,
    ) -> Result<Option<u64>> {
        let building = self.building.as_ref();
        let room = building.map(|it| room_for(connection, table, it.entries.len(), left));
        room.transpose()
    }
}

/// Chooses how to make indexes on a table, which stands in `schema` by the time that they are in their place; `begun` is the
/// ledger's part in the beginning of a longer work.
pub(super) fn making(
    connection: &Connection,
    options: &Options,
    begun: Vec<Step>,
    table: &Table,
    schema: &Schema,
    indexes: &[Object],
) -> Result<Making> {
    let count = u32::try_from(indexes.len()).unwrap_or(u32::MAX);
    let hold = estimate(connection, table, COST * count, options.max_hold)?;
    if indexes.is_empty() || !options.rebuilds.are_online(hold.is_none()) {
        return Ok(Making::default());
    }
    let uniques = Unique::of(connection, table)?;
    if let Some(obstacle) = obstacle(table, &uniques) {
        return Ok(Making {
            obstacle: Some(obstacle),
            ..Making::default()
        });
    }
    let entries = indexes.iter().map(|it| Entries::of(schema, it));
    Ok(Making {
        building: Some(Building {
            entries: entries.collect::<Result<_>>()?,
            uniques,
            is_small: hold.is_some(),
            begun,
        }),
        obstacle: None,
    })
}

/// Why rows that are written meanwhile could not be noted.
pub(super) fn obstacle(table: &Table, uniques: &[Unique]) -> Option<String> {
    if table.key == Key::None {
        return Some("three of its columns have the names by which rowids are found".to_owned());
    }
    let mut uniques = uniques.iter();
    let unknown = uniques.find(|it| !it.is_known_before(table))?;
    Some(format!(
        "what its unique index `{}` holds of a row is not known before the row is written",
        unknown.name.as_str()
    ))
}

impl Execution<'_> {
    /// Builds indexes beside their table; where something about them is not as it must be, they are made at once instead.
    pub(super) fn build(&mut self, build: &IndexBuild) -> Result<Ran> {
        let ran = self.build_beside(build);
        self.database.forget_imposters();
        // What is left of them goes with the connection in any case.
        let _ = self.scratch(&build.tidy);
        match ran {
            Err(error) if is_odd(&error) => {
                // Whatever it was, it may have come of that.
                let (delta, change) = (&build.cutover.delta, self.planned.change);
                if is_void(delta, change, self.database.connection())? || !self.is_fresh()? {
                    return Ok(Ran::Stale);
                }
                let why = error.to_string();
                tell(self.observer, &Event::IndexesAtOnce { why })?;
                self.stages(&build.instead)
            }
            ran => ran,
        }
    }

    fn build_beside(&mut self, build: &IndexBuild) -> Result<Ran> {
        if self.stages(&build.stages)? == Ran::Stale {
            return Ok(Ran::Stale);
        }
        // What nobody else has written since it was read is known.
        if !self.database.is_untouched()? {
            if self.catch_up(&build.cutover.delta)? == Ran::Stale {
                return Ok(Ran::Stale);
            }
            for sweep in &build.compare {
                if self.sweep(sweep)? == Ran::Stale {
                    return Ok(Ran::Stale);
                }
            }
        }
        self.cut_over(&build.cutover)
    }

    fn stages(&mut self, stages: &[Stage]) -> Result<Ran> {
        for stage in stages {
            if self.stage(stage)? == Ran::Stale {
                return Ok(Ran::Stale);
            }
        }
        Ok(Ran::Done)
    }
}

/// Whether it tells of the indexes themselves, rather than of somebody who stopped the work or is in its way.
fn is_odd(error: &Error) -> bool {
    matches!(
        error,
        Error::Unexpected(_) | Error::Constraint(_) | Error::Sqlite(_)
    )
}
