//! What becomes of an instance, as an object and in words.

use serde_json::{Value, json};

use crate::changeover::Reply;
use crate::rollout::{Failure, Step};

/// A step of the instance, for programs and for people.
pub(super) fn told(name: &str, step: &Step) -> (Reply, String) {
    let reply = Reply::new("instance")
        .with("name", name)
        .with("step", word(step));
    let reply = fields(step)
        .into_iter()
        .fold(reply, |reply, (field, value)| reply.with(field, value));
    (reply, words(step))
}

fn word(step: &Step) -> &'static str {
    match step {
        Step::Awaiting { .. } => "awaiting",
        Step::Deploying { .. } => "deploying",
        Step::Unanswered { .. } => "unanswered",
        Step::Healthy => "healthy",
        Step::Unhealthy(_) => "unhealthy",
        Step::Restoring { .. } => "restoring",
        Step::Restored => "restored",
        Step::Lost(_) => "lost",
        Step::Left => "left",
    }
}

fn fields(step: &Step) -> Vec<(&'static str, Value)> {
    match step {
        Step::Awaiting { process } | Step::Deploying { process } | Step::Restoring { process } => {
            vec![("process", json!(process))]
        }
        Step::Unanswered {
            attempt,
            of,
            problem,
        } => vec![
            ("attempt", json!(attempt)),
            ("of", json!(of)),
            ("problem", json!(problem)),
        ],
        Step::Unhealthy(Failure { reason, output }) | Step::Lost(Failure { reason, output }) => {
            vec![("reason", json!(reason)), ("output", json!(output))]
        }
        Step::Healthy | Step::Restored | Step::Left => Vec::new(),
    }
}

fn words(step: &Step) -> String {
    match step {
        Step::Awaiting { process } => {
            format!("waiting for the command of an earlier run: {process}")
        }
        Step::Deploying { .. } => "deploying".to_owned(),
        Step::Unanswered { problem, .. } => format!("not healthy yet: {problem}"),
        Step::Healthy => "healthy in the new version".to_owned(),
        Step::Unhealthy(failure) => because("not healthy in the new version", failure),
        Step::Restoring { .. } => "putting it back".to_owned(),
        Step::Restored => "healthy in the old version".to_owned(),
        Step::Lost(failure) => because("not healthy in the old version", failure),
        Step::Left => "left as it is: it has no `restore` command".to_owned(),
    }
}

/// What failed, why, and what was said last.
fn because(what: &str, Failure { reason, output }: &Failure) -> String {
    let lines = output.lines().map(|line| format!("\n  | {line}"));
    format!("{what}: {reason}{}", lines.collect::<String>())
}
