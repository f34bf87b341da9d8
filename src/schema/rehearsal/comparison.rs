//! Two schemas, and what becomes of everything that compiles from the one to the other.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::name::Name;

use super::super::replica::Replica;
use super::super::usage::Usage;
use super::super::{Kind, Object, Schema, text};

/// An object that works in the first schema, and what SQLite makes of it in both.
#[derive(Debug)]
pub(super) struct Compared<'a> {
    pub(super) object: &'a Object,
    pub(super) was: Usage,
    pub(super) is: Usage,
}

impl Compared<'_> {
    /// Whether it is a view that shows a column more or less: one that says `*`.
    pub(super) fn follows(&self) -> bool {
        self.is.failure.is_none() && self.was.columns.len() != self.is.columns.len()
    }

    /// Whether it still works, and compiles to another program.
    pub(super) fn is_turned(&self) -> bool {
        self.is.failure.is_none() && self.was.program != self.is.program
    }
}

/// The views, triggers and virtual tables of `before` that work there and stand in `after` too. What does not
/// work to begin with is nobody's concern.
pub(super) fn compare<'a>(before: &'a Schema, after: &Schema) -> Result<Vec<Compared<'a>>> {
    if !before.has_programs() {
        return Ok(Vec::new());
    }
    let (mut was, mut is) = (Replica::of(before)?.usages, Replica::of(after)?.usages);
    let both = before.objects.iter().filter_map(|object| {
        Some(Compared {
            object,
            was: was.remove(&object.id())?,
            is: is.remove(&object.id())?,
        })
    });
    Ok(both.filter(|it| it.was.failure.is_none()).collect())
}

/// The objects that name the column and that SQLite cannot judge here, for want of a module that the application
/// has: a rename passes over their texts, so that they would break. What any SQLite fails to compile is not among them.
pub(super) fn unjudged(schema: &Schema, column: &Name) -> Result<Vec<String>> {
    if !schema.has_programs() {
        return Ok(Vec::new());
    }
    let usages = Replica::of(schema)?.usages;
    let objects = schema
        .objects
        .iter()
        .filter(|object| object.kind != Kind::Table);
    let unjudged = objects.filter_map(|object| {
        let failure = usages.get(&object.id())?.failure.as_deref()?;
        let sql = object.sql.as_deref()?;
        let wants_module = failure.starts_with("no such module: ")
            || failure
                .strip_prefix("no such table: ")
                .map(|function| function.strip_prefix("main.").unwrap_or(function))
                .is_some_and(|function| text::calls(sql, &Name::from(function)));
        (wants_module && text::says(sql, column))
            .then(|| format!("{} cannot be judged here: {failure}", object.spoken()))
    });
    Ok(unjudged.collect())
}

/// The views among them that follow their table.
pub(super) fn followers(compared: &[Compared<'_>]) -> BTreeSet<Name> {
    let views = compared
        .iter()
        .filter(|it| it.object.kind == Kind::View && it.follows());
    views.map(|it| it.object.name.clone()).collect()
}
