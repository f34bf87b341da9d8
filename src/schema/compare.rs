//! Two schemas, and in words what differs.

use super::{Object, Schema};

/// What `found` has otherwise than `expected`, one sentence a difference; none where they agree.
/// Order counts for triggers, since they fire by it.
#[must_use]
pub fn differences(expected: &Schema, found: &Schema) -> Vec<String> {
    let mut words = Vec::new();
    for object in all(expected) {
        match all(found).find(|it| it.is(object.kind, &object.name)) {
            None => words.push(format!("{} is missing", object.spoken())),
            Some(other) if other != object => words.push(format!(
                "{} reads `{}` instead of `{}`",
                object.spoken(),
                other.sql.as_deref().unwrap_or_default(),
                object.sql.as_deref().unwrap_or_default(),
            )),
            Some(_) => {}
        }
    }
    for object in all(found) {
        if !all(expected).any(|it| it.is(object.kind, &object.name)) {
            words.push(format!("{} was not expected", object.spoken()));
        }
    }
    let order = |schema: &Schema| -> Vec<_> {
        let triggers = schema
            .objects
            .iter()
            .filter(|it| it.kind == super::Kind::Trigger);
        triggers.map(|trigger| trigger.name.clone()).collect()
    };
    if words.is_empty() && order(expected) != order(found) {
        words.push("the triggers stand in another order".to_owned());
    }
    words
}

/// The application's objects, and ours on its tables.
fn all(schema: &Schema) -> impl Iterator<Item = &Object> {
    schema.objects.iter().chain(&schema.ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    fn schema(ddl: &str) -> Schema {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(ddl).unwrap();
        Schema::read(&connection).unwrap()
    }

    #[test]
    fn says_what_differs() {
        let table = "CREATE TABLE t(a); CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END;
                     CREATE TRIGGER y AFTER INSERT ON t BEGIN SELECT 1; END;";
        let turned = "CREATE TABLE t(a); CREATE TRIGGER y AFTER INSERT ON t BEGIN SELECT 1; END;
                      CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END;";
        assert!(differences(&schema(table), &schema(table)).is_empty());
        assert_eq!(
            differences(&schema(table), &schema(turned)),
            ["the triggers stand in another order"]
        );
        assert_eq!(
            differences(
                &schema("CREATE TABLE t(a); CREATE VIEW v AS SELECT 1"),
                &schema("CREATE TABLE t(b); CREATE INDEX i ON t(b)")
            ),
            [
                "table `t` reads `CREATE TABLE t(b)` instead of `CREATE TABLE t(a)`",
                "view `v` is missing",
                "index `i` was not expected",
            ]
        );
    }
}
