//! Migrate data, rehearsed: the table while old and new applications both write it.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::database::literal;
use crate::error::{Error, Result};
use crate::name::Name;

use super::super::replica::Replica;
use super::super::{Column, Kind, Object, Schema, Table, text};
use super::Pair;
use super::add::{TypeSource, definition};

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
}

impl Synced {
    /// The table as it stands already while both columns are written.
    pub fn standing(live: &Schema, table: &Name, new: &Name) -> Result<Self> {
        let table = Replica::of(&live.only_with_indexes(table))?.table(table)?;
        let default = constant_default(&table, table.expect_column(new)?)?;
        Ok(Self {
            schema: live.clone(),
            table,
            default,
        })
    }
}

/// The schema, and the table in it, in which the new column has the type of the old one, where expand, not knowing the old one, came to
/// another. Only for a column in which no row holds a value yet, on a table whose text was `before`.
pub fn typed(live: &Schema, before: &str, pair: &Pair) -> Result<(Schema, Table)> {
    let table = &pair.table;
    let now = Replica::of(&live.only(table))?.table(table)?;
    let old = now.expect_column(&pair.old)?;
    let text = with_new(live, before, pair, &old.declared_type, "")?;
    let schema = live.clone().with_text(Kind::Table, table, &text);
    let table = Replica::of(&schema.only_with_indexes(table))?.table(table)?;
    Ok((schema, table))
}

/// Rehearses the text of the table for the time in which both columns are written.
///
/// The new column gets the collation and the constant default of the old one, where it is the old one under another
/// name (not `replaces`) and `before` is known. Where new applications leave the old column out, its NOT NULL gives
/// way to a CHECK that a value stands in one of the two, and its CHECKs look at the column that was written.
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
    let mut declared = Declared {
        text: replica.text(Kind::Table, table)?,
        of_old: constant_default(&now, now.expect_column(&pair.old)?)?,
        of_new: None,
    };
    if !replaces && let Some(before) = before {
        declared.declare_alike(live, before, pair, &replica)?;
    }
    if new_apps == NewApps::WriteNew {
        if declared.of_old.is_some() && now.is_unique_on(&pair.old) {
            return Err(Error::NeedsBoth {
                table: table.clone(),
                old: pair.old.clone(),
                reason: "rows without it would hold its default, and it is unique".to_owned(),
            });
        }
        declared.text = relaxed(live, &declared, pair, replaces)?;
    }
    let schema = live.clone().with_text(Kind::Table, table, &declared.text);
    let then = Replica::of(&schema.only_with_indexes(table))?.table(table)?;
    let names =
        |table: &Table| -> Vec<Name> { table.columns.iter().map(|it| it.name.clone()).collect() };
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
    })
}

/// The text of a table with both columns, and what they hold where a statement leaves them out, as SQL; none
/// for NULL.
struct Declared {
    text: String,
    of_old: Option<String>,
    of_new: Option<String>,
}

impl Declared {
    /// Gives the new column the collation and the default of the old one.
    fn declare_alike(
        &mut self,
        live: &Schema,
        before: &str,
        pair: &Pair,
        replica: &Replica,
    ) -> Result<()> {
        let Pair { table, old, new } = pair;
        let now = replica.table(table)?;
        let mut constraints = Vec::new();
        // An index of the application's is sorted by the collation that the column has.
        let is_indexed = live.objects.iter().any(|object| {
            object.is_part_of(table)
                && object.kind == Kind::Index
                && object
                    .sql
                    .as_deref()
                    .is_some_and(|sql| text::says(sql, new))
        });
        if !is_indexed && let Some(collation) = replica.collation(table, old)? {
            constraints.push(format!("COLLATE {collation}"));
        }
        // A default would collide with the row that really holds that value.
        if !now.is_unique_on(old) {
            self.of_new.clone_from(&self.of_old);
            constraints.extend(self.of_old.iter().map(|value| format!("DEFAULT {value}")));
        }
        if !constraints.is_empty() {
            let declared_type = &now.expect_column(new)?.declared_type;
            self.text = with_new(live, before, pair, declared_type, &constraints.join(" "))?;
        }
        Ok(())
    }
}

