//! A plan under way, and whether the file still is as it expects.

use rusqlite::Connection;

use crate::database::{Database, schema_version};
use crate::error::{Error, Result};
use crate::event::{Event, Observer};
use crate::ledger;
use crate::schema::Schema;

use super::backlog::Backlog;
use super::lease::Lease;
use super::{Options, Planned};

/// Whether a transaction ran, or found the file otherwise than its plan expects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ran {
    Done,
    Stale,
}

/// A plan under way.
pub(super) struct Execution<'a> {
    pub(super) database: &'a Database,
    pub(super) options: &'a Options,
    pub(super) planned: &'a Planned,
    /// The schema that must stand in the file, after what has run so far.
    pub(super) schema: Schema,
    /// And the version of the latest phase.
    pub(super) version: i64,
    pub(super) lease: Option<Lease<'a>>,
    /// What stands in the delta.
    pub(super) backlog: Backlog,
    /// How many rows are next, where a sweep has just met them, or a copy beside nobody else.
    pub(super) rows: Option<u64>,
    pub(super) observer: &'a mut Observer<'a>,
}

impl Execution<'_> {
    /// Whether the file still is as it must be at this point of the plan.
    pub(super) fn is_fresh(&self) -> Result<bool> {
        self.database
            .snapshot(|connection| is_fresh(self.version, &self.schema, connection))
    }
}

/// Whether nobody else has the work, where it is such that one process alone may do it.
pub(super) fn lease_is_held(lease: &mut Option<Lease<'_>>) -> Result<bool> {
    match lease {
        Some(lease) => lease.hold(),
        None => Ok(true),
    }
}

/// Whether the file still is as it must be at this point of the plan.
pub(super) fn is_fresh(version: i64, schema: &Schema, connection: &Connection) -> Result<bool> {
    Ok(ledger::version(connection)? == version && Schema::read(connection)? == *schema)
}

/// The same with less reading, where it is asked again and again: `seen` keeps the number of the schema that
/// was last found fresh, and SQLite changes that number with every schema.
pub(super) fn is_fresh_since(
    version: i64,
    expected: &Schema,
    seen: &mut Option<i64>,
    connection: &Connection,
) -> Result<bool> {
    let schema = schema_version(connection)?;
    if *seen == Some(schema) {
        return Ok(ledger::version(connection)? == version);
    }
    let is_fresh = is_fresh(version, expected, connection)?;
    *seen = is_fresh.then_some(schema);
    Ok(is_fresh)
}

pub(super) fn tell(observer: &mut Observer<'_>, event: &Event) -> Result<()> {
    match observer(event) {
        std::ops::ControlFlow::Continue(()) => Ok(()),
        std::ops::ControlFlow::Break(()) => Err(Error::Stopped),
    }
}
