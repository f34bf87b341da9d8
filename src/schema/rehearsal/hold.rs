//! A contract that holds the old column, rehearsed, and its undoing.

use crate::error::{Error, Result};

use super::super::Schema;
use super::super::replica::Replica;
use super::add::{Addition, TypeSource, added, definition};
use super::comparison::compare;
use super::{Pair, would_fail};

/// The schema that a contract leads to, `contracted`, with the old column computed from the new one, as `value` says:
/// with the type and the collation that it has in `live`, behind all others.
///
/// Fails with [`Error::NotSupported`] where SQLite cannot have such a column.
pub fn hold_old(live: &Schema, contracted: &Schema, pair: &Pair, value: &str) -> Result<Addition> {
    let Pair { table, old, .. } = pair;
    let now = Replica::of(&live.only(table))?;
    let described = now.table(table)?;
    let declared_type = &described.expect_column(old)?.declared_type;
    let mut words = vec![definition(
        contracted,
        table,
        declared_type,
        TypeSource::Column,
    )?];
    let collation = now.collation(table, old)?;
    words.extend(collation.map(|it| format!("COLLATE {}", it.as_written())));
    words.push(format!("GENERATED ALWAYS AS ({value}) VIRTUAL"));
    words.retain(|it| !it.is_empty());
    added(contracted, table, old, &words.join(" ")).map_err(|error| match error {
        Error::NotSupported(reason) => {
            Error::NotSupported(format!("`{}` cannot be held: {reason}", old.as_str()))
        }
        other => other,
    })
}

/// What works in `live` and would not in `target`.
pub fn failing(live: &Schema, target: &Schema) -> Result<Vec<String>> {
    let compared = compare(live, target)?;
    let failing = compared.iter().filter_map(|it| {
        let failure = it.is.failure.as_deref()?;
        Some(would_fail(it.object, failure))
    });
    Ok(failing.collect())
}
