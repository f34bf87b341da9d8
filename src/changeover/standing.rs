//! How a change stands in the file: what the table's text is made of.

use crate::error::{Error, Result};
use crate::ledger::Change;
use crate::schema::{Schema, added_since, text_without, with_columns};

use super::View;

/// The schema with both columns, apart from what keeps them in step.
pub(super) struct Standing {
    /// The schema as if the columns were not kept in step.
    pub(super) schema: Schema,
    /// The text of the table without the new column, where nobody else has done more to it than add columns.
    pub(super) before: Option<String>,
}

impl View<'_> {
    /// Takes the change's own work off the text of the table.
    ///
    /// Fails with [`Error::TableChanged`] where somebody else did more to that text meanwhile than add columns.
    pub(super) fn standing(&self, change: &Change) -> Result<Standing> {
        let (table, live) = (&change.table, &self.schema);
        let text = self.table_text(table)?;
        let plain = |before: Option<&String>| Standing {
            schema: live.clone(),
            before: before.cloned(),
        };
        if text == change.text_after {
            return Ok(plain(Some(&change.text_before)));
        }
        let Some(synced) = &change.text_synced else {
            return Ok(plain(None));
        };
        let added = if text == synced {
            Vec::new()
        } else {
            added_since(live, table, synced)?.ok_or_else(|| Error::TableChanged {
                table: table.clone(),
                new: change.new.clone(),
                text: synced.clone(),
            })?
        };
        let with_added = |text: &str| with_columns(live, table, text, &added);
        let after = with_added(&change.text_after)?;
        Ok(Standing {
            schema: live
                .clone()
                .with_text(crate::schema::Kind::Table, table, &after),
            before: Some(with_added(&change.text_before)?),
        })
    }
}

impl Standing {
    /// The text of the table without the new column: the one of before, or what SQLite leaves when it drops the column.
    pub(super) fn text_without(&self, change: &Change) -> Result<String> {
        match &self.before {
            Some(before) => Ok(before.clone()),
            None => text_without(&self.schema, &change.table, &change.new),
        }
    }
}
