//! How a change stands in the file: what the table's text is made of.

use crate::error::{Error, Result};
use crate::ledger::{Change, Ledger};
use crate::name::Name;
use crate::plan::belongs_to;
use crate::schema::{Kind, Schema, Table, alterations_since, altered, text_under, text_without};

use super::View;

/// The schema with both columns, apart from what keeps them in step.
pub(super) struct Standing {
    /// The schema as if the columns were not kept in step.
    pub(super) schema: Schema,
    /// The text of the table without the new column, where it is known what others have done to it.
    pub(super) before: Option<String>,
}

/// Finds the tables of open changes that were given other names meanwhile: those on which the triggers of the change
/// hang, or which have the text that expand left, or a contract that holds the old column.
pub(super) fn follow_tables(ledger: &mut Ledger, schema: &Schema) -> Result<()> {
    for change in &mut ledger.changes {
        if !change.state.is_open() || schema.table_text(&change.table).is_some() {
            continue;
        }
        let mut ours = schema.ours.iter();
        let hung = ours.find(|object| belongs_to(change.id, &object.name));
        if let Some(object) = hung {
            *change = under(&object.table, change)?;
            continue;
        }
        for object in schema.objects.iter().filter(|it| it.kind == Kind::Table) {
            let renamed = under(&object.name, change)?;
            let text = renamed.text_held.as_ref().unwrap_or(&renamed.text_after);
            if object.sql.as_ref() == Some(text) {
                *change = renamed;
                break;
            }
        }
    }
    Ok(())
}

/// Finds the tables that were given other names while an index of theirs is being built.
pub(super) fn follow_indexes(ledger: &mut Ledger, schema: &Schema) {
    for added in &mut ledger.indexes {
        if !added.state.is_open() || schema.table_text(&added.index.table).is_some() {
            continue;
        }
        let mut ours = schema.ours.iter();
        if let Some(object) = ours.find(|it| belongs_to(added.id, &it.name)) {
            added.table_was = Some(added.index.table.clone());
            added.index.table = object.table.clone();
        }
    }
}

/// The change on its table under another name.
fn under(name: &Name, change: &Change) -> Result<Change> {
    let renamed = |text: &String| text_under(name, &change.table, text);
    Ok(Change {
        table: name.clone(),
        table_was: Some(change.table.clone()),
        text_before: renamed(&change.text_before)?,
        text_after: renamed(&change.text_after)?,
        text_synced: change.text_synced.as_ref().map(renamed).transpose()?,
        text_held: change.text_held.as_ref().map(renamed).transpose()?,
        ..change.clone()
    })
}

impl View<'_> {
    /// The error that somebody else did to the table what the change cannot be carried through.
    pub(super) fn table_changed(change: &Change) -> Error {
        let text = change.text_held.as_ref().or(change.text_synced.as_ref());
        let text = text.unwrap_or(&change.text_after);
        Error::TableChanged {
            table: change.table.clone(),
            new: change.new.clone(),
            text: text.clone(),
        }
    }

    /// Fails where a column of the change has another name. It must have one where it is not there while triggers of the
    /// change hang on the table, since nobody can drop it then.
    pub(super) fn expect_no_other_names(&self, change: &Change, table: &Table) -> Result<()> {
        let mut ours = self.schema.ours.iter();
        let is_watched = ours.any(|it| it.kind == Kind::Trigger && belongs_to(change.id, &it.name));
        let mut columns = change.old.iter().chain([&change.new]);
        if is_watched && columns.any(|column| table.column(column).is_none()) {
            return Err(Self::table_changed(change));
        }
        Ok(())
    }

    /// Takes the change's own work off the text of the table.
    ///
    /// Fails with [`Error::TableChanged`] where both columns are written already and somebody else did to that text
    /// what cannot be done to the one of before.
    pub(super) fn standing(&self, change: &Change) -> Result<Standing> {
        let (table, live) = (&change.table, &self.schema);
        let text = self.table_text(table)?;
        let then = change.text_held.as_ref().or(change.text_synced.as_ref());
        let (Some(then), Some(old)) = (then, &change.old) else {
            let is_untouched = text == change.text_after;
            return Ok(Standing {
                schema: live.clone(),
                before: is_untouched.then(|| change.text_before.clone()),
            });
        };
        let alterations = alterations_since(live, table, then, [old, &change.new])?;
        let alterations = alterations.ok_or_else(|| Self::table_changed(change))?;
        let now = |text: &str| altered(live, table, text, &alterations);
        let after = now(&change.text_after)?;
        Ok(Standing {
            schema: live.clone().with_text(Kind::Table, table, &after),
            before: Some(now(&change.text_before)?),
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
