//! Changing the rows of `sqlite_schema` themselves: where a table begins, and what it is said to be.

use rusqlite::types::Value;

use crate::database::Statement;
use crate::name::Name;
use crate::schema::{Kind, Object, Schema};

use super::{Expect, Step};

/// From here on the rows can be written.
pub(super) fn open() -> Step {
    Step::run(
        "the rows of sqlite_schema themselves are changed now",
        Statement::new("PRAGMA writable_schema = ON"),
    )
}

/// From here on no longer. Other connections read the schema anew only after some DDL in the same transaction.
pub(super) fn close() -> Step {
    Step::run(
        "SQLite reads them anew",
        Statement::new("PRAGMA writable_schema = RESET"),
    )
}

/// Whether CHECKs count for what follows.
pub(super) fn check_constraints(enforced: bool) -> Step {
    let (why, ignored) = if enforced {
        ("from here on they count again", "OFF")
    } else {
        (
            "a row that its CHECK would refuse today is left as it is",
            "ON",
        )
    };
    Step::run(
        why,
        Statement::new(format!("PRAGMA ignore_check_constraints = {ignored}")),
    )
}

/// The text in `target` of every object whose text is another one in `live`.
pub(super) fn texts(live: &Schema, target: &Schema) -> Vec<Step> {
    let changed = target.objects.iter().filter(|object| {
        live.find(object.kind, &object.name)
            .is_some_and(|before| before.sql != object.sql)
    });
    let step = |object: &Object| {
        let why = format!("{} as rehearsed", object.spoken());
        text(object.kind, &object.name, object.sql.clone(), why)
    };
    changed.map(step).collect()
}

/// The text of one object.
pub(super) fn text(kind: Kind, name: &Name, sql: Option<String>, why: impl Into<String>) -> Step {
    let sql = sql.map_or(Value::Null, Value::Text);
    let (kind, name) = (kind.to_string(), name.as_str().to_owned());
    Step::expecting(
        why,
        Statement::with(
            "UPDATE sqlite_schema SET sql = ?1 WHERE type = ?2 AND name = ?3",
            [sql, Value::Text(kind), Value::Text(name)],
        ),
        Expect::Changes(1),
    )
}
