//! What a rollout would do.

use serde_json::{Value, json};

use crate::changeover::Reply;
use crate::plan::Plan;
use crate::rollout::{Gate, Instance, Plans, Rollout};

/// All of it as a script: the SQL of the phases, and the rest as comments.
pub(super) fn script(rollout: &Rollout, plans: &Plans) -> String {
    let sql = |plans: &[Plan]| plans.iter().map(ToString::to_string).collect::<String>();
    let at_once = match rollout.at_once.get() {
        1 => "one by one".to_owned(),
        number => format!("{number} at a time"),
    };
    let mut parts = vec![
        sql(&plans.before),
        format!("\n-- then the instances of the application, {at_once}\n"),
    ];
    parts.extend(rollout.instances.iter().map(instance));
    parts.push(gate(&rollout.gate));
    parts.push(match plans.behind.as_slice() {
        [] => "-- and contract, which is planned once the data are migrated\n".to_owned(),
        behind => sql(behind),
    });
    parts.concat()
}

fn instance(instance: &Instance) -> String {
    let Instance {
        name,
        deploy,
        restore,
        health,
        ..
    } = instance;
    let back = restore.as_ref().map_or_else(
        || "left as it is".to_owned(),
        |restore| format!("put back by {restore}"),
    );
    format!(
        "-- {name}: {deploy}\n--   healthy by {} in {} attempts; else {back}\n",
        health.probe, health.attempts
    )
}

fn gate(gate: &Gate) -> String {
    match &gate.reason {
        Some(reason) => format!("\n-- then past the gate by force: {reason}\n"),
        None => format!(
            "\n-- then the gate, which may take {:?} to open: no write of the old column alone for {:?}\n",
            gate.wait, gate.quiet_for
        ),
    }
}

/// The same as an object.
pub(super) fn reply(rollout: &Rollout, plans: &Plans) -> Reply {
    let sql = |plans: &[Plan]| Reply::plans(plans).alone()["plans"].take();
    let instances = rollout.instances.iter().map(|it| {
        json!({
            "name": it.name,
            "deploy": it.deploy,
            "health": it.health.probe.to_string(),
            "restore": it.restore,
        })
    });
    let gate = &rollout.gate;
    Reply::new("rollout_plan")
        .with("before", sql(&plans.before))
        .with("at_once", rollout.at_once.get())
        .with("instances", instances.collect::<Vec<Value>>())
        .with(
            "gate",
            json!({
                "wait": gate.wait.as_secs_f64(),
                "quiet_for": gate.quiet_for.as_secs_f64(),
                "strict": gate.strict,
                "force": gate.force,
                "reason": gate.reason,
            }),
        )
        .with("behind", sql(&plans.behind))
}
