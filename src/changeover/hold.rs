//! The old column held behind a contract, and let go.

use crate::error::{Error, Result};
use crate::ledger::{self, Change, Held, Rewritten};
use crate::phase::{Phase, State};
use crate::plan::{self, Agreement, Mapping};
use crate::request::{Contract, Hold};
use crate::schema::{Addition, Generated, Kind, Schema, Table, Target, hold_old, remove_new};

use super::standing::Standing;
use super::{Asked, View};

impl View<'_> {
    /// What a contract leads to that holds the old column, where it would lead to `contracted` otherwise.
    pub(super) fn holding(
        &self,
        change: &Change,
        contracted: &Schema,
        table: &Table,
        agreement: &Agreement,
    ) -> Result<Addition> {
        let pair = &agreement.pair;
        let cannot = |why: &str| {
            let old = pair.old.as_str();
            Err(Error::NotSupported(format!(
                "`{old}` cannot be held: {why}"
            )))
        };
        if change.text_synced.is_none() {
            return cannot(
                "its data were migrated by an older changeover, so that undo could not bring it back",
            );
        }
        if table.strict && agreement.mapping != Mapping::Same {
            return cannot(
                "the table is STRICT, and values computed from the new column may not be of its type",
            );
        }
        let value = match &agreement.mapping {
            Mapping::Same | Mapping::Converted => pair.new.as_written(),
            Mapping::Expressions { down, .. } => down.clone(),
        };
        let held = hold_old(&self.schema, contracted, pair, &value)?;
        if held.breaks.is_empty() {
            return Ok(held);
        }
        Err(Error::WouldBreak {
            phase: "contract with a hold",
            breaks: held.breaks,
            remedy: "change what is named here first, or contract without a hold",
        })
    }

    /// What the ledger records of it.
    pub(super) fn held(
        &self,
        hold: Hold,
        change: &Change,
        standing: &Standing,
        target: &Target,
    ) -> Result<Vec<plan::Step>> {
        let table = &target.table.name;
        let others = target.schema.objects.iter();
        let others = others.filter(|it| !it.is(Kind::Table, table));
        let rewritten = others.filter_map(|object| {
            let before = self.schema.find(object.kind, &object.name)?;
            Some(Rewritten {
                kind: object.kind.to_string(),
                name: object.name.clone(),
                before: before.sql.clone()?,
                after: object.sql.clone()?,
            })
        });
        let rewritten: Vec<Rewritten> = rewritten.filter(|it| it.before != it.after).collect();
        let before = standing.text_without(change)?;
        let texts = [&target.schema, &standing.schema, &self.schema];
        let [then, after, synced] = texts.map(|it| it.table_text(table).unwrap_or_default());
        Ok(self.ledger.held(
            change,
            &Held {
                time: hold.time(),
                text_held: then,
                texts: [&before, after, synced],
                rewritten: &rewritten,
                schema: &target.table.summary(),
            },
        ))
    }

    /// A contract of a change whose old column is held. It passes the gate again: nobody can have written the old column
    /// since, but who has come to read it would lose it.
    pub(super) fn release(
        &self,
        table: &Table,
        change: &Change,
        asked: &Contract,
    ) -> Result<Asked> {
        if asked.hold.is_some() {
            return self.answered(change.id, Phase::Hold);
        }
        let old = &asked.remove_column;
        let left = ledger::hold_left(self.connection, change)?;
        if let Some(left) = left.filter(|_| !asked.now) {
            return Err(Error::HeldYet {
                table: table.name.clone(),
                old: old.clone(),
                left,
            });
        }
        let target = match table.column(old).map(|column| column.generated) {
            Some(Some(Generated::Virtual)) => {
                let rehearsed = remove_new(&self.schema, None, &table.name, old)?;
                if !rehearsed.breaks.is_empty() {
                    return Err(Error::WouldBreak {
                        phase: "contract",
                        breaks: rehearsed.breaks,
                        remedy: "drop or change what is named here first",
                    });
                }
                rehearsed.schema
            }
            Some(_) => return Err(Self::table_changed(change)),
            // Someone else took it out of the file.
            None => self.schema.clone(),
        };
        let summary = table.summary();
        let records = self.ledger.ended(change, Phase::Contract, &summary);
        let left = self.leftovers(change.id)?;
        let columns = (&table.name, old);
        let plan = plan::release(&self.schema, change.id, &left, columns, target, records);
        let mut planned = self.made_for(plan, change.id);
        planned.gate = Some(asked.clone());
        Ok(Asked::Planned(Box::new(planned)))
    }

    /// Fails where the old column is held, or on its way back.
    pub(super) fn expect_not_held(change: &Change) -> Result<()> {
        match change.state {
            State::Held | State::Undoing => Err(Error::NotUndone {
                table: change.table.clone(),
                state: change.state,
            }),
            _ => Ok(()),
        }
    }
}
