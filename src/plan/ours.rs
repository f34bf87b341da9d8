//! What a change has in the file besides the columns: how it is called, and how it goes.

use crate::database::Statement;
use crate::name::Name;
use crate::schema::{Object, Schema};

use super::Step;

/// The name of something that the change has.
pub(super) fn name(change: i64, what: &str) -> Name {
    Name::new(format!("_changeover_{change}_{what}"))
}

/// The name of the `n`th index that a change gives its new column.
#[must_use]
pub fn index_name(change: i64, n: usize) -> Name {
    name(change, &format!("index_{n}"))
}

/// The name of the table that a rebuild fills.
#[must_use]
pub fn shadow_name(change: i64) -> Name {
    name(change, "shadow")
}

/// The name of the table that keeps the keys of rows which are written meanwhile.
#[must_use]
pub fn delta_name(change: i64) -> Name {
    name(change, "delta")
}

/// The name of the table that holds the entries of the `n`th index which is built beside its table.
pub(super) fn entries_name(change: i64, n: usize) -> Name {
    name(change, &format!("{ENTRIES}{n}"))
}

/// Whether the change gives such a table that name.
#[must_use]
pub fn holds_entries(change: i64, table: &Name) -> bool {
    table.as_str().starts_with(name(change, ENTRIES).as_str())
}

const ENTRIES: &str = "entries_";

/// The columns `what_1`, `what_2` … of a table of ours.
pub(super) fn numbered(what: &'static str, width: usize) -> impl Iterator<Item = String> {
    (1..=width).map(move |at| format!("{what}_{at}"))
}

/// Whether the change gives what it has such a name.
#[must_use]
pub fn belongs_to(change: i64, object: &Name) -> bool {
    object.as_str().starts_with(name(change, "").as_str())
}

/// Takes the change's own triggers and indexes off the application's tables.
pub(super) fn drop_ours(live: &Schema, change: i64) -> Vec<Step> {
    let ours = live.ours.iter();
    ours.filter(|object| belongs_to(change, &object.name))
        .map(drop_one)
        .collect()
}

/// Drops a trigger or an index of the change.
pub(super) fn drop_one(object: &Object) -> Step {
    let kind = object.kind.as_str().to_uppercase();
    Step::run(
        format!("{} is not needed any more", object.spoken()),
        Statement::new(format!("DROP {kind} {}", object.name)),
    )
}

/// Drops a table of the change.
pub(super) fn drop_table(why: &str, table: &Name) -> Step {
    Step::run(why, Statement::new(format!("DROP TABLE {table}")))
}

/// The schema that stands when these are gone.
pub(super) fn without_ours_of(schema: Schema, change: i64) -> Schema {
    schema.without_ours(|object| belongs_to(change, &object.name))
}
