//! Whether an instance is healthy.

use std::fmt;
use std::num::NonZeroU32;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use ureq::http::Uri;

use crate::request::seconds;

use super::command::{Command, Failure, Variables};
use super::progress::Step;
use super::wave::Voice;

/// What holds where the file does not say otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(30).unwrap();
const INTERVAL: Duration = Duration::from_secs(1);

/// How an instance is asked whether it is healthy.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Health {
    /// What is asked.
    pub probe: Probe,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How often it is asked, until it says so.
    pub attempts: NonZeroU32,
    /// How long between two of these.
    pub interval: Duration,
}

/// What says that an instance is healthy.
#[derive(Clone, Debug)]
pub enum Probe {
    /// An answer of 2xx to a GET.
    Url(Url),
    /// The success of a command.
    Command(Command),
}

/// An address that can be asked by plain HTTP.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Url(String);

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let uri: Uri = text
            .parse()
            .map_err(|error| format!("not a URL: {error}"))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http"), Some(_)) => Ok(Self(text)),
            (Some("https"), _) => {
                Err("HTTPS is not supported: ask with a `command` instead".to_owned())
            }
            _ => Err("not a URL such as `http://127.0.0.1:8001/up`".to_owned()),
        }
    }
}

/// The fields as the file spells them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    url: Option<Url>,
    command: Option<Command>,
    #[serde(default = "timeout", deserialize_with = "seconds")]
    timeout: Duration,
    #[serde(default = "attempts")]
    attempts: NonZeroU32,
    #[serde(default = "interval", deserialize_with = "seconds")]
    interval: Duration,
}

fn timeout() -> Duration {
    TIMEOUT
}

fn attempts() -> NonZeroU32 {
    ATTEMPTS
}

fn interval() -> Duration {
    INTERVAL
}

impl TryFrom<Fields> for Health {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        let probe = match (fields.url, fields.command) {
            (Some(url), None) => Probe::Url(url),
            (None, Some(command)) => Probe::Command(command),
            _ => return Err("a health check has either a `url` or a `command`"),
        };
        Ok(Self {
            probe,
            timeout: fields.timeout,
            attempts: fields.attempts,
            interval: fields.interval,
        })
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(Url(url)) => write!(f, "GET {url}"),
            Self::Command(command) => command.fmt(f),
        }
    }
}

impl Health {
    /// Asks until the instance says that it is healthy, or it was asked often enough.
    pub(super) fn check(&self, variables: &Variables, voice: &Voice) -> Result<(), Failure> {
        let of = self.attempts.get();
        let mut attempt = 1;
        loop {
            let Err(failure) = self.ask(variables) else {
                return Ok(());
            };
            if attempt == of {
                return Err(Failure {
                    reason: format!("{} (attempt {attempt} of {of})", failure.reason),
                    ..failure
                });
            }
            voice.tell(Step::Unanswered {
                attempt,
                of,
                problem: failure.reason,
            });
            thread::sleep(self.interval);
            attempt += 1;
        }
    }

    fn ask(&self, variables: &Variables) -> Result<(), Failure> {
        match &self.probe {
            Probe::Url(Url(url)) => get(url, self.timeout).map_err(|problem| Failure {
                reason: format!("GET {url}: {problem}"),
                output: String::new(),
            }),
            Probe::Command(command) => command.run(variables, self.timeout, |_| ()),
        }
    }
}

/// Asks the instance itself: no proxy, and no other place that it points to.
fn get(url: &str, timeout: Duration) -> Result<(), String> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None);
    let answer = config.build().new_agent().get(url).call();
    let status = answer.map_err(|error| error.to_string())?.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(format!("answered {status}"))
    }
}
