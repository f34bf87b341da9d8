//! One table as SQLite's own PRAGMAs describe it.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use crate::error::{Error, Result};
use crate::name::Name;

use super::index::{Index, indexes};
use super::nearest::nearest;
use super::{Kind, Schema};

/// Where the values of a generated column are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Generated {
    /// Nowhere: they are computed whenever they are read.
    Virtual,
    /// In the rows.
    Stored,
}

/// A column of a table or a view.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: Name,
    /// The declared type, empty where there is none.
    pub declared_type: String,
    /// Whether `NOT NULL` is declared.
    pub not_null: bool,
    /// The text of its default.
    pub default: Option<String>,
    /// Its place in the primary key, from 1; 0 outside.
    pub key_position: u32,
    /// Where its values are, where these are computed.
    pub generated: Option<Generated>,
    /// Whether a row can hold NULL in it.
    pub nullable: bool,
}

/// One column of a foreign key from this table.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Reference {
    id: i64,
    parent: Name,
    from: Name,
    to: Option<Name>,
    on_update: String,
    on_delete: String,
}

/// How rows are found and walked in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Key {
    /// By a rowid, under the name that no column has taken from it.
    Rowid {
        /// The INTEGER PRIMARY KEY, or one of `rowid`, `_rowid_` and `oid`.
        name: Name,
        /// Whether no column shows it, so that a copy of the table must be told it.
        hidden: bool,
    },
    /// By the columns of the primary key of a WITHOUT ROWID table.
    Columns(Vec<KeyColumn>),
    /// Three columns took all names of the rowid: the rows cannot be told apart from outside.
    None,
}

/// A column of a primary key, as the key orders it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyColumn {
    /// The column.
    pub name: Name,
    /// The collation of the key, where it is not the column's own.
    pub collation: Option<Name>,
    /// Whether the key runs downwards.
    pub descending: bool,
}

/// An ordinary table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Table {
    /// Its name.
    pub name: Name,
    /// All columns in order, generated ones among them.
    pub columns: Vec<Column>,
    /// How rows are found.
    pub key: Key,
    /// Whether it is STRICT.
    pub strict: bool,
    without_rowid: bool,
    indexes: Vec<Index>,
    references: Vec<Reference>,
}