/// The text `before` with the new column, as SQLite adds it.
fn with_new(
    live: &Schema,
    before: &str,
    pair: &Pair,
    declared_type: &str,
    constraints: &str,
) -> Result<String> {
    let Pair { table, new, .. } = pair;
    let narrow = live.only(table).with_text(Kind::Table, table, before);
    let definition = definition(&narrow, table, declared_type, TypeSource::Column)?;
    let replica = Replica::of(&narrow)?;
    let words = [new.as_written(), definition, constraints.to_owned()];
    let words: Vec<String> = words.into_iter().filter(|it| !it.is_empty()).collect();
    replica.alter(table, &format!("ADD COLUMN {}", words.join(" ")))?;
    replica.text(Kind::Table, table)
}

/// The texts of the indexes by which the new column is found as the old one is: one for each index of the table that
/// `target`, in which the old column bears the new name, has on it. `name` gives the `n`th its name.
pub fn index_twins(
    live: &Schema,
    target: &Schema,
    pair: &Pair,
    name: impl Fn(usize) -> Name,
) -> Result<Vec<Object>> {
    let table = &pair.table;
    let renamed = Replica::of(&target.only_with_indexes(table))?;
    let mut texts = Vec::new();
    for index in target.objects.iter().filter(|it| it.is_part_of(table)) {
        let (Kind::Index, Some(sql)) = (index.kind, &index.sql) else {
            continue;
        };
        if live.find(Kind::Index, &index.name) != Some(index) {
            let name = name(texts.len() + 1);
            texts.extend(text::with_index_name(sql, &name).map(|sql| (name, sql)));
        }
    }
    for columns in renamed.table(table)?.unique_on(&pair.new) {
        let name = name(texts.len() + 1);
        let sql = format!("CREATE UNIQUE INDEX {name} ON {table} ({columns})");
        texts.push((name, sql));
    }
    let twin = |(name, sql)| Object {
        kind: Kind::Index,
        name,
        table: table.clone(),
        sql: Some(sql),
    };
    Ok(texts.into_iter().map(twin).collect())
}

/// The value of the column's default as SQL, where it is one and the same for every row and not NULL.
fn constant_default(table: &Table, column: &Column) -> Result<Option<String>> {
    let Some(default) = &column.default else {
        return Ok(None);
    };
    let scratch = Connection::open_in_memory()?;
    let (any, strict) = if table.strict {
        ("ANY", "STRICT")
    } else {
        ("", "")
    };
    scratch.execute_batch(&format!(
        "CREATE TABLE scratch(first {any}) {strict}; INSERT INTO scratch VALUES (1)"
    ))?;
    let declared_type = match column.declared_type.as_str() {
        "" => String::new(),
        declared if table.strict => declared.to_owned(),
        declared => Name::from(declared).to_string(),
    };
    // SQLite refuses one that is not constant here, where a row stands that would get it.
    let added = [default.clone(), format!("({default})")]
        .iter()
        .any(|default| {
            let add =
                format!("ALTER TABLE scratch ADD COLUMN second {declared_type} DEFAULT {default}");
            scratch.execute_batch(&add).is_ok()
        });
    if !added {
        return Ok(None);
    }
    let value: Value = scratch.query_row("SELECT second FROM scratch", [], |row| row.get(0))?;
    Ok((value != Value::Null).then(|| literal(&value)))
}

