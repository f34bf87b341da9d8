//! The table of a target under another name, to be filled beside the live one.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::name::Name;

use super::super::replica::Replica;
use super::super::{Kind, Schema, text};

/// The name that the shadow table bears while it is filled.
pub const SHADOW: &str = "_changeover_shadow";

/// A table with the target's columns, constraints and indexes, all under names of our own.
#[derive(Debug)]
pub struct Shadow {
    /// Its name.
    pub name: Name,
    /// The text of the table.
    pub table: String,
    /// The texts of its indexes, those apart that its constraints make.
    pub indexes: Vec<String>,
    /// The table and each of its indexes: the live name, and the shadow's.
    pub twins: Vec<(Name, Name)>,
}

impl Shadow {
    /// SQLite itself renames the table, on a replica that holds it as it will be, with its indexes: a CHECK or a
    /// generated column may call it by name.
    pub(super) fn of(replica: &Replica, live: &Schema, table: &Name) -> Result<Self> {
        let name = Name::from(SHADOW);
        let before = replica.automatic_indexes(table)?;
        replica.alter(table, &format!("RENAME TO {name}"))?;
        let after = replica.automatic_indexes(&name)?;
        let indexes = live
            .objects
            .iter()
            .filter(|object| object.is_part_of(table));
        let (automatic, made): (Vec<_>, Vec<_>) = indexes
            .filter(|object| object.kind == Kind::Index)
            .partition(|index| index.sql.is_none());
        let known: BTreeSet<_> = automatic.iter().map(|index| &index.name).collect();
        if known != before.iter().collect() {
            return Err(Error::NotSupported(format!(
                "the indexes of table `{}` are not those that its text makes",
                table.as_str()
            )));
        }
        let mut twins = vec![(table.clone(), name.clone())];
        twins.extend(before.into_iter().zip(after));
        let mut indexes = Vec::new();
        for (number, index) in made.into_iter().enumerate() {
            let twin = Name::new(format!("{SHADOW}_{}", number + 1));
            let sql = replica.text(Kind::Index, &index.name)?;
            indexes.extend(text::with_index_name(&sql, &twin));
            twins.push((index.name.clone(), twin));
        }
        Ok(Self {
            table: replica.text(Kind::Table, &name)?,
            name,
            indexes,
            twins,
        })
    }
}
