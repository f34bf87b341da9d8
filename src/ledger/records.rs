//! The statements that write the ledger, as steps for plans to carry.

use rusqlite::types::Value;

use crate::database::Statement;
use crate::name::Name;
use crate::phase::{Phase, State};
use crate::plan::{Position, Records, Step};

use super::{Change, Ledger};

impl Ledger {
    /// Records an expand.
    #[must_use]
    pub fn expanded(&self, change: &Change, schema: &str, backward_compatible: bool) -> Vec<Step> {
        let text = |text: &str| Value::Text(text.to_owned());
        let optional =
            |text: Option<&str>| text.map_or(Value::Null, |it| Value::Text(it.to_owned()));
        let begin = Statement::with(
            "INSERT INTO _changeover_changes \
             (id, table_name, old_column, new_column, asked_type, state, text_before, text_after) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            [
                Value::Integer(change.id),
                text(change.table.as_str()),
                optional(change.old.as_ref().map(Name::as_str)),
                text(change.new.as_str()),
                optional(change.asked_type.as_deref()),
                text(State::Expanded.as_str()),
                text(&change.text_before),
                text(&change.text_after),
            ],
        );
        let name = format!("add_{}_column", change.new.as_str());
        let mut entry = self.new_entry(change, Phase::Expand, &name);
        entry.push(("table_schema", text(schema)));
        entry.push(("backward_compatible", backward_compatible.into()));
        vec![
            Step::run("the ledger knows the change", begin),
            insert_entry(entry),
        ]
    }

    /// What a data migration from the column `old` records as it goes; `redeclared` is the text that the
    /// table gets as it begins, where it gets another one.
    #[must_use]
    pub fn migrating(&self, change: &Change, old: &Name, redeclared: Option<&str>) -> Records {
        let id = Value::Integer(change.id);
        let name = format!("migrate_{}_to_{}", old.as_str(), change.new.as_str());
        let started = Statement::with(
            "UPDATE _changeover_changes \
             SET state = ?1, old_column = ?2, text_after = coalesce(?3, text_after) WHERE id = ?4",
            [
                Value::Text(State::Migrating.to_string()),
                Value::Text(old.as_str().to_owned()),
                redeclared.map_or(Value::Null, |text| Value::Text(text.to_owned())),
                id.clone(),
            ],
        );
        let counted = Statement::with(
            "UPDATE _changeover_changes SET rows_migrated = rows_migrated + changes() WHERE id = ?1",
            [id.clone()],
        );
        let entry = insert_entry(self.new_entry(change, Phase::MigrateData, &name));
        let total = Statement::with(
            "UPDATE _changeover_history SET rows_migrated = \
             (SELECT rows_migrated FROM _changeover_changes WHERE id = change_id) WHERE version = ?1",
            [Value::Integer(self.version() + 1)],
        );
        let cursor = Statement::with("DELETE FROM _changeover_cursor WHERE change_id = ?1", [id]);
        Records {
            started: vec![Step::run(
                "the ledger knows that the copy has begun",
                started,
            )],
            counted: Step::run("so many rows more have a value", counted),
            finished: vec![
                entry,
                Step::run("with the number of rows", total),
                Step::run("no cursor is needed any more", cursor),
                set_state(change, State::Migrated),
            ],
        }
    }

    /// Records a contract or an abort, after which the table is as `schema` says.
    #[must_use]
    pub fn ended(&self, change: &Change, phase: Phase, schema: &str) -> Vec<Step> {
        let (state, name) = match phase {
            Phase::Contract => {
                let old = change.old.as_ref().unwrap_or(&change.new);
                (State::Contracted, format!("remove_{}_column", old.as_str()))
            }
            _ => (
                State::Aborted,
                format!("abort_{}_column", change.new.as_str()),
            ),
        };
        let mut entry = self.new_entry(change, phase, &name);
        entry.push(("table_schema", Value::Text(schema.to_owned())));
        vec![set_state(change, state), insert_entry(entry)]
    }

    fn new_entry(&self, change: &Change, phase: Phase, name: &str) -> Vec<(&'static str, Value)> {
        vec![
            ("version", Value::Integer(self.version() + 1)),
            ("change_id", Value::Integer(change.id)),
            ("phase", Value::Text(phase.to_string())),
            ("name", Value::Text(name.to_owned())),
        ]
    }
}

/// Moves the cursor of the change, in the transaction of the batch that it speaks of.
#[must_use]
pub fn move_cursor(change: i64, position: &Position) -> Vec<Statement> {
    let upsert = |(at, value): (i64, &Value)| {
        Statement::with(
            "INSERT INTO _changeover_cursor (change_id, position, value) VALUES (?1, ?2, ?3) \
             ON CONFLICT DO UPDATE SET value = excluded.value",
            [Value::Integer(change), Value::Integer(at), value.clone()],
        )
    };
    (0..).zip(position).map(upsert).collect()
}

fn set_state(change: &Change, state: State) -> Step {
    Step::run(
        format!("the change is {state}"),
        Statement::with(
            "UPDATE _changeover_changes SET state = ?1 WHERE id = ?2",
            [Value::Text(state.to_string()), Value::Integer(change.id)],
        ),
    )
}

fn insert_entry(entry: Vec<(&'static str, Value)>) -> Step {
    let (columns, values): (Vec<_>, Vec<_>) = entry.into_iter().unzip();
    let numbers: Vec<String> = (1..=columns.len())
        .map(|number| format!("?{number}"))
        .collect();
    Step::run(
        "and records the phase under its version",
        Statement::with(
            format!(
                "INSERT INTO _changeover_history ({}) VALUES ({})",
                columns.join(", "),
                numbers.join(", ")
            ),
            values,
        ),
    )
}
