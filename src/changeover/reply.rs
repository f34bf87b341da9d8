//! What the engine answers, as the JSON objects that both faces show.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::census::Process;
use crate::error::Error;
use crate::gate::Reason;
use crate::instance::{Instance, Label};
use crate::ledger::{Entry, Run};
use crate::name::Name;
use crate::phase::Phase;
use crate::plan::{Manner, Plan};

use super::{ChangeStatus, IndexStatus, Judged, Status, Verified, VerifiedIndex, Who};

/// A reply: its type, and its fields in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    kind: &'static str,
    fields: Map<String, Value>,
}

impl Reply {
    /// A reply with nothing to say but its type.
    #[must_use]
    pub fn new(kind: &'static str) -> Self {
        Self {
            kind,
            fields: Map::new(),
        }
    }

    /// The reply with a field more at its end.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    /// The reply with a field more, where there is a value.
    fn with_some(self, field: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(field, value),
            None => self,
        }
    }

    /// The phase that was applied.
    #[must_use]
    pub fn applied(entry: &Entry) -> Self {
        let kind = match entry.phase {
            Phase::Expand | Phase::Hold | Phase::Contract => "migration_applied",
            Phase::MigrateData => "data_migrated",
            Phase::AddIndex => "index_added",
            Phase::Undo => "migration_undone",
            Phase::Abort => "migration_aborted",
        };
        let named = entry.phase != Phase::MigrateData;
        Self::new(kind)
            .with("version", entry.version)
            .with_some("name", named.then_some(entry.name.as_str()))
            .with_some("schema", entry.schema.as_deref())
            .with_some("backward_compatible", entry.backward_compatible)
            .with_some("rows_migrated", entry.rows_migrated)
            .with_some("index", entry.index.as_ref().map(|it| it.name.as_str()))
            .with_some("sql", entry.index.as_ref().and_then(|it| it.sql.as_deref()))
    }

    /// What a request would do.
    #[must_use]
    pub fn plans(plans: &[Plan]) -> Self {
        let plans: Vec<Value> = plans.iter().map(plan).collect();
        Self::new("plan_ok").with("plans", plans)
    }

    /// How far the changes have come.
    #[must_use]
    pub fn status(status: &Status) -> Self {
        let changes = status.changes.iter().map(change_status);
        let indexes: Vec<Value> = status.indexes.iter().map(index_status).collect();
        Self::new("status_ok")
            .with("version", status.version)
            .with("changes", changes.collect::<Vec<_>>())
            .with_some("indexes", Some(indexes).filter(|it| !it.is_empty()))
    }

    /// The changes in whose rows old and new agree.
    #[must_use]
    pub fn verified(found: &[Verified]) -> Self {
        let changes = found.iter().map(|it| {
            json!({
                "table": it.table,
                "from": it.old,
                "to": it.new,
                "state": it.state,
                "rows": it.rows,
                "repaired": it.repaired.map(|repaired| json!({
                    "triggers": repaired.triggers,
                    "rows": repaired.rows,
                })),
            })
        });
        Self::new("verified").with("changes", changes.collect::<Vec<_>>())
    }

    /// The index that holds what its table does.
    #[must_use]
    pub fn verified_index(found: &VerifiedIndex) -> Self {
        Self::new("index_verified")
            .with("index", found.index.as_str())
            .with("table", found.table.as_str())
            .with("rows", found.rows)
    }

    /// The tables whose work was asked to rest, or to go on.
    #[must_use]
    pub fn tables(kind: &'static str, tables: &[Name]) -> Self {
        let tables: Vec<Value> = tables.iter().map(|it| json!(it)).collect();
        Self::new(kind).with("tables", tables)
    }

    /// An instance that has registered, or lives on.
    #[must_use]
    pub fn instance(kind: &'static str, instance: &Instance) -> Self {
        Self::new(kind)
            .with("name", instance.name.as_str())
            .with("version", instance.version)
            .with("lease_seconds", instance.lease.seconds())
    }

    /// An instance that has retired.
    #[must_use]
    pub fn retired(name: &Label, was_there: bool) -> Self {
        Self::new("retire_instance_ok")
            .with("name", name.as_str())
            .with("was_registered", was_there)
    }

    /// Who has registered.
    #[must_use]
    pub fn instances(instances: &[Instance]) -> Self {
        Self::new("instances_ok").with("instances", listed(instances, instance))
    }

    /// Who uses the file, and what the gate says of each open change.
    #[must_use]
    pub fn who(who: &Who) -> Self {
        let processes = who.processes.as_ref();
        Self::new("who_ok")
            .with("version", who.version)
            .with("instances", listed(&who.instances, instance))
            .with("processes", processes.map(|it| listed(it, process)))
            .with("changes", listed(&who.changes, judged))
    }

    /// What was applied.
    #[must_use]
    pub fn history(history: &[Entry]) -> Self {
        let entries = history.iter().map(|entry| {
            json!({
                "version": entry.version,
                "phase": entry.phase,
                "name": entry.name,
                "schema": entry.schema,
                "backward_compatible": entry.backward_compatible,
                "rows_migrated": entry.rows_migrated,
                "applied_at": entry.applied_at,
                "forced": entry.forced,
            })
        });
        Self::new("history_ok").with("history", entries.collect::<Vec<_>>())
    }

    /// Why something was not done, and what to do next.
    #[must_use]
    pub fn error(error: &Error) -> Self {
        let text = match error.hint() {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        };
        Self::new("error")
            .with("code", error.code() as u8)
            .with("text", text)
    }

    /// The object, with the message that it answers.
    #[must_use]
    pub fn to(self, msg_id: Value) -> Value {
        self.object(Some(msg_id))
    }

    /// The object by itself.
    #[must_use]
    pub fn alone(self) -> Value {
        self.object(None)
    }

    fn object(self, msg_id: Option<Value>) -> Value {
        let mut object = Map::new();
        object.insert("type".to_owned(), self.kind.into());
        object.extend(msg_id.map(|id| ("in_reply_to".to_owned(), id)));
        object.extend(self.fields);
        Value::Object(object)
    }
}

