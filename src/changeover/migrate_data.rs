//! Migrate data: which change is meant, whether it may be, and the plan for it.

use crate::error::{Error, Result};
use crate::ledger::{Change, Ledger};
use crate::name::Name;
use crate::phase::{Phase, State};
use crate::plan::{self, Plan};
use crate::request::{Expand, MigrateData};
use crate::schema::{Schema, Table, tables_with};

use super::expand::expect_source;
use super::{Asked, View, agreement, replaces};

impl View<'_> {
    pub(super) fn migrate_data(&self, asked: &MigrateData) -> Result<Asked> {
        let Some(change) = self.change_meant(asked)? else {
            return Err(nothing_to_migrate(asked));
        };
        if matches!(change.state, State::Migrated | State::Contracted) {
            return self.answered(change, Phase::MigrateData);
        }
        let table = self.table(&change.table)?;
        let before = self.text_before(change);
        let plan = migration(&self.schema, &table, before, change, &self.ledger, asked)?;
        Ok(self.planned(plan, change.id))
    }

    /// The expand that must come first where no change was expanded for this data; none where one was.
    pub(super) fn expand_first(&self, asked: &MigrateData) -> Result<Option<Expand>> {
        if let Some(table) = &asked.table {
            self.table(table)?;
        }
        if self.change_meant(asked)?.is_some() {
            return Ok(None);
        }
        if !asked.expand {
            return Err(nothing_to_migrate(asked));
        }
        let tables = match &asked.table {
            Some(table) => vec![table.clone()],
            None => tables_with(self.connection, &asked.from)?,
        };
        match tables.as_slice() {
            [] => Err(Error::NoTableHas(asked.from.clone())),
            [table] => Ok(Some(Expand {
                table: table.clone(),
                add_column: asked.to.clone(),
                column_type: None,
                from: Some(asked.from.clone()),
                allow_breaking: false,
            })),
            _ => Err(Error::Ambiguous {
                old: asked.from.clone(),
                new: asked.to.clone(),
                tables,
            }),
        }
    }

    /// Both plans, of an expand and of the data migration behind it.
    pub(super) fn expand_and_migrate(
        &self,
        first: &Expand,
        asked: &MigrateData,
    ) -> Result<Vec<Plan>> {
        let expansion = self.expansion(&self.table(&first.table)?, first)?;
        let migrate = migration(
            &expansion.addition.schema,
            &expansion.addition.table,
            Some(&expansion.change.text_before),
            &expansion.change,
            &self.ledger.foresee(&expansion.change, Phase::Expand),
            asked,
        )?;
        Ok(vec![self.expand_plan(expansion), migrate])
    }

    /// The change whose new column is asked for: the one that waits for its data, else one that has them.
    fn change_meant(&self, asked: &MigrateData) -> Result<Option<&Change>> {
        let meant = self.ledger.changes.iter().filter(|change| {
            change.new == asked.to
                && change.state != State::Aborted
                && asked
                    .table
                    .as_ref()
                    .is_none_or(|table| change.table == *table)
                && self
                    .ledger
                    .latest_on(&change.table, &change.new)
                    .is_some_and(|latest| latest.id == change.id)
                && self.shows(change)
        });
        let meant: Vec<&Change> = meant.collect();
        let from_here =
            |change: &&&Change| change.old.as_ref().is_none_or(|old| *old == asked.from);
        let fitting: Vec<&Change> = meant.iter().filter(from_here).copied().collect();
        let waiting =
            |change: &&&Change| matches!(change.state, State::Expanded | State::Migrating);
        let open: Vec<&Change> = fitting.iter().filter(waiting).copied().collect();
        match (open.as_slice(), fitting.as_slice(), meant.as_slice()) {
            ([one], _, _) | ([], [one], _) => Ok(Some(one)),
            ([], [], [other]) if other.state.is_open() => Err(Error::OtherSource {
                new: other.new.clone(),
                expected: other.old.clone().unwrap_or_else(|| asked.from.clone()),
                old: asked.from.clone(),
            }),
            ([], [], _) => Ok(None),
            (several, fitting, _) => {
                let several = if several.is_empty() { fitting } else { several };
                Err(Error::Ambiguous {
                    old: asked.from.clone(),
                    new: asked.to.clone(),
                    tables: several.iter().map(|change| change.table.clone()).collect(),
                })
            }
        }
    }
}

fn nothing_to_migrate(asked: &MigrateData) -> Error {
    Error::NothingToMigrate {
        old: asked.from.clone(),
        new: asked.to.clone(),
    }
}

fn migration(
    schema: &Schema,
    table: &Table,
    before: Option<&str>,
    change: &Change,
    ledger: &Ledger,
    asked: &MigrateData,
) -> Result<Plan> {
    let old: &Name = &expect_source(table, &asked.from)?.name;
    let agreement = agreement(table, old, &change.new)?;
    // What contract would refuse is better known before a row is touched.
    let replaces = replaces(change, table, old)?;
    plan::target(schema, before, &agreement.pair, replaces)?;
    let records = ledger.migrating(change, old);
    Ok(plan::migrate_data(&agreement, asked.winner, records))
}
