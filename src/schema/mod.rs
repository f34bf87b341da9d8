//! What the file looks like: read, rehearsed on a replica, and compared.

mod compare;
mod found;
mod index;
mod nearest;
mod rehearsal;
mod replica;
mod stand_in;
mod table;
mod text;
mod unique;
mod usage;

use std::fmt;

use rusqlite::Connection;

use crate::error::{Error, Result};
use crate::name::Name;

pub use compare::differences;
pub use found::FoundTable;
pub use nearest::nearest;
pub use rehearsal::{
    Addition, Entries, Field, NewApps, Pair, Promise, Rehearsed, Shadow, Synced, Target, Trial,
    TypeSource, add_column, alterations_since, altered, check_conflicts, check_expression,
    default_of, expect_columns, failing, hold_old, index_twins, remove_new, rename_old,
    replace_old, synced, text_under, text_without, typed, wanted_index, with_index,
};
pub use table::{Column, Generated, Key, KeyColumn, Table};
pub use unique::Unique;

/// What kind of thing a schema row describes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// A table, ordinary or virtual.
    Table,
    /// An index.
    Index,
    /// A view.
    View,
    /// A trigger.
    Trigger,
}

impl Kind {
    /// The word in `sqlite_schema.type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Index => "index",
            Self::View => "view",
            Self::Trigger => "trigger",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One row of `sqlite_schema`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
    /// The table or view that it belongs to; itself for a table or a view.
    pub table: Name,
    /// Its text; an index that a constraint makes has none.
    pub sql: Option<String>,
}

impl Object {
    /// Whether it is the `kind` called `name`.
    #[must_use]
    pub fn is(&self, kind: Kind, name: &Name) -> bool {
        self.kind == kind && self.name == *name
    }

    /// Kind and name, which no two objects of a schema share.
    #[must_use]
    pub fn id(&self) -> (Kind, Name) {
        (self.kind, self.name.clone())
    }

    /// How sentences speak of it: "view `v`".
    #[must_use]
    pub fn spoken(&self) -> String {
        format!("{} `{}`", self.kind, self.name.as_str())
    }

    /// Whether it is the table, or an index on it.
    #[must_use]
    pub fn is_part_of(&self, table: &Name) -> bool {
        self.table == *table && matches!(self.kind, Kind::Table | Kind::Index)
    }

    /// Whether SQLite compiles it, as it does views, triggers and virtual tables, so that it can fail or mean
    /// something else.
    #[must_use]
    pub fn compiles(&self) -> bool {
        matches!(self.kind, Kind::View | Kind::Trigger) || self.is_virtual()
    }

    /// Whether it is a table that a module implements. SQLite keeps a text that begins so for nothing else.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        const START: &str = "CREATE VIRTUAL TABLE";
        self.sql
            .as_deref()
            .and_then(|sql| sql.get(..START.len()))
            .is_some_and(|start| start.eq_ignore_ascii_case(START))
    }
}

/// The schema of a file, without the tables that changeover itself keeps there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Schema {
    /// The objects in the order of `sqlite_schema`, which is the order in which triggers came to be.
    pub objects: Vec<Object>,
    /// Our own triggers and indexes on tables of the application. No replica has them.
    pub ours: Vec<Object>,
}

impl Schema {
    /// Reads the schema of the main database.
    pub fn read(connection: &Connection) -> Result<Self> {
        let mut statement = connection.prepare_cached(
            "SELECT type, name, tbl_name, sql FROM main.sqlite_schema ORDER BY rowid",
        )?;
        let mut rows = statement.query([])?;
        let (mut objects, mut ours) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next()? {
            let kind = match row.get::<_, String>(0)?.as_str() {
                "table" => Kind::Table,
                "index" => Kind::Index,
                "view" => Kind::View,
                "trigger" => Kind::Trigger,
                other => return Err(Error::Damaged(format!("a schema row of type `{other}`"))),
            };
            let object = Object {
                kind,
                name: row.get(1)?,
                table: row.get(2)?,
                sql: row.get(3)?,
            };
            if object.table.is_ours() {
                continue;
            }
            if object.name.is_ours() {
                ours.push(object);
            } else {
                objects.push(object);
            }
        }
        Ok(Self { objects, ours })
    }

    /// The object of that kind and name.
    #[must_use]
    pub fn find(&self, kind: Kind, name: &Name) -> Option<&Object> {
        self.objects.iter().find(|object| object.is(kind, name))
    }

    /// The text of the table.
    #[must_use]
    pub fn table_text(&self, table: &Name) -> Option<&str> {
        self.find(Kind::Table, table)?.sql.as_deref()
    }

    /// Whether the file holds the table and nothing else, so that nothing can name or use its columns.
    #[must_use]
    pub fn is_only(&self, table: &Name) -> bool {
        self.objects
            .iter()
            .all(|object| object.is(Kind::Table, table))
    }

    /// Whether anything in it compiles to a program.
    #[must_use]
    pub fn has_programs(&self) -> bool {
        self.objects.iter().any(Object::compiles)
    }

    /// The table by itself.
    #[must_use]
    pub fn only(&self, table: &Name) -> Self {
        self.clone()
            .without(|object| !object.is(Kind::Table, table))
    }

    /// The table with its indexes.
    #[must_use]
    pub fn only_with_indexes(&self, table: &Name) -> Self {
        self.clone().without(|object| !object.is_part_of(table))
    }

    /// The same schema with another text for one object.
    #[must_use]
    pub fn with_text(mut self, kind: Kind, name: &Name, sql: &str) -> Self {
        for object in &mut self.objects {
            if object.is(kind, name) {
                object.sql = Some(sql.to_owned());
            }
        }
        self
    }

    /// The same schema with more of our own triggers and indexes.
    #[must_use]
    pub fn with_ours(mut self, more: Vec<Object>) -> Self {
        self.ours.extend(more);
        self
    }

    /// The same schema without some of our own triggers and indexes.
    #[must_use]
    pub fn without_ours(mut self, unwanted: impl Fn(&Object) -> bool) -> Self {
        self.ours.retain(|object| !unwanted(object));
        self
    }

    /// The same schema without some of its objects.
    #[must_use]
    pub fn without(mut self, unwanted: impl Fn(&Object) -> bool) -> Self {
        self.objects.retain(|object| !unwanted(object));
        self
    }
}

/// The ordinary tables that have the column.
pub fn tables_with(connection: &Connection, column: &Name) -> Result<Vec<Name>> {
    let mut statement = connection.prepare_cached(
        "SELECT list.name FROM pragma_table_list AS list, pragma_table_xinfo(list.name, 'main') AS info \
         WHERE list.schema = 'main' AND list.type = 'table' AND lower(info.name) = lower(?1) ORDER BY list.name",
    )?;
    let tables = statement.query_map([column], |row| row.get::<_, Name>(0))?;
    let tables = tables.collect::<rusqlite::Result<Vec<_>>>()?;
    let ordinary = |table: &Name| !table.is_ours() && !table.is_sqlites();
    Ok(tables.into_iter().filter(ordinary).collect())
}
