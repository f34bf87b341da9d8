//! Message mode: one JSON object a line in, one reply a line out.

mod lines;
mod message;

use std::io::{self, BufRead, Write};

use serde_json::{Value, json};

use crate::changeover::{Changeover, Reply};
use crate::error::{Error, Result};
use crate::event::unobserved;
use crate::json;
use crate::request::Verify;

use lines::{Line, next_line};
use message::{Ask, Message};

/// How replies are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wrapping {
    /// The body alone.
    Bare,
    /// In an envelope, with `src` and `dest` of the message exchanged.
    Envelope,
}

/// Answers every line of `input` until its end. Nothing that a line says ends the loop; only that a reply cannot
/// be written does.
pub fn serve(
    changeover: &mut Changeover,
    mut input: impl BufRead,
    mut output: impl Write,
    wrapping: Wrapping,
) -> io::Result<()> {
    loop {
        let message = match next_line(&mut input)? {
            Line::End => return Ok(()),
            Line::Blank => continue,
            Line::Text(text) => Message::read(&text),
            Line::TooLong => Message::unreadable(format!(
                "a message is at most {} bytes long",
                lines::LONGEST
            )),
            Line::NotUtf8 => Message::unreadable("a message is UTF-8"),
        };
        let reply = match message.ask.and_then(|ask| answer(changeover, ask)) {
            Ok(reply) => reply,
            Err(error) => Reply::error(&error),
        };
        let mut reply = reply.to(message.msg_id);
        if wrapping == Wrapping::Envelope {
            reply = json!({"src": message.dest, "dest": message.src, "body": reply});
        }
        writeln!(output, "{}", json::line(&reply)?)?;
        output.flush()?;
    }
}

fn answer(changeover: &mut Changeover, ask: Ask) -> Result<Reply> {
    Ok(match ask {
        Ask::Init => Reply::new("init_ok"),
        Ask::Apply(request) => Reply::applied(&changeover.apply(&request, &mut unobserved)?),
        Ask::Plan(request) => Reply::plans(&changeover.plan(&request)?),
        Ask::Verify(Verify {
            index: Some(index),
            table: None,
            repair: false,
            winner: None,
        }) => Reply::verified_index(&changeover.verify_index(&index, &mut unobserved)?),
        Ask::Verify(Verify { index: Some(_), .. }) => {
            return Err(malformed("`index` is compared alone, and not mended"));
        }
        Ask::Verify(asked) => Reply::verified(&changeover.verify(&asked, &mut unobserved)?),
        Ask::Pause(asked) => Reply::tables("pause_ok", &changeover.pause(&asked)?),
        Ask::Resume(asked) => Reply::tables("resume_ok", &changeover.resume(&asked)?),
        Ask::Register(asked) => Reply::instance(
            "register_instance_ok",
            &changeover.register_instance(&asked)?,
        ),
        Ask::Heartbeat(asked) => Reply::instance("heartbeat_ok", &changeover.heartbeat(&asked)?),
        Ask::Retire(asked) => Reply::retired(&asked.name, changeover.retire_instance(&asked)?),
        Ask::Who => Reply::who(&changeover.who()?),
        Ask::Status => Reply::status(&changeover.status()?),
        Ask::History => Reply::history(&changeover.history()?),
    })
}

/// A value that is not there, as JSON has it.
fn absent() -> Value {
    Value::Null
}

fn malformed(text: impl Into<String>) -> Error {
    Error::Malformed(text.into())
}
