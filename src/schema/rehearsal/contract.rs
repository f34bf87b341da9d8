//! Contract and abort, rehearsed: the schema without one of the two columns.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::error::{Error, Result};
use crate::name::Name;

use super::super::replica::Replica;
use super::super::usage::Usage;
use super::super::{Kind, Object, Schema, text};
use super::{
    Pair, Shadow, Target, dependents, followers, mentions, quoted_list, stands_on, worked_before,
    would_fail,
};

/// The schema in which the old column bears the new one's name, with everything that it had.
///
/// `live` has both columns. `before` is the text that the table had before the new one came, where
/// nothing else has changed that text since; it comes out with its comments and its formatting.
/// Views keep the names of their columns, except those that say `*`, which follow their table.
pub fn rename_old(live: &Schema, before: Option<&str>, pair: &Pair) -> Result<Target> {
    let Pair { table, old, new } = pair;
    let on_new = dependents(live, table, new)?;
    let both: BTreeSet<_> = dependents(live, table, old)?
        .intersection(&on_new)
        .cloned()
        .collect();
    let both: Vec<_> = live
        .objects
        .iter()
        .filter(|it| both.contains(&it.id()))
        .collect();
    let named = both.iter().map(|object| {
        format!(
            "{} names both `{}` and `{}`",
            object.spoken(),
            old.as_str(),
            new.as_str()
        )
    });
    if both.iter().any(|object| object.kind == Kind::Index) {
        // Such an index cannot even be made on a table with one of the two.
        return Err(Error::WouldBreak {
            phase: "contract",
            breaks: named.collect(),
            remedy: "drop or change what is named here first",
        });
    }
    let base = without_column(live, before, table, new, &on_new)?;
    let now = Replica::of(live)?;
    let lists = column_lists(&base, &now)?;
    let mut listed = base;
    for (view, (sql, _)) in &lists {
        listed = listed.with_text(Kind::View, view, sql);
    }
    // Without its list a view would pass the probe's name on, and break what stands on it.
    let on_old = mentions(&listed, table, old)?;
    let before = Replica::of(&listed)?;
    let mut renamed = Replica::of(&listed)?;
    renamed.rename_column(table, old, new)?;
    renamed.compile()?;
    let turned: Vec<String> = worked_before(&listed, &before, &renamed)
        .filter(|(_, was, is)| is.failure.is_none() && is.program != was.program)
        .map(|(object, ..)| {
            format!(
                "{} would still work, but mean something else, as it takes a column by its name without saying \
                 of which table",
                object.spoken()
            )
        })
        .collect();
    let mut schema = live.clone();
    for object in &mut schema.objects {
        if object.is(Kind::Table, table) || (on_old.contains(&object.id()) && object.sql.is_some())
        {
            let text = renamed.text(object.kind, &object.name)?;
            object.sql = Some(match lists.get(&object.name) {
                Some((_, list)) if object.kind == Kind::View => {
                    without_idle_list(&renamed, &now.usages[&object.id()], object, text, list)?
                }
                _ => text,
            });
        }
    }
    let mut target = Target::of(schema, live, table)?;
    target.breaks.extend(turned);
    target.breaks.extend(named);
    Ok(target)
}

/// The schema without the old column, where the new one is another column rather than the old under a
/// new name: it stays as declared, NOT NULL where the old one was, and what uses the old one is named.
pub fn replace_old(live: &Schema, pair: &Pair) -> Result<Target> {
    let Pair { table, old, new } = pair;
    let on_old = dependents(live, table, old)?;
    let now = Replica::of(live)?;
    let not_null = now.table(table)?.expect_column(old)?.not_null;
    let base = without_column(live, None, table, old, &on_old)?;
    let replica = Replica::of(&base)?;
    if not_null {
        replica.alter(table, &format!("ALTER COLUMN {new} SET NOT NULL"))?;
    }
    let text = replica.text(Kind::Table, table)?;
    let schema = live.clone().with_text(Kind::Table, table, &text);
    refuse_users(live, &on_old, old)?;
    Target::of(schema, live, table)
}

