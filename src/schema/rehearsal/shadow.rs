//! The table of a target under another name, to be filled beside the live one.

use crate::error::{Error, Result};
use crate::name::Name;

use super::super::replica::Replica;
use super::super::{Kind, Object, Schema, text};

/// The name that the shadow table bears while it is filled.
const SHADOW: &str = "_changeover_shadow";

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
    /// SQLite itself renames the table on a replica: a CHECK or a generated column may call it by name.
    pub(super) fn of(target: &Schema, live: &Schema, table: &Name) -> Result<Self> {
        let own = |object: &Object| {
            object.table == *table && matches!(object.kind, Kind::Table | Kind::Index)
        };
        let replica = Replica::of(&target.clone().without(|object| !own(object)))?;
        let name = Name::from(SHADOW);
        let before = replica.automatic_indexes(table)?;
        replica.alter(table, &format!("RENAME TO {name}"))?;
        let after = replica.automatic_indexes(&name)?;
        let live_own = live.objects.iter().filter(|object| own(object));
        let (automatic, made): (Vec<_>, Vec<_>) = live_own
            .filter(|object| object.kind == Kind::Index)
            .partition(|index| index.sql.is_none());
        if automatic.iter().map(|index| &index.name).ne(&before) {
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
