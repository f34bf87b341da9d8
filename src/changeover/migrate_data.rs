//! Migrate data: which change is meant, whether it may be, and the plan for it.

use crate::error::{Error, Result};
use crate::ledger::{Change, Ledger};
use crate::name::Name;
use crate::phase::{Phase, State};
use crate::plan::{self, Outcome, Plan};
use crate::request::{Expand, MigrateData};
use crate::schema::{Column, Pair, Schema, Table, redeclare, tables_with};

use super::expand::expect_source;
use super::{Asked, View, agreement, replaces, same_type};

impl View<'_> {
    pub(super) fn migrate_data(&self, asked: &MigrateData) -> Result<Asked> {
        let Some(change) = self.change_meant(asked)? else {
            return Err(nothing_to_migrate(asked));
        };
        if matches!(change.state, State::Migrated | State::Contracted) {
            return self.answered(change, Phase::MigrateData);
        }
        let table = self.table(&change.table)?;
        let found = Found {
            schema: &self.schema,
            table: &table,
            ledger: &self.ledger,
            before: self.text_before(change),
            is_empty: &|| self.is_empty(&table, &change.new),
        };
        let plan = migration(&found, change, asked)?;
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
        let found = Found {
            schema: &expansion.addition.schema,
            table: &expansion.addition.table,
            ledger: &self.ledger.foresee(&expansion.change, Phase::Expand),
            before: Some(&expansion.change.text_before),
            is_empty: &|| Ok(true),
        };
        let migrate = migration(&found, &expansion.change, asked)?;
        Ok(vec![self.expand_plan(expansion), migrate])
    }

    /// Whether the column holds nothing but NULL.
    fn is_empty(&self, table: &Table, column: &Name) -> Result<bool> {
        table.expect_column(column)?;
        let query = format!("SELECT 1 FROM {} WHERE {column} IS NOT NULL", table.name);
        Ok(!self.connection.prepare(&query)?.exists([])?)
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

/// The file as a data migration finds it.
struct Found<'a> {
    schema: &'a Schema,
    table: &'a Table,
    ledger: &'a Ledger,
    /// The text of the table before the change, where it is known to be what stands there but for the new column.
    before: Option<&'a str>,
    /// Asks whether the new column holds nothing but NULL, for which every row may have to be read.
    is_empty: &'a dyn Fn() -> Result<bool>,
}

fn migration(found: &Found<'_>, change: &Change, asked: &MigrateData) -> Result<Plan> {
    let old = expect_source(found.table, &asked.from)?;
    // What contract would refuse is better known before a row is touched.
    let pair = Pair {
        table: found.table.name.clone(),
        old: old.name.clone(),
        new: change.new.clone(),
    };
    let replaces = replaces(change, found.table, &old.name)?;
    plan::target(found.schema, found.before, &pair, replaces)?;
    let redeclared = redeclared(found, change, old)?;
    let table = redeclared.as_ref().map_or(found.table, |it| &it.table);
    let text = redeclared
        .as_ref()
        .and_then(|it| it.schema.table_text(&table.name));
    let agreement = agreement(table, &old.name, &change.new)?;
    let records = found.ledger.migrating(change, &old.name, text);
    Ok(plan::migrate_data(
        found.schema,
        &agreement,
        asked.winner,
        redeclared,
        records,
    ))
}

/// The schema in which the new column has the type of the old one, where expand was told neither a type nor the
/// old column, and came to another.
fn redeclared(found: &Found<'_>, change: &Change, old: &Column) -> Result<Option<Outcome>> {
    let new = found.table.expect_column(&change.new)?;
    let told = change.asked_type.is_some() || same_type(&old.declared_type, &new.declared_type);
    let Some(before) = found.before.filter(|_| !told) else {
        return Ok(None);
    };
    if !(found.is_empty)()? {
        return Ok(None);
    }
    let table = &found.table.name;
    let (schema, table) = redeclare(found.schema, before, table, &change.new, &old.declared_type)?;
    Ok(Some(Outcome {
        schema,
        table,
        is_rebuilt: false,
    }))
}
