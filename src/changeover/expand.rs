//! Expand: whether it may be, and the plan for it.

use crate::error::{Error, Result};
use crate::ledger::Change;
use crate::name::Name;
use crate::phase::{Phase, State};
use crate::plan::{self, Plan};
use crate::request::Expand;
use crate::schema::{Addition, Column, Key, Pair, Table, TypeSource, add_column};

use super::{Asked, View, replaces, same_type};

/// An expand that nothing stands against.
pub(super) struct Expansion {
    pub(super) change: Change,
    pub(super) addition: Addition,
}

impl View<'_> {
    pub(super) fn expand(&self, asked: &Expand) -> Result<Asked> {
        let table = self.table(&asked.table)?;
        if let Some(change) = self.ledger.latest_on(&table.name, &asked.add_column)
            && change.new == asked.add_column
            && !matches!(change.state, State::Aborting | State::Aborted)
            && self.shows(change)
        {
            same_request(change, asked)?;
            return self.answered(change.id, Phase::Expand);
        }
        let expansion = self.expansion(&table, asked)?;
        let id = expansion.change.id;
        Ok(self.planned(self.expand_plan(expansion), id))
    }

    /// Checks everything for which an expand is refused.
    pub(super) fn expansion(&self, table: &Table, asked: &Expand) -> Result<Expansion> {
        let new = &asked.add_column;
        if !new.is_usable() {
            return Err(Error::Malformed(
                "the name of a column cannot be empty or hold a NUL".to_owned(),
            ));
        }
        let mut names = table.columns.iter().map(|it| &it.name).chain([new]);
        if let Some(ours) = names.find(|name| name.is_ours()) {
            return Err(Error::NotSupported(format!(
                "column `{}` bears a name that begins like changeover's own",
                ours.as_str()
            )));
        }
        self.expect_no_strangers()?;
        self.expect_no_open_index(&table.name)?;
        if let Some(open) = self.ledger.open_on(&table.name) {
            return Err(Error::ChangeOpen {
                table: table.name.clone(),
                new: open.new.clone(),
                state: open.state,
            });
        }
        if table.column(new).is_some() {
            return Err(Error::ColumnExists {
                table: table.name.clone(),
                column: new.clone(),
            });
        }
        if table.means_rowid(new) {
            return Err(means_rowid(table, new));
        }
        table.check_writable(self.connection)?;
        let source = match &asked.from {
            Some(from) => Some(expect_source(table, from)?),
            None => None,
        };
        let declared_type = declared_type(table, source, asked);
        let type_source = match asked.column_type {
            Some(_) => TypeSource::Request,
            None => TypeSource::Column,
        };
        let addition = add_column(&self.schema, &table.name, new, &declared_type, type_source)?;
        if !addition.breaks.is_empty() && !asked.allow_breaking {
            return Err(Error::WouldBreak {
                phase: "expand",
                breaks: addition.breaks,
                remedy: "choose another name, change what is named here, or go on all the same with \
                         `allow_breaking` (--allow-breaking)",
            });
        }
        let change = Change {
            id: self.ledger.next_change(),
            table: table.name.clone(),
            table_was: None,
            old: source.map(|column| column.name.clone()),
            new: new.clone(),
            asked_type: asked.column_type.clone(),
            state: State::Expanded,
            text_before: self.table_text(&table.name)?.to_owned(),
            text_after: addition
                .schema
                .table_text(&table.name)
                .unwrap_or_default()
                .to_owned(),
            rows_migrated: 0,
            text_synced: None,
            text_held: None,
            expressions: None,
            write_both: false,
            forced: None,
        };
        if let Some(source) = source {
            // What contract would refuse is better known before anything is begun.
            let pair = Pair {
                table: table.name.clone(),
                old: source.name.clone(),
                new: new.clone(),
            };
            let replaces = replaces(&change, table, &pair.old)?;
            plan::target(&addition.schema, Some(&change.text_before), &pair, replaces)?;
        }
        Ok(Expansion { change, addition })
    }

    pub(super) fn expand_plan(&self, expansion: Expansion) -> Plan {
        let Expansion { change, addition } = expansion;
        let compatible = addition.breaks.is_empty();
        let records = self
            .ledger
            .expanded(&change, &addition.table.summary(), compatible);
        plan::expand(addition, records)
    }
}

/// The column that is to be replaced; not one whose values are computed, or that took a name of the rowid, or all of
/// them with others.
pub(super) fn expect_source<'a>(table: &'a Table, from: &Name) -> Result<&'a Column> {
    let column = table.expect_column(from)?;
    if column.generated.is_some() {
        return Err(Error::Generated {
            table: table.name.clone(),
            column: column.name.clone(),
        });
    }
    if table.means_rowid(&column.name) {
        return Err(means_rowid(table, &column.name));
    }
    if table.key == Key::None {
        return Err(Error::NotSupported(format!(
            "the rows of table `{}` cannot be told apart: its columns took all names of the rowid",
            table.name.as_str()
        )));
    }
    Ok(column)
}

fn means_rowid(table: &Table, column: &Name) -> Error {
    Error::NotSupported(format!(
        "SQLite neither adds nor renames a column called `{}`, the name of the rowid, in table `{}`",
        column.as_str(),
        table.name.as_str()
    ))
}

/// A repeated request must ask for what was done.
fn same_request(change: &Change, asked: &Expand) -> Result<()> {
    if let (Some(expected), Some(old)) = (&change.old, &asked.from)
        && expected != old
    {
        return Err(Error::OtherSource {
            new: change.new.clone(),
            expected: expected.clone(),
            old: old.clone(),
        });
    }
    let asked_type = asked.column_type.as_deref();
    let other_type = asked_type.is_some_and(|asked| {
        change
            .asked_type
            .as_deref()
            .is_none_or(|done| !same_type(asked, done))
    });
    if other_type {
        return Err(Error::ColumnExists {
            table: change.table.clone(),
            column: change.new.clone(),
        });
    }
    Ok(())
}

/// The type asked for; else the source's; else the one that all columns share, an INTEGER PRIMARY KEY aside; else
/// none, so that no value is converted on its way.
fn declared_type(table: &Table, source: Option<&Column>, asked: &Expand) -> String {
    if let Some(asked) = &asked.column_type {
        return asked.trim().to_owned();
    }
    if let Some(source) = source {
        return source.declared_type.clone();
    }
    let is_integer_key = |column: &&Column| {
        column.key_position > 0 && column.declared_type.eq_ignore_ascii_case("integer")
    };
    let mut types = table
        .columns
        .iter()
        .filter(|column| !is_integer_key(column))
        .map(|column| column.declared_type.as_str());
    let none = if table.strict { "ANY" } else { "" };
    let shared = types
        .next()
        .filter(|first| types.all(|other| same_type(first, other)));
    shared.unwrap_or(none).to_owned()
}
