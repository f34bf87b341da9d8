//! Contract and abort, rehearsed: the schema without one of the two columns.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::error::{Error, Result};
use crate::name::Name;

use super::super::replica::Replica;
use super::super::{Kind, Schema, text};
use super::comparison::{Compared, compare, followers, unjudged};
use super::{Pair, Rehearsed, dependents, mentions, quoted_list, stands_on, would_fail};

/// The schema in which the old column bears the new one's name, with everything that it had.
///
/// `live` has both columns. `before` is the text that the table had before the new one came, where
/// nothing else has changed that text since; it comes out with its comments and its formatting.
/// Views keep the names of their columns, except those that say `*`, which follow their table.
pub fn rename_old(live: &Schema, before: Option<&str>, pair: &Pair) -> Result<Rehearsed> {
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
    let lists = column_lists(live, &base)?;
    let mut listed = base;
    for (view, list) in &lists {
        listed = listed.with_text(Kind::View, view, &list.sql);
    }
    // Without its list a view would pass the probe's name on, and break what stands on it.
    let on_old = mentions(&listed, table, old)?;
    let replica = Replica::of(&listed)?;
    replica.rename_column(table, old, new)?;
    let renamed = replica.texts_of(&listed)?;
    let turned: Vec<String> = compare(&listed, &renamed)?
        .into_iter()
        .filter(Compared::is_turned)
        .map(|it| {
            format!(
                "{} would still work, but mean something else, as it takes a column by its name without saying \
                 of which table",
                it.object.spoken()
            )
        })
        .collect();
    let mut schema = live.clone();
    for object in &mut schema.objects {
        let named = object.is(Kind::Table, table) || on_old.contains(&object.id());
        let text = renamed.find(object.kind, &object.name).filter(|_| named);
        let Some(text) = text.and_then(|it| it.sql.clone()) else {
            continue;
        };
        object.sql = Some(match lists.get(&object.name) {
            Some(list) if object.kind == Kind::View => list.unless_idle(&replica, text)?,
            _ => text,
        });
    }
    let mut rehearsed = Rehearsed::of(schema, live)?;
    rehearsed.breaks.extend(unjudged(live, old)?);
    rehearsed.breaks.extend(turned);
    rehearsed.breaks.extend(named);
    Ok(rehearsed)
}

/// The schema without the old column, where the new one is another column rather than the old under a
/// new name: it stays as declared, NOT NULL where the old one was, and what uses the old one is named.
pub fn replace_old(live: &Schema, pair: &Pair) -> Result<Rehearsed> {
    let Pair { table, old, new } = pair;
    let on_old = dependents(live, table, old)?;
    let now = Replica::of(&live.only(table))?;
    let not_null = now.table(table)?.expect_column(old)?.not_null;
    let base = without_column(live, None, table, old, &on_old)?;
    let replica = Replica::of(&base.only(table))?;
    if not_null {
        replica.alter(table, &format!("ALTER COLUMN {new} SET NOT NULL"))?;
    }
    let text = replica.text(Kind::Table, table)?;
    let schema = live.clone().with_text(Kind::Table, table, &text);
    refuse_users(live, &on_old, old)?;
    let mut rehearsed = Rehearsed::of(schema, live)?;
    rehearsed.breaks.extend(unjudged(live, old)?);
    Ok(rehearsed)
}

/// The schema as it was before the new column came.
pub fn remove_new(
    live: &Schema,
    before: Option<&str>,
    table: &Name,
    new: &Name,
) -> Result<Rehearsed> {
    let on_new = dependents(live, table, new)?;
    refuse_users(live, &on_new, new)?;
    let base = without_column(live, before, table, new, &on_new)?;
    let mut rehearsed = Rehearsed::of(base, live)?;
    rehearsed.breaks.extend(unjudged(live, new)?);
    Ok(rehearsed)
}

impl Rehearsed {
    /// Judges what every object of `live` makes of `schema`.
    fn of(schema: Schema, live: &Schema) -> Result<Self> {
        let mut breaks = Vec::new();
        for it in compare(live, &schema)? {
            if let Some(failure) = &it.is.failure {
                breaks.push(would_fail(it.object, failure));
            } else if it.is.columns != it.was.columns && !it.follows() {
                breaks.push(format!(
                    "{} would show other columns: {}",
                    it.object.spoken(),
                    quoted_list(&it.is.columns)
                ));
            }
        }
        Ok(Self { schema, breaks })
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
    let text = text_without(schema, table, column)?;
    Ok(rest.with_text(Kind::Table, table, &text))
}

/// The text that SQLite's own DROP COLUMN leaves of the table.
pub fn text_without(schema: &Schema, table: &Name, column: &Name) -> Result<String> {
    // The table alone, since what else is broken in the file must not stop the ALTER.
    let replica = Replica::of(&schema.only(table))?;
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
    replica.text(Kind::Table, table)
}

/// A view with a list of its column names behind its name.
struct ColumnList {
    view: Name,
    /// The names.
    columns: Vec<Name>,
    /// The text of the view with them.
    sql: String,
    /// Where they stand in it.
    place: Range<usize>,
}

impl ColumnList {
    /// A text of the view with the list in its place, or without where its columns are called the same then too.
    fn unless_idle(&self, replica: &Replica, text: String) -> Result<String> {
        let mut plain = text.clone();
        plain.replace_range(self.place.clone(), "");
        let columns = replica.view_columns(&self.view, &plain)?;
        Ok(if columns == self.columns { plain } else { text })
    }
}

/// Every view that neither has a list of its own nor follows the table, with a list of its column names, so that
/// a rename below does not change them.
fn column_lists(live: &Schema, base: &Schema) -> Result<BTreeMap<Name, ColumnList>> {
    let compared = compare(base, live)?;
    let follow = followers(&compared);
    let views = compared
        .into_iter()
        .filter(|it| it.object.kind == Kind::View && !follow.contains(&it.object.name));
    let listed = views.filter_map(|it| {
        let view = it.object.name.clone();
        let (sql, place) = text::with_column_list(it.object.sql.as_deref()?, &it.was.columns)?;
        let list = ColumnList {
            view: view.clone(),
            columns: it.was.columns,
            sql,
            place,
        };
        Some((view, list))
    });
    Ok(listed.collect())
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
