//! Expand, rehearsed: what a new column changes for the objects that know nothing of it.

use crate::error::{Error, Result};
use crate::name::Name;

use super::super::replica::Replica;
use super::super::{Kind, Object, Schema, Table, text};
use super::comparison::{Compared, compare};
use super::{PROBE, quoted_list, would_fail};

/// The schema with a nullable column more.
#[derive(Debug)]
pub struct Addition {
    /// All of it.
    pub schema: Schema,
    /// The table as SQLite describes it then.
    pub table: Table,
    /// The statement that leads there.
    pub statement: String,
    /// What old applications would meet, in words.
    pub breaks: Vec<String>,
    /// What changes without breaking, in words.
    pub warnings: Vec<String>,
}

/// Where the type of a new column comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TypeSource {
    /// Someone asked for it: only what SQLite takes for a type as it stands.
    Request,
    /// Another column has it: then it may be one that only quotes make a type.
    Column,
}

/// Rehearses `ALTER TABLE … ADD COLUMN`.
///
/// `declared_type` is any text that SQLite reads back as the type of the column, and as nothing but
/// that; empty for none. Fails with [`Error::NotAType`] where it is something else.
pub fn add_column(
    schema: &Schema,
    table: &Name,
    column: &Name,
    declared_type: &str,
    source: TypeSource,
) -> Result<Addition> {
    let definition = definition(schema, table, declared_type, source)?;
    added(schema, table, column, &definition)
}

/// Rehearses it with all that stands behind the name of the column.
pub(super) fn added(
    schema: &Schema,
    table: &Name,
    column: &Name,
    definition: &str,
) -> Result<Addition> {
    let added = Replica::of(&schema.only_with_indexes(table))?;
    let action = format!("ADD COLUMN {} {definition}", column.as_written());
    let action = action.trim_end();
    added.alter(table, action).map_err(|error| match error {
        Error::Sqlite(reason) => Error::NotSupported(format!(
            "column `{}` cannot be added to table `{}`: {reason}",
            column.as_str(),
            table.as_str()
        )),
        other => other,
    })?;
    let text = added.text(Kind::Table, table)?;
    let wider = schema.clone().with_text(Kind::Table, table, &text);
    let (mut breaks, warnings) = changes(schema, &wider, column)?;
    breaks.extend(captures(schema, table, column, definition)?);
    Ok(Addition {
        table: added.table(table)?,
        schema: wider,
        statement: format!("ALTER TABLE {table} {action}"),
        breaks,
        warnings,
    })
}

/// The type as it stands behind the name of the column: as it is, or in quotes where only these make it a type.
pub(super) fn definition(
    schema: &Schema,
    table: &Name,
    declared_type: &str,
    source: TypeSource,
) -> Result<String> {
    if is_taken_for(schema, table, declared_type, declared_type) {
        return Ok(declared_type.to_owned());
    }
    let quoted = Name::new(declared_type).to_string();
    if source == TypeSource::Column && is_taken_for(schema, table, &quoted, declared_type) {
        return Ok(quoted);
    }
    let strict = Replica::of(&schema.only(table))?.table(table)?.strict;
    let hint = if strict {
        ": a STRICT table takes INT, INTEGER, REAL, TEXT, BLOB or ANY"
    } else {
        ""
    };
    Err(Error::NotAType(declared_type.to_owned(), hint))
}

/// Whether SQLite takes the definition for the type alone.
fn is_taken_for(schema: &Schema, table: &Name, definition: &str, declared_type: &str) -> bool {
    // Under a name to which nothing can be said.
    let column = &Name::from(PROBE[0]);
    let attempt = || -> Result<bool> {
        let replica = Replica::of(&schema.only(table))?;
        replica.alter(table, &format!("ADD COLUMN {column} {definition}"))?;
        let table = replica.table(table)?;
        let added = table.expect_column(column)?;
        // SQLite gives its own types back in capitals.
        let squeezed = |text: &str| {
            let text = text.to_ascii_uppercase();
            text.split_whitespace().collect::<String>()
        };
        Ok(squeezed(&added.declared_type) == squeezed(declared_type)
            && added.nullable
            && added.default.is_none()
            && added.key_position == 0
            && added.generated.is_none())
    };
    attempt().unwrap_or(false)
}

/// What the column changes for each view, trigger and virtual table: breaks, and warnings.
fn changes(schema: &Schema, wider: &Schema, column: &Name) -> Result<(Vec<String>, Vec<String>)> {
    let (mut breaks, mut warnings) = (Vec::new(), Vec::new());
    for it in compare(schema, wider)? {
        let object = it.object.spoken();
        if let Some(failure) = &it.is.failure {
            breaks.push(would_fail(it.object, failure));
        } else if it.is.columns == it.was.columns {
            // A table that is joined with itself has every name twice, the new one too.
            let natural = it.object.sql.as_deref().is_some_and(text::joins_naturally);
            if natural && it.is_turned() {
                breaks.push(format!("{object} would join on `{}` too", column.as_str()));
            }
        } else if it.is.columns.starts_with(&it.was.columns) {
            let more = quoted_list(&it.is.columns[it.was.columns.len()..]);
            warnings.push(format!("{object} shows a column more at its end: {more}"));
        } else {
            let columns = quoted_list(&it.is.columns);
            breaks.push(format!(
                "{object} would show other columns in the same places: {columns}"
            ));
        }
    }
    Ok((breaks, warnings))
}

/// The objects for which the name of the new column means something already: a string in double quotes, a column
/// that a NATURAL JOIN or a USING takes. With a name that means nothing they compile to another program.
fn captures(schema: &Schema, table: &Name, column: &Name, definition: &str) -> Result<Vec<String>> {
    let with = |part: &Schema, name: &Name| -> Result<Replica> {
        let replica = Replica::of(part)?;
        replica.alter(table, &format!("ADD COLUMN {name} {definition}"))?;
        Ok(replica)
    };
    let probe = Name::from(PROBE[0]);
    let mut captured = captured_within(schema, table, |part| {
        let program = |name| with(part, name)?.table_usage(table);
        Ok(program(&probe)?.program != program(column)?.program)
    })?;
    if schema.has_programs() {
        let named = |name: &Name| -> Result<Schema> {
            let text = with(&schema.only(table), name)?.text(Kind::Table, table)?;
            Ok(schema.clone().with_text(Kind::Table, table, &text))
        };
        let (free, named) = (named(&probe)?, named(column)?);
        let turned = compare(&free, &named)?
            .into_iter()
            .filter(Compared::is_turned);
        captured.extend(turned.map(|it| it.object.spoken()));
    }
    let column = column.as_str();
    let sentence = |object| {
        format!(
            "in {object}, `{column}` means something else today (a string in double quotes, or what a join takes \
             by its name), and would become the new column"
        )
    };
    Ok(captured.into_iter().map(sentence).collect())
}

/// The table, or else those of its indexes, in whose own text the name means something: each is tried by itself.
fn captured_within(
    schema: &Schema,
    table: &Name,
    means_something: impl Fn(&Schema) -> Result<bool>,
) -> Result<Vec<String>> {
    if means_something(&schema.only(table))? {
        return Ok(vec![format!("table `{}`", table.as_str())]);
    }
    let mut captured = Vec::new();
    let parts = schema
        .objects
        .iter()
        .filter(|object| object.is_part_of(table));
    for index in parts.filter(|part| part.kind == Kind::Index && part.sql.is_some()) {
        let one = |object: &Object| object == index || object.is(Kind::Table, table);
        if means_something(&schema.clone().without(|object| !one(object)))? {
            captured.push(index.spoken());
        }
    }
    Ok(captured)
}