impl Table {
    /// Reads an ordinary table.
    ///
    /// Fails with [`Error::NoSuchTable`], which names the nearest there is, or with
    /// [`Error::NotAnOrdinaryTable`] for views, virtual tables and what SQLite keeps for itself.
    pub fn read(connection: &Connection, table: &Name) -> Result<Self> {
        let refuse = |kind| {
            Err(Error::NotAnOrdinaryTable {
                name: table.clone(),
                kind,
            })
        };
        if table.is_sqlites() {
            return refuse("SQLite's own");
        }
        let found = connection
            .prepare_cached("SELECT name, type, wr, strict FROM pragma_table_list(?1) WHERE schema = 'main' AND lower(name) = lower(?1)")?
            .query_row([table], |row| {
                Ok((row.get::<_, Name>(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?))
            });
        let (name, kind, without_rowid, strict): (Name, String, bool, bool) = match found {
            Ok(found) => found,
            Err(rusqlite::Error::QueryReturnedNoRows) => {
                return Err(Error::NoSuchTable {
                    table: table.clone(),
                    nearest: nearest(table, &table_names(connection)?),
                });
            }
            Err(error) => return Err(error.into()),
        };
        match kind.as_str() {
            "table" if name.is_ours() => return refuse("changeover's own"),
            "table" => {}
            "view" => return refuse("a view"),
            "virtual" => return refuse("a virtual table"),
            _ => return refuse("part of a virtual table"),
        }
        Self::describe_as(connection, name, without_rowid, strict)
    }

    /// Describes a table that is known to be an ordinary one.
    pub(super) fn describe(connection: &Connection, name: &Name) -> Result<Self> {
        let (without_rowid, strict) = connection
            .prepare_cached("SELECT wr, strict FROM pragma_table_list(?1) WHERE schema = 'main'")?
            .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Self::describe_as(connection, name.clone(), without_rowid, strict)
    }

    fn describe_as(
        connection: &Connection,
        name: Name,
        without_rowid: bool,
        strict: bool,
    ) -> Result<Self> {
        let mut read = Self {
            columns: columns(connection, &name)?,
            indexes: indexes(connection, &name, |index| !index.is_ours())?,
            references: references(connection, &name)?,
            key: Key::None,
            name,
            strict,
            without_rowid,
        };
        read.find_key(connection)?;
        let alias = read.rowid_alias().map(|column| column.name.clone());
        for column in &mut read.columns {
            let in_key = without_rowid && column.key_position > 0;
            column.nullable = !column.not_null && !in_key && alias.as_ref() != Some(&column.name);
        }
        Ok(read)
    }

    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &Name) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == *name)
    }

    /// The column of that name, or [`Error::NoSuchColumn`] with the nearest.
    pub fn expect_column(&self, name: &Name) -> Result<&Column> {
        self.column(name).ok_or_else(|| {
            let names: Vec<Name> = self.columns.iter().map(|it| it.name.clone()).collect();
            Error::NoSuchColumn {
                table: self.name.clone(),
                column: name.clone(),
                nearest: nearest(name, &names),
            }
        })
    }

    /// Whether the name means the rowid of the table, or did before a column took it: SQLite neither adds nor
    /// renames such a column.
    #[must_use]
    pub fn means_rowid(&self, name: &Name) -> bool {
        !self.without_rowid && ["rowid", "_rowid_", "oid"].map(Name::from).contains(name)
    }

    /// What REPLACE puts in the place of a NULL, by the name of the column: its default, where it is NOT NULL.
    #[must_use]
    pub fn replaced_nulls(&self) -> BTreeMap<String, String> {
        let in_key = |column: &Column| self.without_rowid && column.key_position > 0;
        let columns = self.columns.iter();
        let columns = columns.filter(|column| column.not_null || in_key(column));
        columns
            .filter_map(|column| Some((column.name.as_str().to_owned(), column.default.clone()?)))
            .collect()
    }

    /// The columns that a statement may write.
    pub fn stored(&self) -> impl Iterator<Item = &Column> {
        self.columns
            .iter()
            .filter(|column| column.generated.is_none())
    }

    /// The columns whose values stand in the rows.
    pub fn in_rows(&self) -> impl Iterator<Item = &Column> {
        self.columns
            .iter()
            .filter(|column| column.generated != Some(Generated::Virtual))
    }

    /// Whether the indexes are those of `live`, entry by entry, where this is that table with the same rows, and both
    /// columns of the pair hold the same, as far as either table has them.
    #[must_use]
    pub fn keeps_indexes_of(&self, live: &Self, pair: Option<(&Name, &Name)>) -> bool {
        let renamed = |name: &Name| match pair {
            Some((one, other)) if name == one => other.clone(),
            _ => name.clone(),
        };
        let under_one_name = |index: &Index| {
            let mut index = index.clone();
            let names = index.columns.iter_mut().map(|(name, ..)| name);
            for name in names.chain(&mut index.finds) {
                *name = name.as_ref().map(renamed);
            }
            index
        };
        let here: Vec<Index> = self.indexes.iter().map(under_one_name).collect();
        let mut there = live.indexes.iter().map(under_one_name);
        there.all(|it| here.contains(&it))
    }

    /// The names of its indexes, those apart that are changeover's own.
    pub(super) fn index_names(&self) -> BTreeSet<&Name> {
        self.indexes.iter().map(|index| &index.name).collect()
    }

    /// Table and columns in a line: `users (name, full_name NULL)`, ` NULL` behind each column that may be NULL.
    /// Generated columns do not show, as `PRAGMA table_info` does not show them.
    #[must_use]
    pub fn summary(&self) -> String {
        let columns: Vec<String> = self
            .stored()
            .map(|column| {
                let null = if column.nullable { " NULL" } else { "" };
                format!("{}{null}", column.name.as_str())
            })
            .collect();
        format!("{} ({})", self.name.as_str(), columns.join(", "))
    }

    /// Fails with [`Error::NotWritable`] where a row of the table cannot be written by this SQLite, because a
    /// CHECK, an index or a generated column wants a function or a collation that only the application has.
    pub fn check_writable(&self, connection: &Connection) -> Result<()> {
        let columns: Vec<String> = self.columns.iter().map(|it| it.name.to_string()).collect();
        let sets: Vec<String> = self
            .stored()
            .map(|it| format!("{0} = {0}", it.name))
            .collect();
        let trials = [
            format!("INSERT INTO {} DEFAULT VALUES", self.name),
            format!("UPDATE {} SET {}", self.name, sets.join(", ")),
            format!(
                "SELECT 1 FROM {} ORDER BY {}",
                self.name,
                columns.join(", ")
            ),
        ];
        for trial in trials {
            connection
                .prepare(&trial)
                .map_err(|error| match error.into() {
                    Error::Sqlite(error) => Error::NotWritable {
                        table: self.name.clone(),
                        reason: error.to_string(),
                    },
                    other => other,
                })?;
        }
        Ok(())
    }

    /// The columns of each unique constraint that the column belongs to, as `CREATE UNIQUE INDEX` lists them.
    pub(super) fn unique_on(&self, column: &Name) -> Vec<String> {
        let written = |(name, descending, collation): &(Option<Name>, bool, String)| {
            let direction = if *descending { " DESC" } else { "" };
            let collation = Name::from(collation.as_str());
            let name = name.as_ref()?;
            Some(format!("{name} COLLATE {collation}{direction}"))
        };
        let constraints = self.indexes.iter().filter(|index| index.origin != "c");
        let listed = constraints.filter_map(|index| {
            let named = index.columns.iter().any(|it| it.0.as_ref() == Some(column));
            let columns: Option<Vec<String>> = index.columns.iter().map(written).collect();
            columns.filter(|_| named).map(|it| it.join(", "))
        });
        let alias = self.rowid_alias().filter(|alias| alias.name == *column);
        listed.chain(alias.map(|_| column.to_string())).collect()
    }

    /// What has a query read the rows themselves, and no index of them, behind the name of the table.
    #[must_use]
    pub fn by_its_key(&self) -> String {
        let mut indexes = self.indexes.iter();
        match indexes.find(|index| self.without_rowid && index.origin == "pk") {
            // NOT INDEXED keeps SQLite from no index of such a table.
            Some(key) => format!("INDEXED BY {}", key.name),
            None => "NOT INDEXED".to_owned(),
        }
    }

    /// Whether the index of that name is unique.
    pub(super) fn is_unique(&self, index: &Name) -> bool {
        let mut indexes = self.indexes.iter();
        indexes.any(|it| it.name == *index && it.unique)
    }

    /// Whether two rows cannot hold the same in the column, or in it and others.
    #[must_use]
    pub fn is_unique_on(&self, column: &Name) -> bool {
        self.indexes.iter().any(|index| {
            index.unique && index.columns.iter().any(|it| it.0.as_ref() == Some(column))
        })
    }

    /// The column that is the rowid under another name: the single INTEGER PRIMARY KEY, unless an index
    /// of its own (as for `INTEGER PRIMARY KEY DESC`) shows that it is an ordinary column.
    fn rowid_alias(&self) -> Option<&Column> {
        let mut key = self.columns.iter().filter(|column| column.key_position > 0);
        let (first, second) = (key.next()?, key.next());
        let alias = !self.without_rowid
            && second.is_none()
            && first.declared_type.eq_ignore_ascii_case("integer")
            && self.indexes.iter().all(|index| index.origin != "pk");
        alias.then_some(first)
    }

    fn find_key(&mut self, connection: &Connection) -> Result<()> {
        self.key = if self.without_rowid {
            let index = self.indexes.iter().find(|index| index.origin == "pk");
            let Some(index) = index else {
                return Err(Error::Damaged(format!(
                    "table `{}` is WITHOUT ROWID and without a key",
                    self.name.as_str()
                )));
            };
            let columns = index
                .columns
                .iter()
                .filter_map(|(name, descending, collation)| {
                    Some((name.clone()?, *descending, Name::from(collation.as_str())))
                });
            let key = columns.map(|(name, descending, collation)| {
                let (_, own, ..) =
                    connection.column_metadata(Some("main"), self.name.as_str(), name.as_str())?;
                let own = own.map(|own| Name::new(own.to_string_lossy()));
                Ok(KeyColumn {
                    name,
                    collation: (own.as_ref() != Some(&collation)).then_some(collation),
                    descending,
                })
            });
            Key::Columns(key.collect::<Result<_>>()?)
        } else if let Some(alias) = self.rowid_alias() {
            Key::Rowid {
                name: alias.name.clone(),
                hidden: false,
            }
        } else {
            ["rowid", "_rowid_", "oid"]
                .map(Name::from)
                .into_iter()
                .find(|name| self.column(name).is_none())
                .map_or(Key::None, |name| Key::Rowid { name, hidden: true })
        };
        Ok(())
    }
}

