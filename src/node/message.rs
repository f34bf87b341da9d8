//! What a line asks for.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::request::{OfInstance, RegisterInstance, Request, Rest, Verify};

use super::{absent, malformed};

/// What a message asks for.
#[derive(Debug)]
pub(super) enum Ask {
    Init,
    Apply(Request),
    Plan(Request),
    Verify(Verify),
    Pause(Rest),
    Resume(Rest),
    Register(RegisterInstance),
    Heartbeat(OfInstance),
    Retire(OfInstance),
    Who,
    Status,
    History,
}

/// A line, with what a reply to it needs to know.
#[derive(Debug)]
pub(super) struct Message {
    /// Whatever the message calls itself.
    pub(super) msg_id: Value,
    /// The sender, as an envelope names it.
    pub(super) src: Value,
    /// The receiver.
    pub(super) dest: Value,
    /// What is asked, or why that cannot be told.
    pub(super) ask: Result<Ask>,
}

impl Message {
    /// A line that holds no message.
    pub(super) fn unreadable(why: impl Into<String>) -> Self {
        Self {
            msg_id: absent(),
            src: absent(),
            dest: absent(),
            ask: Err(malformed(why)),
        }
    }

    /// Reads a body, or an envelope around one.
    pub(super) fn read(text: &str) -> Self {
        let outer = match serde_json::from_str(text) {
            Ok(Value::Object(outer)) => outer,
            Ok(_) => return Self::unreadable("a message is a JSON object"),
            Err(error) => return Self::unreadable(format!("not a JSON object: {error}")),
        };
        let part = |name: &str| outer.get(name).cloned().unwrap_or_else(absent);
        let (src, dest) = (part("src"), part("dest"));
        let body = match outer.get("body") {
            None => outer.clone(),
            Some(Value::Object(body)) => body.clone(),
            Some(_) => {
                return Self {
                    src,
                    dest,
                    ..Self::unreadable("`body` is a JSON object")
                };
            }
        };
        Self {
            msg_id: body.get("msg_id").cloned().unwrap_or_else(absent),
            src,
            dest,
            ask: ask(body),
        }
    }
}

fn ask(mut body: Map<String, Value>) -> Result<Ask> {
    body.remove("msg_id");
    let kind = take_word(&mut body, "type")?;
    match kind.as_str() {
        // A test harness tells a node its name and its peers here.
        "init" => Ok(Ask::Init),
        "migrate" => Ok(Ask::Apply(request(body)?)),
        "plan" => Ok(Ask::Plan(request(body)?)),
        "add_index" => Ok(Ask::Apply(Request::AddIndex(fields(&body)?))),
        "undo" => Ok(Ask::Apply(Request::Undo(fields(&body)?))),
        "abort" => Ok(Ask::Apply(Request::Abort(fields(&body)?))),
        "verify" => fields(&body).map(Ask::Verify),
        "pause" => fields(&body).map(Ask::Pause),
        "resume" => fields(&body).map(Ask::Resume),
        "register_instance" => fields(&body).map(Ask::Register),
        "heartbeat" => fields(&body).map(Ask::Heartbeat),
        "retire_instance" => fields(&body).map(Ask::Retire),
        "who" => nothing_more(&body).map(|()| Ask::Who),
        "status" => nothing_more(&body).map(|()| Ask::Status),
        "history" => nothing_more(&body).map(|()| Ask::History),
        other => Err(Error::NotSupported(format!(
            "no message is of type `{other}`: there are init, migrate, add_index, plan, undo, abort, verify, pause, resume, \
             register_instance, heartbeat, retire_instance, who, status and history"
        ))),
    }
}

fn request(mut body: Map<String, Value>) -> Result<Request> {
    let phase = take_word(&mut body, "phase")?;
    match phase.as_str() {
        "expand" => fields(&body).map(Request::Expand),
        "migrate_data" => fields(&body).map(Request::MigrateData),
        "contract" => fields(&body).map(Request::Contract),
        "add_index" => fields(&body).map(Request::AddIndex),
        "undo" => fields(&body).map(Request::Undo),
        "abort" => fields(&body).map(Request::Abort),
        other => Err(Error::NotSupported(format!(
            "there is no phase `{other}`: there are expand, migrate_data, contract, add_index, undo and abort"
        ))),
    }
}

fn take_word(body: &mut Map<String, Value>, field: &str) -> Result<String> {
    match body.remove(field) {
        Some(Value::String(word)) => Ok(word),
        Some(_) => Err(malformed(format!("`{field}` is a string"))),
        None => Err(malformed(format!("the message has no `{field}`"))),
    }
}

fn fields<T: DeserializeOwned>(body: &Map<String, Value>) -> Result<T> {
    let failure = |body: &Map<String, Value>| T::deserialize(body).err().map(|it| it.to_string());
    T::deserialize(body).map_err(|error| {
        let error = error.to_string();
        if error.contains(" field `") {
            return malformed(error);
        }
        // Of a value that does not fit, serde does not say whose it is: the field without which it fits.
        let to_blame = body.keys().find(|field| {
            let mut rest = body.clone();
            rest.remove(*field);
            failure(&rest).as_ref() != Some(&error)
        });
        malformed(to_blame.map_or_else(|| error.clone(), |field| format!("`{field}`: {error}")))
    })
}

fn nothing_more(body: &Map<String, Value>) -> Result<()> {
    match body.keys().next() {
        Some(field) => Err(malformed(format!("unknown field `{field}`"))),
        None => Ok(()),
    }
}
