//! Undo of a contract that holds the old column: whether it may be, and the plan for it.

use crate::error::{Error, Result};
use crate::ledger::{self, Change};
use crate::phase::{Phase, State};
use crate::plan::{self, Restoring, SyncTriggers};
use crate::request::Undo;
use crate::schema::{Key, Pair, Schema, Table, Target, failing, index_twins, synced};

use super::indexes::{Making, making};
use super::rebuild::Wanted;
use super::standing::Standing;
use super::{Asked, View, agreement, mapping, new_apps, replaces};

impl View<'_> {
    pub(super) fn undo(&self, asked: &Undo) -> Result<Asked> {
        let table = self.table(&asked.table)?;
        let change = self.ledger.open_on(&table.name);
        match change.map(|change| (change, change.state)) {
            Some((change, State::Held | State::Undoing)) => self.undo_plan(&table, change),
            Some((change, State::Migrated)) if self.is_undone(change) => {
                self.answered(change.id, Phase::Undo)
            }
            _ => Err(Error::NothingHeld(table.name)),
        }
    }

    /// Whether the latest that was done on the change is to undo a hold.
    fn is_undone(&self, change: &Change) -> bool {
        let mut entries = self.ledger.history.iter().rev();
        let latest = entries.find(|entry| entry.change == change.id);
        latest.is_some_and(|entry| entry.phase == Phase::Undo)
    }

    fn undo_plan(&self, table: &Table, change: &Change) -> Result<Asked> {
        let Some(old) = &change.old else {
            return Err(Error::NothingHeld(table.name.clone()));
        };
        let Standing { schema, before } = self.standing(change)?;
        let schema = self.as_before_the_hold(change, schema)?;
        let before = before.as_deref();
        let pair = Pair {
            table: table.name.clone(),
            old: table.expect_column(old)?.name.clone(),
            new: change.new.clone(),
        };
        let replaces = replaces(change, table, &pair.old)?;
        let apps = new_apps(change.write_both);
        let synced = synced(&schema, before, &pair, replaces, apps)?;
        let breaks = failing(&self.schema, &synced.schema)?;
        if !breaks.is_empty() {
            return Err(Error::WouldBreak {
                phase: "undo",
                breaks,
                remedy: "drop or change what is named here first",
            });
        }
        let indexes = if replaces {
            Vec::new()
        } else {
            let contracted = plan::target(&schema, before, &pair, replaces)?;
            let name = |n| plan::index_name(change.id, n);
            index_twins(&schema, &contracted, &pair, name)?
        };
        let mapping = mapping(&synced.table, &pair, change.expressions.as_ref())?;
        let agreement = agreement(&synced.table, &pair, mapping, synced.default.clone());
        let shadow = plan::shadow_name(change.id);
        let columns = (!replaces).then_some((&pair.old, &pair.new));
        let target = Target::of(synced.schema, table, columns, &shadow)?;
        let texts = [
            before,
            schema.table_text(&table.name),
            target.schema.table_text(&table.name),
        ];
        let texts = texts.map(Option::unwrap_or_default);
        let records = self.ledger.undone(change, texts, &target.table.summary());
        // The primary key of a WITHOUT ROWID table, which all of its indexes hold.
        let is_key = match &table.key {
            Key::Columns(columns) => columns.iter().any(|it| it.name == pair.new),
            Key::Rowid { .. } | Key::None => false,
        };
        let missing = indexes.iter();
        let missing = missing.filter(|it| !self.schema.ours.contains(it));
        let (way, said) = self.way(&Wanted {
            change,
            table,
            target: &target,
            phase: Phase::Undo,
            indexes: missing.count(),
            obstacle: is_key.then_some(
                "the indexes of the new column hold the key by which rows are found, and that is another one then",
            ),
        })?;
        let live = &self.schema;
        let (options, connection) = (self.options, self.connection);
        let begun = vec![ledger::begun_under(change.id)];
        let mut warnings: Vec<String> = said.into_iter().collect();
        let Making { building, obstacle } =
            making(connection, options, begun, table, live, &indexes)?;
        warnings.extend(obstacle.map(|why| {
            format!(
                "the write lock is held while the indexes of the new column are made, since {why}"
            )
        }));
        let noted = ledger::note_old_write(change.id);
        let triggers =
            SyncTriggers::both_ways(change.id, &agreement, &synced.promises, Some(&noted));
        let restoring = Restoring {
            change: change.id,
            agreement: &agreement,
            triggers,
            indexes,
            building,
            warnings,
        };
        let plan = plan::undo(live, table, &target, &restoring, way, records);
        Ok(self.planned(plan, change.id))
    }

    /// The schema in which everything that the contract wrote anew has the text of before again, where nobody has given
    /// it another one since.
    fn as_before_the_hold(&self, change: &Change, mut schema: Schema) -> Result<Schema> {
        for written in ledger::rewritten(self.connection, change)? {
            let mut objects = schema.objects.iter_mut();
            let found = objects.find(|it| {
                it.kind.as_str() == written.kind
                    && it.name == written.name
                    && it.sql.as_ref() == Some(&written.after)
            });
            if let Some(object) = found {
                object.sql = Some(written.before);
            }
        }
        Ok(schema)
    }
}
