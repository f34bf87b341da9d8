//! The constraints of a table while a statement may write one of the two columns and leave the other out.
//!
//! The other column follows in a trigger, so that meanwhile a row holds what neither of the applications means. A
//! constraint must not be violated by that, and must be by what the statement wrote.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::name::Name;

use super::super::replica::Replica;
use super::super::{Kind, Object, Schema, text};
use super::Pair;
use super::declared::Declared;

/// A promise of the table that its own text does not keep any more for every statement: where it is not kept,
/// the triggers refuse.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Promise {
    /// What SQLite says when the promise is not kept.
    pub failure: String,
    /// The condition, over a row of the table, under which the old column does not keep it.
    pub broken_by_old: String,
    /// The same of the new column.
    pub broken_by_new: String,
}

/// A text of the table with looser constraints.
pub(super) struct Relaxed {
    pub(super) text: String,
    pub(super) promises: Vec<Promise>,
}

impl Relaxed {
    /// Lets a row lack a value in the old column as long as the new one holds it. `replaces` says that the new column
    /// is another one, whose values the CHECKs of the old one do not speak of.
    pub(super) fn of(
        live: &Schema,
        declared: &Declared,
        pair: &Pair,
        replaces: bool,
    ) -> Result<Self> {
        let Pair { table, old, new } = pair;
        let mut relaxed = Self::checks(live, declared, pair, replaces)?;
        let text = &relaxed.text;
        let replica = Replica::of(&live.only(table).with_text(Kind::Table, table, text))?;
        let now = replica.table(table)?;
        let column = now.expect_column(old)?;
        if column.not_null && column.default.is_none() {
            replica.alter(table, &format!("ALTER COLUMN {old} DROP NOT NULL"))?;
            let either = format!(
                "ADD CHECK ({} IS NOT NULL OR {} IS NOT NULL)",
                old.as_written(),
                new.as_written()
            );
            replica.alter(table, &either)?;
            relaxed.text = replica.text(Kind::Table, table)?;
            relaxed.promises.push(Promise {
                failure: format!(
                    "NOT NULL constraint failed: {}.{}",
                    table.as_str(),
                    old.as_str()
                ),
                broken_by_old: format!("{old} IS NULL"),
                broken_by_new: format!("{new} IS NULL"),
            });
        }
        Ok(relaxed)
    }

    /// Lets each CHECK of the old column look at both columns.
    ///
    /// One of that column alone must hold for each of them, where a statement has written it. One that names others
    /// too meets a column of before in a statement that writes these others, as `high` in
    /// `UPDATE t SET low = 5, high = 9`: it has to hold for one of the two, and the trigger asks for the
    /// one that was written.
    fn checks(live: &Schema, declared: &Declared, pair: &Pair, replaces: bool) -> Result<Self> {
        let Pair { table, old, new } = pair;
        let Checks { both, narrow } = checks_of_both(live, declared, pair)?;
        let text = &declared.text;
        let left_out = |column: &Name, default: &Option<String>| match default {
            Some(value) => format!("{column} COLLATE BINARY IS {value}"),
            None => format!("{column} IS NULL"),
        };
        let no_old = left_out(old, &declared.of_old);
        let no_new = left_out(new, &declared.of_new);
        let (mut splices, mut promises) = (Vec::new(), Vec::new());
        for (range, of_new) in both {
            let of_old = &text[range.clone()];
            if !replaces {
                promises.push(Promise {
                    failure: format!("CHECK constraint failed: {of_old}"),
                    broken_by_old: format!("NOT ({of_old})"),
                    broken_by_new: format!("NOT ({of_new})"),
                });
            }
            let check = if replaces {
                format!("{no_old} AND NOT {no_new} OR ({of_old})")
            } else if stands_alone(&narrow, table, new, &of_new)? {
                format!("({no_old} AND NOT {no_new} OR ({of_old})) AND ({no_new} OR ({of_new}))")
            } else {
                format!("({of_old}) OR ({of_new})")
            };
            splices.push((range, check));
        }
        Ok(Self {
            text: text::spliced(text, &splices),
            promises,
        })
    }
}

/// The CHECKs of the old column in the text of a table.
struct Checks {
    /// Where each stands in the text, and what it says with the new column in its place.
    both: Vec<(Range<usize>, String)>,
    /// The table with the old column under the new name.
    narrow: Replica,
}

fn checks_of_both(live: &Schema, declared: &Declared, pair: &Pair) -> Result<Checks> {
    let Pair { table, old, new } = pair;
    let text = &declared.text;
    let narrow = Replica::of(&live.only(table).with_text(Kind::Table, table, text))?;
    narrow.rename_column(table, new, &Name::from(super::PROBE[0]))?;
    let before = narrow.text(Kind::Table, table)?;
    narrow.rename_column(table, old, new)?;
    let renamed = narrow.text(Kind::Table, table)?;
    let (here, was, is) = (
        text::checks(text),
        text::checks(&before),
        text::checks(&renamed),
    );
    if here.len() != is.len() || was.len() != is.len() {
        return Err(Error::NotSupported(format!(
            "the CHECKs of table `{}` cannot be told apart",
            table.as_str()
        )));
    }
    let alike = was
        .into_iter()
        .zip(is)
        .map(|(was, is)| (&before[was], &renamed[is]));
    let both = here
        .into_iter()
        .zip(alike)
        .filter(|(_, (was, is))| was != is)
        .map(|(range, (_, is))| (range, is.to_owned()))
        .collect();
    Ok(Checks { both, narrow })
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
