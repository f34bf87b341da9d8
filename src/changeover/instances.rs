//! Instances: applications that announce themselves, tell that they live on, and retire.

use rusqlite::Connection;

use crate::database::{Durability, ForeignKeys};
use crate::error::{Error, Result};
use crate::instance::Instance;
use crate::ledger::{self, Ledger};
use crate::request::{OfInstance, RegisterInstance};

use super::{Changeover, View};

impl Changeover {
    /// Registers an instance, in the place of one of that name; makes the ledger where the file has none. Returns the
    /// instance as the file then knows it.
    ///
    /// Fails with [`Error::VersionAhead`] where it says a version that the file has not come to.
    pub fn register_instance(&mut self, asked: &RegisterInstance) -> Result<Instance> {
        self.snapshot(|view| view.expect_known(asked))?;
        Ledger::prepare(&mut self.database)?;
        self.write(|connection| ledger::register(connection, asked))
    }

    /// Begins the lease of an instance anew.
    ///
    /// Fails with [`Error::NoSuchInstance`] where none of that name lives: the lease has ended, and a contract may have
    /// passed the gate since.
    pub fn heartbeat(&mut self, asked: &OfInstance) -> Result<Instance> {
        self.expect_readable()?;
        let renewed = self.write(|connection| ledger::heartbeat(connection, &asked.name))?;
        renewed.ok_or_else(|| Error::NoSuchInstance(asked.name.clone()))
    }

    /// Takes an instance out. Returns whether there was one of that name: who has lost the answer may ask again.
    pub fn retire_instance(&mut self, asked: &OfInstance) -> Result<bool> {
        self.expect_readable()?;
        self.write(|connection| ledger::retire(connection, &asked.name))
    }

    /// Who has registered: those that live first. Of more than a thousand, those that know the least.
    pub fn instances(&self) -> Result<Vec<Instance>> {
        self.snapshot(|view| ledger::instances(view.connection))
    }

    /// Fails where the ledger is one that a later changeover wrote.
    fn expect_readable(&self) -> Result<()> {
        self.snapshot(|_| Ok(()))
    }

    fn write<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.database
            .write(ForeignKeys::Off, Durability::Later, work)
    }
}

impl View<'_> {
    /// Fails where an instance says that it knows what there is not yet.
    fn expect_known(&self, asked: &RegisterInstance) -> Result<()> {
        let latest = self.ledger.version();
        if i64::from(asked.version) <= latest {
            return Ok(());
        }
        Err(Error::VersionAhead {
            name: asked.name.clone(),
            version: asked.version,
            latest,
        })
    }

    /// Who has registered.
    pub(super) fn instances(&self) -> Result<Vec<Instance>> {
        ledger::instances(self.connection)
    }
}
