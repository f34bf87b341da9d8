//! Pause and resume: whoever works on a change rests, now or later, until somebody lets it go on.

use rusqlite::Connection;

use crate::database::{Durability, ForeignKeys};
use crate::error::{Error, Result};
use crate::ledger::{self, Ledger};
use crate::name::Name;
use crate::request::Rest;

use super::{Changeover, View};

impl Changeover {
    /// Asks the work on the open changes to pause, and returns their tables.
    pub fn pause(&mut self, asked: &Rest) -> Result<Vec<Name>> {
        self.wish(asked, ledger::pause)
    }

    /// Lets the work on the open changes go on, and returns their tables.
    pub fn resume(&mut self, asked: &Rest) -> Result<Vec<Name>> {
        self.wish(asked, ledger::resume)
    }

    fn wish(
        &mut self,
        asked: &Rest,
        write: fn(&Connection, i64) -> Result<()>,
    ) -> Result<Vec<Name>> {
        let open = self.snapshot(|view| view.open(asked))?;
        Ledger::prepare(&mut self.database)?;
        self.database
            .write(ForeignKeys::Off, Durability::AtOnce, |connection| {
                open.iter().try_for_each(|(id, _)| write(connection, *id))
            })?;
        Ok(open.into_iter().map(|(_, table)| table).collect())
    }
}

impl View<'_> {
    /// The open changes and the indexes that are being built, each by its number and its table.
    fn open(&self, asked: &Rest) -> Result<Vec<(i64, Name)>> {
        if let Some(table) = &asked.table {
            let table = self.table(table)?.name;
            let mut open = self.ledger.open().into_iter();
            let open = open.find(|(_, of)| **of == table);
            let (id, _) = open.ok_or_else(|| Error::NoOpenChange(table.clone()))?;
            return Ok(vec![(id, table)]);
        }
        let open = self.ledger.open().into_iter();
        let open: Vec<_> = open.map(|(id, table)| (id, table.clone())).collect();
        if open.is_empty() {
            return Err(Error::NothingOpen);
        }
        Ok(open)
    }
}