/// The schema as it was before the new column came.
pub fn remove_new(live: &Schema, before: Option<&str>, table: &Name, new: &Name) -> Result<Target> {
    let on_new = dependents(live, table, new)?;
    refuse_users(live, &on_new, new)?;
    let base = without_column(live, before, table, new, &on_new)?;
    Target::of(base, live, table)
}

impl Target {
    /// Describes `schema`, and judges what every object of `live` makes of it.
    fn of(schema: Schema, live: &Schema, table: &Name) -> Result<Self> {
        let (before, after) = (Replica::of(live)?, Replica::of(&schema)?);
        let follow = followers(&before, &after);
        let mut breaks = Vec::new();
        for (object, was, is) in worked_before(live, &before, &after) {
            if let Some(failure) = &is.failure {
                breaks.push(would_fail(object, failure));
            } else if is.columns != was.columns && !follow.contains(&object.name) {
                breaks.push(format!(
                    "{} would show other columns: {}",
                    object.spoken(),
                    quoted_list(&is.columns)
                ));
            }
        }
        Ok(Self {
            shadow: Shadow::of(&schema, live, table)?,
            table: after.table(table)?,
            schema,
            breaks,
        })
    }
}

/// The schema without the column, and without the objects that name it. The text of the table is `before`
/// where that is known, else what SQLite's own DROP COLUMN leaves.
fn without_column(
    schema: &Schema,
    before: Option<&str>,
    table: &Name,
    column: &Name,
    users: &BTreeSet<(Kind, Name)>,
) -> Result<Schema> {
    let rest = schema.clone().without(|object| stands_on(object, users));
    if let Some(text) = before {
        return Ok(rest.with_text(Kind::Table, table, text));
    }
    // The table alone, since what else is broken in the file must not stop the ALTER.
    let replica = Replica::of(
        &rest
            .clone()
            .without(|object| !object.is(Kind::Table, table)),
    )?;
    replica
        .alter_soundly(table, &format!("DROP COLUMN {column}"))
        .map_err(|error| Error::WouldBreak {
            phase: "removing the column",
            breaks: vec![format!(
                "table `{}` itself needs `{}`: {error}",
                table.as_str(),
                column.as_str()
            )],
            remedy: "change the table so that nothing in it names the column",
        })?;
    Ok(rest.with_text(Kind::Table, table, &replica.text(Kind::Table, table)?))
}

/// Every view that neither has a list of its own nor follows the table, with a list of its column names, so that
/// a rename below does not change them.
fn column_lists(base: &Schema, now: &Replica) -> Result<BTreeMap<Name, (String, Range<usize>)>> {
    let replica = Replica::of(base)?;
    let follow = followers(now, &replica);
    let views = base
        .objects
        .iter()
        .filter(|object| object.kind == Kind::View && !follow.contains(&object.name));
    Ok(views
        .filter_map(|view| {
            let usage = &replica.usages[&view.id()];
            let sql = view.sql.as_deref().filter(|_| usage.failure.is_none())?;
            Some((
                view.name.clone(),
                text::with_column_list(sql, &usage.columns)?,
            ))
        })
        .collect())
}

/// The text of a view without the list that it was given, where its columns are called the same without.
fn without_idle_list(
    renamed: &Replica,
    was: &Usage,
    view: &Object,
    text: String,
    list: &Range<usize>,
) -> Result<String> {
    let mut plain = text.clone();
    plain.replace_range(list.clone(), "");
    let columns = renamed.view_columns(&view.name, &plain)?;
    Ok(if columns == was.columns { plain } else { text })
}

/// Fails with the names of the objects that use a column which is to go.
fn refuse_users(schema: &Schema, users: &BTreeSet<(Kind, Name)>, column: &Name) -> Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    let spoken = schema
        .objects
        .iter()
        .filter(|object| users.contains(&object.id()));
    Err(Error::WouldBreak {
        phase: "removing the column",
        breaks: spoken
            .map(|object| format!("{} uses `{}`", object.spoken(), column.as_str()))
            .collect(),
        remedy: "drop or change what is named here first",
    })
}
