//! Migrate data: which change is meant, whether it may be, and the plan for it.

use rusqlite::Connection;

use crate::database::is_wal;
use crate::error::{Error, Result};
use crate::ledger::{self, Change, Expressions, Ledger, Migrating};
use crate::name::Name;
use crate::phase::{Phase, State};
use crate::plan::{
    self, Agreement, Circumstances, Leftovers, Mapping, Migration, Plan, SyncTriggers,
};
use crate::request::{Expand, MigrateData};
use crate::schema::{
    Key, Pair, Schema, Synced, Table, Trial, check_conflicts, check_expression, index_twins,
    synced, tables_with, typed,
};

use super::expand::expect_source;
use super::indexes::{Making, making};
use super::standing::Standing;
use super::{Asked, Options, View, agreement, mapping, new_apps, replaces, same_type};

impl View<'_> {
    pub(super) fn migrate_data(&self, asked: &MigrateData) -> Result<Asked> {
        if let Some(table) = &asked.table {
            self.table(table)?;
        }
        let Some(change) = self.change_meant(asked)? else {
            return Err(nothing_to_migrate(asked));
        };
        match change.state {
            State::Migrated
            | State::Contracting
            | State::Held
            | State::Undoing
            | State::Contracted => {
                Terms::of(change, asked)?;
                return self.answered(change.id, Phase::MigrateData);
            }
            State::Aborting => return Err(nothing_to_migrate(asked)),
            State::Expanded | State::Migrating | State::Aborted => {}
        }
        let table = self.table(&change.table)?;
        let found = Found {
            connection: self.connection,
            options: self.options,
            live: &self.schema,
            table: &table,
            ledger: &self.ledger,
            leftovers: self.leftovers(change.id)?,
            standing: self.standing(change)?,
            is_empty: &|| self.is_empty(&table, &change.new),
        };
        let plan = migration(&found, change, asked)?;
        Ok(self.planned(plan, change.id))
    }

    /// The expand that must come first where no change was expanded for this data; none where one was.
    fn expand_first(&self, asked: &MigrateData) -> Result<Option<Expand>> {
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

    /// The expand that must come before a data migration, and the plans of both; none where it is there already.
    pub(super) fn with_expand(&self, asked: &MigrateData) -> Result<Option<(Expand, Vec<Plan>)>> {
        let first = self.expand_first(asked)?;
        let both = first.map(|first| {
            let plans = self.expand_and_migrate(&first, asked)?;
            Ok((first, plans))
        });
        both.transpose()
    }

    /// Both plans, of an expand and of the data migration behind it.
    pub(super) fn expand_and_migrate(
        &self,
        first: &Expand,
        asked: &MigrateData,
    ) -> Result<Vec<Plan>> {
        let expansion = self.expansion(&self.table(&first.table)?, first)?;
        let expanded = &expansion.addition.schema;
        let found = Found {
            connection: self.connection,
            options: self.options,
            live: expanded,
            table: &expansion.addition.table,
            ledger: &self.ledger.foresee(&expansion.change, Phase::Expand),
            leftovers: Leftovers::default(),
            standing: Standing {
                schema: expanded.clone(),
                before: Some(expansion.change.text_before.clone()),
            },
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
    connection: &'a Connection,
    options: &'a Options,
    live: &'a Schema,
    table: &'a Table,
    ledger: &'a Ledger,
    /// What an earlier run has left in it.
    leftovers: Leftovers,
    standing: Standing,
    /// Asks whether the new column holds nothing but NULL, for which every row may have to be read.
    is_empty: &'a dyn Fn() -> Result<bool>,
}

fn migration(found: &Found<'_>, change: &Change, asked: &MigrateData) -> Result<Plan> {
    let old = expect_source(found.table, &asked.from)?;
    let pair = Pair {
        table: found.table.name.clone(),
        old: old.name.clone(),
        new: change.new.clone(),
    };
    let terms = Terms::of(change, asked)?;
    let replaces = terms.expressions.is_some() || replaces(change, found.table, &old.name)?;
    let standing = &found.standing;
    // What contract would refuse is better known before a row is touched.
    let target = plan::target(
        &standing.schema,
        standing.before.as_deref(),
        &pair,
        replaces,
    )?;
    found.check_key(&pair, &terms)?;
    if !terms.write_both {
        check_conflicts(&standing.schema, &pair)?;
    }
    let begun = found.begun(&pair, replaces)?;
    let synced = synced(
        &begun.0,
        standing.before.as_deref(),
        &pair,
        replaces,
        new_apps(terms.write_both),
    )?;
    let agreed = |table: &Table, default| {
        let mapping = mapping(table, &pair, terms.expressions.as_ref())?;
        Ok::<_, Error>(agreement(table, &pair, mapping, default))
    };
    // While rows are copied the new column has no default.
    let copied = agreed(&begun.1, None)?;
    let kept = agreed(&synced.table, synced.default.clone())?;
    found.try_out(&synced, &kept, &terms)?;
    let indexes = if replaces {
        Vec::new()
    } else {
        let name = |n| plan::index_name(change.id, n);
        index_twins(&standing.schema, &target, &pair, name)?
    };
    let records = found.ledger.migrating(
        change,
        &Migrating {
            old: &pair.old,
            text_before: &standing.text_without(change)?,
            text_after: begun.0.table_text(&pair.table).unwrap_or_default(),
            text_synced: synced.schema.table_text(&pair.table).unwrap_or_default(),
            expressions: terms.expressions.as_ref(),
            write_both: terms.write_both,
        },
    );
    let making = making(
        found.connection,
        found.options,
        vec![ledger::begun_under(change.id)],
        &begun.1,
        &synced.schema,
        &indexes,
    )?;
    let room = making.room(found.connection, found.table, &found.leftovers)?;
    let Making { building, obstacle } = making;
    let warnings = Circumstances {
        live: found.live,
        table: found.table,
        pair: &pair,
        is_wal: is_wal(found.connection)?,
        rows: about_rows(found.connection, found.table)?,
        indexes: &indexes,
        room,
        obstacle: obstacle.as_deref(),
    }
    .warnings();
    let noted = ledger::note_old_write(change.id);
    let migration = Migration {
        change: change.id,
        live: found.live,
        begun,
        agreement: &copied,
        following: SyncTriggers::following(change.id, &copied),
        triggers: SyncTriggers::both_ways(change.id, &kept, &synced.promises, Some(&noted)),
        synced,
        indexes,
        building,
        found: found.leftovers.clone(),
        winner: asked.winner,
        warnings,
    };
    Ok(plan::migrate_data(migration, &records))
}

/// How many rows lie between the first rowid and the last, if there are such: found without reading what is between.
fn about_rows(connection: &Connection, table: &Table) -> Result<Option<u64>> {
    let Key::Rowid { name: key, .. } = &table.key else {
        return Ok(None);
    };
    let end = |which: &str| -> Result<Option<i64>> {
        let query = format!("SELECT {which}({key}) FROM {}", table.name);
        Ok(connection.query_row(&query, [], |row| row.get(0))?)
    };
    let ends = end("min")?.zip(end("max")?);
    Ok(ends.map(|(first, last)| last.abs_diff(first).saturating_add(1)))
}

/// On what terms the columns are kept in step.
struct Terms {
    expressions: Option<Expressions>,
    write_both: bool,
}

impl Terms {
    /// What is asked for, or what the migration was begun with; both must be the same where both are there.
    fn of(change: &Change, asked: &MigrateData) -> Result<Self> {
        // That values go one way as they are is for people to say: taken for granted it could be wrong unseen.
        let one_way = |given, missing| Err(Error::OneWay { given, missing });
        let expressions = match (asked.up.clone(), asked.down.clone()) {
            (None, None) => None,
            (Some(up), Some(down)) => Some(Expressions { up, down }),
            (Some(_), None) => return one_way("up", "down"),
            (None, Some(_)) => return one_way("down", "up"),
        };
        if change.state == State::Expanded {
            return Ok(Self {
                expressions,
                write_both: asked.write_both,
            });
        }
        if expressions.is_some() && expressions != change.expressions {
            return Err(Error::BegunOtherwise {
                old: asked.from.clone(),
                new: asked.to.clone(),
            });
        }
        Ok(Self {
            expressions: change.expressions.clone(),
            write_both: change.write_both || asked.write_both,
        })
    }
}

impl Found<'_> {
    /// Fails where a row could not be found any more by one of the columns alone.
    fn check_key(&self, pair: &Pair, terms: &Terms) -> Result<()> {
        let is_key = match &self.table.key {
            Key::Rowid { name, .. } => *name == pair.old,
            Key::Columns(columns) => columns.iter().any(|it| it.name == pair.old),
            Key::None => false,
        };
        if is_key && !terms.write_both {
            return Err(Error::NeedsBoth {
                table: pair.table.clone(),
                old: pair.old.clone(),
                reason: "it is part of the key by which rows are found".to_owned(),
            });
        }
        Ok(())
    }

    /// The schema while rows are copied, and the table in it: the new column has the type of the old one, where
    /// expand was told neither a type nor the old column.
    fn begun(&self, pair: &Pair, replaces: bool) -> Result<(Schema, Table)> {
        let declared = |name| Ok::<_, Error>(&self.table.expect_column(name)?.declared_type);
        let is_typed = replaces || same_type(declared(&pair.old)?, declared(&pair.new)?);
        match &self.standing.before {
            Some(before) if !is_typed && (self.is_empty)()? => typed(self.live, before, pair),
            _ => Ok((self.live.clone(), self.table.clone())),
        }
    }

    /// Fails where the expressions cannot stand in a trigger, or a row that the table takes today cannot be written
    /// any more by old applications, or by new ones.
    fn try_out(&self, synced: &Synced, agreement: &Agreement, terms: &Terms) -> Result<()> {
        let pair = &agreement.pair;
        if let Mapping::Expressions { up, down } = &agreement.mapping {
            for (expression, column) in [(up, &pair.old), (down, &pair.new)] {
                let declared_type = &synced.table.expect_column(column)?.declared_type;
                check_expression(expression, column, declared_type)?;
            }
        }
        let triggers = SyncTriggers::both_ways(0, agreement, &synced.promises, None);
        let triggers = triggers.objects();
        let trial = Trial {
            before: &self.standing.schema,
            synced: &synced.schema,
            triggers: triggers.iter().filter_map(|it| it.sql.as_deref()).collect(),
            pair,
            up: agreement.up(),
        };
        match trial.run(self.connection, new_apps(terms.write_both))? {
            None => Ok(()),
            Some(reason) => Err(Error::NeedsBoth {
                table: pair.table.clone(),
                old: pair.old.clone(),
                reason,
            }),
        }
    }
}
