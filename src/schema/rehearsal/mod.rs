//! What SQLite makes of a change, tried on a replica of the schema before the file is touched.
//!
//! SQLite has the only parser that agrees with SQLite, so nothing here reads SQL: a replica does the
//! `ALTER TABLE`, and its texts and what they use are compared before and after.

mod add;
mod comparison;
mod contract;
mod declared;
mod entries;
mod hold;
mod new_index;
mod relaxed;
mod shadow;
mod standing;
mod sync;
mod trial;

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::name::Name;

use super::replica::Replica;
use super::{Kind, Object, Schema, Table};

use comparison::compare;

pub use add::{Addition, TypeSource, add_column};
pub use contract::{remove_new, rename_old, replace_old, text_without};
pub use declared::typed;
pub use entries::{Entries, Field};
pub use hold::{failing, hold_old};
pub use new_index::{expect_columns, wanted_index, with_index};
pub use relaxed::Promise;
pub use shadow::Shadow;
pub use standing::{alterations_since, altered, text_under};
pub use sync::{NewApps, Synced, check_conflicts, default_of, index_twins, synced};
pub use trial::{Trial, check_expression};

/// A table and the two columns of a change on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pair {
    /// The table.
    pub table: Name,
    /// The column that gives way.
    pub old: Name,
    /// The column that takes its place.
    pub new: Name,
}

/// A schema that a change leads to, and what that means for everything in it.
#[derive(Debug)]
pub struct Rehearsed {
    /// All of it.
    pub schema: Schema,
    /// What would no longer work, or would mean something else, in words.
    pub breaks: Vec<String>,
}

/// The schema that a rebuild leads to, and what the rebuild has to know of the table.
#[derive(Debug)]
pub struct Target {
    /// All of it.
    pub schema: Schema,
    /// The rebuilt table as SQLite describes it.
    pub table: Table,
    /// What is filled beside the live table, with the rows of the rebuilt one.
    pub shadow: Shadow,
    /// Whether its indexes hold what those of the live table do, where the values are the same.
    pub keeps_indexes: bool,
}

impl Target {
    /// Describes the table as it stands in `schema`, where `live` stands today; the column `renamed` of that one has the
    /// name behind it there.
    ///
    /// Fails with [`Error::NotSupported`] where the two have not the same number of indexes under the same names.
    pub fn of(
        schema: Schema,
        live: &Table,
        renamed: Option<(&Name, &Name)>,
        shadow: &Name,
    ) -> Result<Self> {
        let replica = Replica::of(&schema.only_with_indexes(&live.name))?;
        let table = replica.table(&live.name)?;
        if table.index_names() != live.index_names() {
            return Err(Error::NotSupported(format!(
                "the indexes of table `{}` are not those that its text makes",
                table.name.as_str()
            )));
        }
        Ok(Self {
            shadow: Shadow::of(&replica, &table, shadow)?,
            keeps_indexes: table.keeps_indexes_of(live, renamed),
            table,
            schema,
        })
    }
}

/// A name that no schema has, to rename a column to.
const PROBE: [&str; 2] = ["_changeover_probe_1", "_changeover_probe_2"];

/// The objects that name the column, the table itself apart.
///
/// A first rename also turns strings in double quotes into plain strings, here and there; so the texts
/// are compared between a first and a second one, and what then differs is the name of the column alone.
fn mentions(schema: &Schema, table: &Name, column: &Name) -> Result<BTreeSet<(Kind, Name)>> {
    if schema.is_only(table) {
        return Ok(BTreeSet::new());
    }
    let replica = Replica::of(schema)?;
    let [first, second] = PROBE.map(Name::from);
    replica.rename_column(table, column, &first)?;
    let before = replica.schema()?;
    replica.rename_column(table, &first, &second)?;
    let after = replica.schema()?;
    let differs = |object: &&Object| after.find(object.kind, &object.name) != Some(*object);
    let named = before.objects.iter().filter(differs).map(Object::id);
    Ok(named
        .filter(|(kind, name)| (*kind, name) != (Kind::Table, table))
        .collect())
}

/// The objects that mean the column: those that name it, and those that take it by its name without naming it,
/// as a NATURAL JOIN does. These show when the column gets another name behind their backs.
fn dependents(schema: &Schema, table: &Name, column: &Name) -> Result<BTreeSet<(Kind, Name)>> {
    if schema.is_only(table) {
        return Ok(BTreeSet::new());
    }
    let named = mentions(schema, table, column)?;
    let rest = schema.clone().without(|object| stands_on(object, &named));
    let alone = Replica::of(&rest.only(table))?;
    alone.rename_column(table, column, &Name::from(PROBE[0]))?;
    let hidden = rest
        .clone()
        .with_text(Kind::Table, table, &alone.text(Kind::Table, table)?);
    let silent = compare(&rest, &hidden)?
        .into_iter()
        .filter(|it| it.is.failure.is_some() || it.is_turned())
        .map(|it| it.object.id());
    let silent: Vec<_> = silent.collect();
    Ok(named.into_iter().chain(silent).collect())
}

/// Whether the object is one of those, or a trigger on a view that is. Never an ordinary table: it can name a column
/// of another in a foreign key alone, which a replica does not look up, and its indexes and triggers need it.
fn stands_on(object: &Object, those: &BTreeSet<(Kind, Name)>) -> bool {
    if object.kind == Kind::Table && !object.is_virtual() {
        return false;
    }
    those.contains(&object.id()) || those.contains(&(Kind::View, object.table.clone()))
}

fn would_fail(object: &Object, failure: &str) -> String {
    format!("{} would fail: {failure}", object.spoken())
}

fn quoted_list(names: &[Name]) -> String {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", name.as_str()))
        .collect();
    names.join(", ")
}
