//! What a rollout keeps in the ledger, and needs to know of the phases around it.

use crate::database::{Durability, ForeignKeys};
use crate::error::Result;
use crate::ledger::{self, Deployment, Ledger};
use crate::plan::Plan;
use crate::request::{Expand, MigrateData, Request};

use super::{Asked, Changeover};

impl Changeover {
    /// What an expand and the data migration behind it would do, one after the other. Nothing is changed.
    pub fn plan_both(&self, expand: &Expand, migrate_data: &MigrateData) -> Result<Vec<Plan>> {
        self.snapshot(|view| {
            if let Asked::Planned(_) = view.expand(expand)? {
                return view.expand_and_migrate(expand, migrate_data);
            }
            let mut plans = view.plans(&Request::Expand(expand.clone()))?;
            plans.extend(view.plans(&Request::MigrateData(migrate_data.clone()))?);
            Ok(plans)
        })
    }

    /// The instances that a rollout of the change has begun with.
    pub fn deployments(&self, change: i64) -> Result<Vec<Deployment>> {
        self.database
            .snapshot(|connection| ledger::deployments(connection, change))
    }

    /// Notes how far a rollout of the change has come with an instance.
    pub fn note_deployment(&mut self, change: i64, now: &Deployment) -> Result<()> {
        Ledger::prepare(&mut self.database)?;
        self.database
            .write(ForeignKeys::Off, Durability::AtOnce, |connection| {
                ledger::note_deployment(connection, change, now)
            })
    }
}
