//! The statements that write the ledger, as steps for plans to carry.

use rusqlite::types::Value;

use crate::database::Statement;
use crate::name::Name;
use crate::phase::{Phase, State};
use crate::plan::{Position, Records, Step};

use super::{Change, Expressions, Ledger};

/// What stands in the file while both columns are kept in step.
#[derive(Debug)]
pub struct Migrating<'a> {
    /// The old column.
    pub old: &'a Name,
    /// The text of the table that abort goes back to.
    pub text_before: &'a str,
    /// The text while rows are copied.
    pub text_after: &'a str,
    /// The text while both columns are written.
    pub text_synced: &'a str,
    /// How values go from one column to the other, where they do not stay as they are.
    pub expressions: Option<&'a Expressions>,
    /// Whether new applications have to write both columns.
    pub write_both: bool,
}

/// The UPDATE by which the triggers of the change note that an application wrote the old column alone, at most once
/// a second; more conditions can follow.
#[must_use]
pub fn note_old_write(change: i64) -> String {
    let now = "CAST(strftime('%s', 'now') AS INTEGER)";
    format!(
        "UPDATE _changeover_old_writes SET written_at = {now} WHERE change_id = {change} AND written_at < {now}"
    )
}

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
        let mut entry = self.new_entry(change.id, Phase::Expand, &name);
        entry.push(("table_schema", text(schema)));
        entry.push(("backward_compatible", backward_compatible.into()));
        vec![
            Step::run("the ledger knows the change", begin),
            insert_entry(entry),
        ]
    }

    /// What a data migration records as it goes.
    #[must_use]
    pub fn migrating(&self, change: &Change, begun: &Migrating<'_>) -> Records {
        let id = Value::Integer(change.id);
        let old = begun.old;
        let name = format!("migrate_{}_to_{}", old.as_str(), change.new.as_str());
        let text = |text: &str| Value::Text(text.to_owned());
        let expressions = begun.expressions;
        let optional = |it: Option<&String>| it.map_or(Value::Null, |it| text(it));
        let started = Statement::with(
            "UPDATE _changeover_changes \
             SET state = ?1, old_column = ?2, text_before = ?3, text_after = ?4, up = ?5, down = ?6, write_both = ?7, \
             table_name = ?8 WHERE id = ?9",
            [
                text(State::Migrating.as_str()),
                text(old.as_str()),
                text(begun.text_before),
                text(begun.text_after),
                optional(expressions.map(|it| &it.up)),
                optional(expressions.map(|it| &it.down)),
                begun.write_both.into(),
                text(change.table.as_str()),
                id.clone(),
            ],
        );
        let of_change = |table: &str| {
            Statement::with(
                format!("INSERT OR IGNORE INTO {table} (change_id) VALUES (?1)"),
                [id.clone()],
            )
        };
        let (noted, run) = (
            of_change("_changeover_old_writes"),
            of_change("_changeover_runs"),
        );
        let synced = Statement::with(
            "UPDATE _changeover_changes SET text_before = ?1, text_after = ?2, text_synced = ?3 WHERE id = ?4",
            [
                text(begun.text_before),
                text(begun.text_after),
                text(begun.text_synced),
                id.clone(),
            ],
        );
        let counted = Statement::with(
            "UPDATE _changeover_changes SET rows_migrated = rows_migrated + changes() WHERE id = ?1",
            [id.clone()],
        );
        let entry = insert_entry(self.new_entry(change.id, Phase::MigrateData, &name));
        let total = Statement::with(
            "UPDATE _changeover_history SET rows_migrated = \
             (SELECT rows_migrated FROM _changeover_changes WHERE id = change_id) WHERE version = ?1",
            [Value::Integer(self.version() + 1)],
        );
        let release = Statement::with(
            "UPDATE _changeover_runs SET token = NULL WHERE change_id = ?1",
            [id],
        );
        Records {
            started: vec![
                Step::run("the ledger knows that the copy has begun", started),
                Step::run("here the triggers note who writes the old column", noted),
                Step::run("and here the copy tells how it gets on", run),
            ],
            counted: Step::run("so many rows more have a value", counted),
            finished: vec![
                Step::run(
                    "the ledger knows the texts of the table, whoever changed them since it began",
                    synced,
                ),
                entry,
                Step::run("with the number of rows", total),
                forget_cursor(change.id),
                set_state(change, State::Migrated),
            ],
            released: Step::run("nobody works on it any more", release),
        }
    }

    /// Records that rows are copied for an online rebuild, at the end of the transaction that changes the schema for it.
    #[must_use]
    pub fn rebuilding(change: &Change, phase: Phase) -> Vec<Step> {
        let state = match phase {
            Phase::Hold | Phase::Contract => State::Contracting,
            Phase::Undo => State::Undoing,
            _ => State::Aborting,
        };
        let mut steps = vec![
            forget_cursor(change.id),
            set_state(change, state),
            begun_under(change.id),
        ];
        steps.extend(forced(change, phase));
        steps
    }

    /// Records a contract or an abort, behind which nothing is left to do on the change and the table is as `schema` says.
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
        let mut entry = self.new_entry(change.id, phase, &name);
        entry.push(("table_schema", Value::Text(schema.to_owned())));
        let mut steps = vec![forget_cursor(change.id), set_state(change, state)];
        steps.extend(forced(change, phase));
        if change.text_held.is_some() {
            steps.extend(held_no_more(change));
        }
        steps.push(insert_entry(entry));
        steps
    }

    pub(super) fn new_entry(
        &self,
        change: i64,
        phase: Phase,
        name: &str,
    ) -> Vec<(&'static str, Value)> {
        vec![
            ("version", Value::Integer(self.version() + 1)),
            ("change_id", Value::Integer(change)),
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

/// Forgets the cursor of the change, whose walk is over.
#[must_use]
pub fn forget_cursor(change: i64) -> Step {
    Step::run(
        "no cursor is needed any more",
        Statement::with(
            "DELETE FROM _changeover_cursor WHERE change_id = ?1",
            [Value::Integer(change)],
        ),
    )
}

/// Records SQLite's number of the schema, at the end of the transaction that changes the schema for online work.
#[must_use]
pub fn begun_under(change: i64) -> Step {
    Step::run(
        "under this number of the schema",
        Statement::with(
            "UPDATE _changeover_changes SET rebuilt_under = (SELECT schema_version FROM pragma_schema_version) \
             WHERE id = ?1",
            [Value::Integer(change)],
        ),
    )
}

pub(super) fn set_state(change: &Change, state: State) -> Step {
    Step::run(
        format!("the change is {state}"),
        Statement::with(
            "UPDATE _changeover_changes SET state = ?1, table_name = ?2 WHERE id = ?3",
            [
                Value::Text(state.to_string()),
                Value::Text(change.table.as_str().to_owned()),
                Value::Integer(change.id),
            ],
        ),
    )
}

/// Keeps why a contract went past the gate, where it did.
pub(super) fn forced(change: &Change, phase: Phase) -> Option<Step> {
    let is_contract = matches!(phase, Phase::Hold | Phase::Contract);
    let reason = change.forced.clone().filter(|_| is_contract)?;
    Some(Step::run(
        "the reason to go past the gate is kept",
        Statement::with(
            "UPDATE _changeover_changes SET forced = ?1 WHERE id = ?2",
            [Value::Text(reason), Value::Integer(change.id)],
        ),
    ))
}

pub(super) fn insert_entry(entry: Vec<(&'static str, Value)>) -> Step {
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

/// Forgets what was kept for undo.
pub(super) fn held_no_more(change: &Change) -> [Step; 2] {
    let of_change = |sql: &str| Statement::with(sql, [Value::Integer(change.id)]);
    [
        Step::run(
            "nothing is held any more",
            of_change(
                "UPDATE _changeover_changes SET text_held = NULL, held_until = NULL WHERE id = ?1",
            ),
        ),
        Step::run(
            "nor kept to be written as it was",
            of_change("DELETE FROM _changeover_texts WHERE change_id = ?1"),
        ),
    ]
}