/// The columns of a table or a view. Fails where SQLite cannot make sense of the view.
pub(super) fn columns(connection: &Connection, table: &Name) -> Result<Vec<Column>> {
    let mut statement = connection.prepare_cached(
        "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1, 'main')",
    )?;
    let rows = statement.query_map([table], |row| {
        let not_null = row.get(2)?;
        let hidden: i64 = row.get(5)?;
        Ok(Column {
            name: row.get(0)?,
            declared_type: row.get(1)?,
            not_null,
            default: row.get(3)?,
            key_position: row.get(4)?,
            generated: match hidden {
                0 => None,
                2 => Some(Generated::Virtual),
                _ => Some(Generated::Stored),
            },
            nullable: !not_null,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn references(connection: &Connection, table: &Name) -> Result<Vec<Reference>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, \"table\", \"from\", \"to\", on_update, on_delete \
         FROM pragma_foreign_key_list(?1, 'main') ORDER BY id, seq",
    )?;
    let rows = statement.query_map([table], |row| {
        Ok(Reference {
            id: row.get(0)?,
            parent: row.get(1)?,
            from: row.get(2)?,
            to: row.get(3)?,
            on_update: row.get(4)?,
            on_delete: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn table_names(connection: &Connection) -> Result<Vec<Name>> {
    let schema = Schema::read(connection)?;
    let tables = schema
        .objects
        .into_iter()
        .filter(|object| object.kind == Kind::Table);
    Ok(tables.map(|table| table.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ddl: &str) -> Table {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(ddl).unwrap();
        Table::read(&connection, &"t".into()).unwrap()
    }

    #[test]
    fn summary_says_what_may_be_null() {
        let of = |ddl| read(ddl).summary();
        assert_eq!(
            of("CREATE TABLE t(a NOT NULL, b, c AS (a))"),
            "t (a, b NULL)"
        );
        assert_eq!(
            of("CREATE TABLE t(id INTEGER PRIMARY KEY, b)"),
            "t (id, b NULL)"
        );
        assert_eq!(
            of("CREATE TABLE t(id INTEGER PRIMARY KEY DESC)"),
            "t (id NULL)"
        );
        assert_eq!(of("CREATE TABLE t(id INT PRIMARY KEY)"), "t (id NULL)");
        assert_eq!(
            of("CREATE TABLE t(a, b, PRIMARY KEY(b)) WITHOUT ROWID"),
            "t (a NULL, b)"
        );
    }

    #[test]
    fn key_is_the_name_of_the_rowid_that_is_free() {
        let hidden = |name: &str| Key::Rowid {
            name: name.into(),
            hidden: true,
        };
        assert_eq!(read("CREATE TABLE t(a)").key, hidden("rowid"));
        assert_eq!(read("CREATE TABLE t(rowid)").key, hidden("_rowid_"));
        assert_eq!(read("CREATE TABLE t(ROWID, _rowid_, oid)").key, Key::None);
        let key = |name: &str, collation: Option<&str>, descending| KeyColumn {
            name: name.into(),
            collation: collation.map(Name::from),
            descending,
        };
        assert_eq!(
            read("CREATE TABLE t(a, b, PRIMARY KEY(b COLLATE nocase, a)) WITHOUT ROWID").key,
            Key::Columns(vec![key("b", Some("nocase"), false), key("a", None, false)])
        );
        assert_eq!(
            read("CREATE TABLE t(a COLLATE nocase, b, PRIMARY KEY(b DESC, a)) WITHOUT ROWID").key,
            Key::Columns(vec![key("b", None, true), key("a", None, false)])
        );
    }
}