fn listed<T>(all: &[T], one: fn(&T) -> Value) -> Vec<Value> {
    all.iter().map(one).collect()
}

fn instance(instance: &Instance) -> Value {
    json!({
        "name": instance.name,
        "version": instance.version,
        "app_version": instance.app_version,
        "pid": instance.pid,
        "live": instance.is_live(),
        "lease_seconds": instance.lease,
        "lease_seconds_left": instance.left.map(|it| it.as_secs()),
        "seen_seconds_ago": instance.silence.as_secs(),
    })
}

fn process(process: &Process) -> Value {
    json!({
        "pid": process.pid,
        "command": process.command,
        "started_seconds_ago": process.age.as_secs(),
    })
}

fn judged(change: &Judged) -> Value {
    json!({
        "table": change.table,
        "from": change.old,
        "to": change.new,
        "state": change.state,
        "old_write_seconds_ago": change.old_write.map(|ago| ago.as_secs()),
        "gate": if change.verdict.is_open() { "open" } else { "shut" },
        "reasons": listed(&change.verdict.reasons, reason),
        "warnings": listed(&change.verdict.warnings, reason),
    })
}

fn reason(reason: &Reason) -> Value {
    json!({
        "kind": reason.kind(),
        "finding": reason.finding(),
        "remedy": reason.remedy(),
    })
}

fn change_status(change: &ChangeStatus) -> Value {
    json!({
        "table": change.table,
        "from": change.old,
        "to": change.new,
        "state": change.state,
        "rows_migrated": change.rows_migrated,
        "next": change.next,
        "paused": change.work.as_ref().is_some_and(|run| run.is_paused),
        "work": change.work.as_ref().filter(|run| run.rows > 0).map(|run| work(run, change.is_worked_on)),
        "old_write_seconds_ago": change.old_write.map(|ago| ago.as_secs()),
        "hold_seconds_left": change.hold_left.map(|left| left.as_secs()),
    })
}

fn index_status(index: &IndexStatus) -> Value {
    json!({
        "table": index.table,
        "index": index.index,
        "state": index.state,
        "paused": index.work.as_ref().is_some_and(|run| run.is_paused),
        "work": index.work.as_ref().filter(|run| run.rows > 0).map(|run| work(run, index.is_worked_on)),
    })
}

fn work(run: &Run, is_alive: bool) -> Value {
    let milliseconds = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    json!({
        "runner": run.runner,
        "alive": is_alive,
        "rows_passed": run.passed,
        "rows": run.rows,
        "rows_per_second": run.rate().map(f64::round),
        "seconds_left": run.to_go().map(|it| it.as_secs_f64().ceil()),
        "locks_held": run.holds.turns,
        "lock_p50_ms": milliseconds(run.holds.p50),
        "lock_p99_ms": milliseconds(run.holds.p99),
        "lock_max_ms": milliseconds(run.holds.max),
        "lock_waited_ms": milliseconds(run.holds.waited),
    })
}

fn plan(plan: &Plan) -> Value {
    let transactions = plan.transactions().into_iter();
    let transactions = transactions.map(|(manner, steps, purpose)| {
        let statements = steps
            .iter()
            .map(|step| json!({"why": step.why, "sql": step.statement.expanded()}));
        json!({
            "purpose": purpose,
            "in_batches": manner == Manner::Batches,
            "statements": statements.collect::<Vec<_>>(),
        })
    });
    json!({
        "phase": plan.phase,
        "table": plan.table,
        "warnings": plan.warnings,
        "transactions": transactions.collect::<Vec<_>>(),
    })
}
