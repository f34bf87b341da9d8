//! Migrate data, rehearsed: the table while old and new applications both write it.

use crate::error::{Error, Result};
use crate::name::Name;

use super::super::replica::Replica;
use super::super::{Kind, Object, Schema, Table, text};
use super::declared::{Declared, constant_default};
use super::relaxed::{Promise, Relaxed};
use super::{Pair, dependents};

/// Who writes what while both columns are there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NewApps {
    /// New applications leave the old column out.
    WriteNew,
    /// They write both columns, since the table can do without neither.
    WriteBoth,
}

/// The table while both columns are written.
#[derive(Debug)]
pub struct Synced {
    /// All of the schema, with the table's text of that time.
    pub schema: Schema,
    /// The table as SQLite describes it then.
    pub table: Table,
    /// What the new column holds where a statement leaves it out, as SQL; none for NULL.
    pub default: Option<String>,
    /// What the triggers have to see to.
    pub promises: Vec<Promise>,
}

/// What the new column of a table holds where a statement leaves it out, as SQL; none for NULL.
pub fn default_of(live: &Schema, table: &Name, column: &Name) -> Result<Option<String>> {
    let table = Replica::of(&live.only(table))?.table(table)?;
    constant_default(&table, table.expect_column(column)?)
}

/// Rehearses the text of the table for the time in which both columns are written.
///
/// The new column gets the collation and the constant default of the old one, where it is the old one under another
/// name (not `replaces`) and `before` is known. Where new applications leave the old column out, the constraints
/// of that one give way to such as look at both.
pub fn synced(
    live: &Schema,
    before: Option<&str>,
    pair: &Pair,
    replaces: bool,
    new_apps: NewApps,
) -> Result<Synced> {
    let table = &pair.table;
    let replica = Replica::of(&live.only_with_indexes(table))?;
    let now = replica.table(table)?;
    let mut declared = Declared::standing(&replica, pair)?;
    if !replaces && let Some(before) = before {
        declared.declare_alike(live, before, pair, &replica)?;
    }
    let mut promises = Vec::new();
    if new_apps == NewApps::WriteNew {
        let relaxed = Relaxed::of(live, &declared, pair, replaces)?;
        (declared.text, promises) = (relaxed.text, relaxed.promises);
    }
    let text = &declared.text;
    let schema = live.clone().with_text(Kind::Table, table, text);
    let then = Replica::of(&schema.only_with_indexes(table))?.table(table)?;
    let names = |table: &Table| -> Vec<Name> {
        let columns = table.columns.iter();
        columns.map(|it| it.name.clone()).collect()
    };
    if names(&now) != names(&then) {
        // The rows stay as they are, so that a column in another place would read another's values.
        return Err(Error::Unexpected(vec![format!(
            "the columns of `{}` would stand in another order",
            table.as_str()
        )]));
    }
    Ok(Synced {
        schema,
        table: then,
        default: declared.of_new,
        promises,
    })
}

/// The indexes by which the new column is found as the old one is: one for each index of the table that `target`, in
/// which the old column bears the new name, has on it. `name` gives the `n`th its name.
///
/// One that is unique over several columns has a twin that is not: an UPDATE of these columns and of the old one
/// would meet the new one as it was before. Nor are twins unique where constraints of the column say ON CONFLICT, which
/// an index cannot.
pub fn index_twins(
    live: &Schema,
    target: &Schema,
    pair: &Pair,
    name: impl Fn(usize) -> Name,
) -> Result<Vec<Object>> {
    let Pair { table, new, .. } = pair;
    let replica = Replica::of(&target.only_with_indexes(table))?;
    let says_on_conflict = replica.says_on_conflict(table, new)?;
    let renamed = replica.table(table)?;
    let mut texts = Vec::new();
    for index in target.objects.iter().filter(|it| it.is_part_of(table)) {
        let (Kind::Index, Some(sql)) = (index.kind, &index.sql) else {
            continue;
        };
        if live.find(Kind::Index, &index.name) != Some(index) {
            texts.push(sql.clone());
        }
    }
    let constraints = renamed.unique_on(new);
    texts.extend(
        constraints
            .iter()
            .map(|columns| format!("CREATE UNIQUE INDEX {table} ON {table} ({columns})")),
    );
    let twin = |(number, sql): (usize, &String)| {
        let name = name(number + 1);
        let sql = text::with_index_name(sql, &name)?;
        let sql = if says_on_conflict || says_others(&renamed, new, &sql) {
            text::without_unique(&sql)
        } else {
            sql
        };
        Some(Object {
            kind: Kind::Index,
            name,
            table: table.clone(),
            sql: Some(sql),
        })
    };
    Ok(texts.iter().enumerate().filter_map(twin).collect())
}

/// Fails with [`Error::NeedsBoth`] where a row without the old column could collide with another that it has
/// nothing to do with, while one of its columns is not yet what it will be; or where only the constraints of the old
/// column could say what is to be done then.
pub fn check_conflicts(live: &Schema, pair: &Pair) -> Result<()> {
    let Pair { table, old, .. } = pair;
    let replica = Replica::of(&live.only_with_indexes(table))?;
    let now = replica.table(table)?;
    let default = constant_default(&now, now.expect_column(old)?)?;
    let reason = if default.is_some() && now.is_unique_on(old) {
        "rows without it would hold its default, and it is unique"
    } else if is_unique_with_others(live, &now, pair)? {
        "it is unique together with other columns, and would lag behind these in an UPDATE of both"
    } else if replica.says_on_conflict(table, old)? {
        "a constraint of it says ON CONFLICT, which the new column cannot"
    } else {
        return Ok(());
    };
    Err(Error::NeedsBoth {
        table: table.clone(),
        old: old.clone(),
        reason: reason.to_owned(),
    })
}

/// Whether a unique constraint or index of the old column looks at other columns too.
fn is_unique_with_others(live: &Schema, now: &Table, pair: &Pair) -> Result<bool> {
    let Pair { table, old, .. } = pair;
    let constraints = now.unique_on(old);
    if constraints.iter().any(|it| says_others(now, old, it)) {
        return Ok(true);
    }
    let dependents = dependents(live, table, old)?;
    let mut indexes = live.objects.iter().filter(|it| {
        it.kind == Kind::Index && dependents.contains(&it.id()) && now.is_unique(&it.name)
    });
    Ok(indexes.any(|index| {
        let sql = index.sql.as_deref();
        sql.is_some_and(|sql| says_others(now, old, sql))
    }))
}

/// Whether the text says the name of any other column of the table.
fn says_others(table: &Table, column: &Name, sql: &str) -> bool {
    let mut others = table.columns.iter().filter(|it| it.name != *column);
    others.any(|other| text::says(sql, &other.name))
}