/// The text under which a row may lack a value in the old column as long as the new one holds it.
fn relaxed(live: &Schema, declared: &Declared, pair: &Pair, replaces: bool) -> Result<String> {
    let Pair { table, old, new } = pair;
    let text = checks_of_the_written(live, declared, pair, replaces)?;
    let replica = Replica::of(&live.only(table).with_text(Kind::Table, table, &text))?;
    let now = replica.table(table)?;
    let column = now.expect_column(old)?;
    if column.not_null && column.default.is_none() {
        replica.alter(table, &format!("ALTER COLUMN {old} DROP NOT NULL"))?;
        let (old, new) = (old.as_written(), new.as_written());
        replica.alter(
            table,
            &format!("ADD CHECK ({old} IS NOT NULL OR {new} IS NOT NULL)"),
        )?;
    }
    replica.text(Kind::Table, table)
}

/// The text in which each CHECK of the old column looks at the column that a statement wrote.
///
/// A CHECK of that column alone holds for both columns, each where it has a value of its own. One that names others
/// too must hold for the column that was written: the other follows only in the trigger, so that
/// `UPDATE t SET low = 5, high = 9` meets the `high` of before in it. Which one that was shows where one of
/// them has no value; where both have, one of them will do until the trigger has made them alike.
fn checks_of_the_written(
    live: &Schema,
    declared: &Declared,
    pair: &Pair,
    replaces: bool,
) -> Result<String> {
    let Pair { table, old, new } = pair;
    let text = &declared.text;
    // The old column under the new name, on a table that has no other of that name.
    let narrow = Replica::of(&live.only(table).with_text(Kind::Table, table, text))?;
    narrow.rename_column(table, new, &Name::from(super::PROBE[0]))?;
    let before = narrow.text(Kind::Table, table)?;
    narrow.rename_column(table, old, new)?;
    let renamed = narrow.text(Kind::Table, table)?;
    let (here, there, then) = (
        text::checks(text),
        text::checks(&before),
        text::checks(&renamed),
    );
    if here.len() != then.len() || there.len() != then.len() {
        return Err(Error::NotSupported(format!(
            "the CHECKs of table `{}` cannot be told apart",
            table.as_str()
        )));
    }
    let left_out = |column: &Name, default: &Option<String>| match default {
        Some(value) => format!("{column} COLLATE BINARY IS {value}"),
        None => format!("{column} IS NULL"),
    };
    let (no_old, no_new) = (
        left_out(old, &declared.of_old),
        left_out(new, &declared.of_new),
    );
    let (has_old, has_new) = (format!("NOT ({no_old})"), format!("NOT ({no_new})"));
    let mut splices = Vec::new();
    for ((range, was), is) in here.into_iter().zip(there).zip(then) {
        let (was, is) = (&before[was], &renamed[is]);
        if was == is {
            continue;
        }
        let of_old = &text[range.clone()];
        let check = if replaces {
            format!("{no_old} AND {has_new} OR ({of_old})")
        } else if stands_alone(&narrow, table, new, is)? {
            format!(
                "({no_old} AND {has_new} OR ({of_old})) AND ({no_new} OR {new} IS NULL AND {has_old} OR ({is}))"
            )
        } else {
            format!(
                "CASE WHEN {no_new} THEN ({of_old}) WHEN {no_old} THEN ({is}) ELSE ({of_old}) OR ({is}) END"
            )
        };
        splices.push((range, check));
    }
    Ok(text::spliced(text, &splices))
}

/// Whether the CHECK names no other column than this one.
fn stands_alone(replica: &Replica, table: &Name, column: &Name, check: &str) -> Result<bool> {
    let all = replica.table(table)?;
    let declared_type = &all.expect_column(column)?.declared_type;
    let declared_type = Name::new(declared_type.as_str());
    let alone = Schema {
        objects: vec![Object {
            kind: Kind::Table,
            name: table.clone(),
            table: table.clone(),
            sql: Some(format!(
                "CREATE TABLE {table}({column} {declared_type}, CHECK ({check}))"
            )),
        }],
        ours: Vec::new(),
    };
    // In double quotes another column's name would pass for a string.
    let others = all.columns.iter().filter(|it| it.name != *column);
    let mut others = others.map(|it| &it.name);
    Ok(Replica::of(&alone).is_ok() && !others.any(|other| text::says(check, other)))
}
