//! An instance: a running application that has announced itself, and for how long its word is good.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest label, in bytes.
const LONGEST_LABEL: usize = 200;

/// The longest lease, in seconds: what a crashed instance can hold up at most.
const LONGEST_LEASE: u32 = 24 * 60 * 60;

/// An instance, as the file knows it.
#[derive(Clone, Debug)]
pub struct Instance {
    /// What tells it from others.
    pub name: Label,
    /// The version of the latest phase whose outcome it can work with.
    pub version: u32,
    /// The application's own version, for people.
    pub app_version: Option<Label>,
    /// The process that it is.
    pub pid: Option<NonZeroU32>,
    /// For how long it is believed to live without another word.
    pub lease: Lease,
    /// How long ago its last word was.
    pub silence: Duration,
    /// What is left of the lease; none where it has ended.
    pub left: Option<Duration>,
}

impl Instance {
    /// Whether its lease has not ended.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.left.is_some()
    }
}

/// A short text from outside that can be shown anywhere: 1 to 200 bytes, no control character.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String")]
pub struct Label(String);

impl Label {
    /// What is found, with whatever no label may hold replaced, and cut where it is too long.
    #[must_use]
    pub fn found(bytes: &[u8]) -> Self {
        let bytes = &bytes[..bytes.len().min(4 * LONGEST_LABEL)];
        let text = String::from_utf8_lossy(bytes);
        let mut label = String::new();
        for character in text.chars() {
            let shown = if is_shown(character) {
                character
            } else {
                char::REPLACEMENT_CHARACTER
            };
            if label.len() + shown.len_utf8() > LONGEST_LABEL {
                break;
            }
            label.push(shown);
        }
        Self(label)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a terminal shows the character where it stands: neither a control character nor one that turns the direction
/// of the text.
fn is_shown(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl TryFrom<String> for Label {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if (1..=LONGEST_LABEL).contains(&text.len()) && text.chars().all(is_shown) {
            Ok(Self(text))
        } else {
            Err(format!(
                "it must be neither empty nor longer than {LONGEST_LABEL} bytes, and hold no control character"
            ))
        }
    }
}

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.to_owned().try_into()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// For how long an instance is believed to live without another word: 1 second to a day, a minute where nothing is said.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "i64")]
pub struct Lease(u32);

impl Lease {
    /// The longest that there is.
    pub const LONGEST: Self = Self(LONGEST_LEASE);

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl Default for Lease {
    fn default() -> Self {
        Self(60)
    }
}

impl TryFrom<i64> for Lease {
    type Error = String;

    fn try_from(seconds: i64) -> Result<Self, String> {
        match u32::try_from(seconds) {
            Ok(seconds @ 1..=LONGEST_LEASE) => Ok(Self(seconds)),
            _ => Err(format!("a lease is 1 to {LONGEST_LEASE} seconds long")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_is_short_and_shows_what_it_holds() {
        for text in ["web-1", "Zoë's phone", "李", &"x".repeat(200)] {
            assert_eq!(text.parse::<Label>().unwrap().as_str(), text);
            assert_eq!(Label::found(text.as_bytes()).as_str(), text);
        }
        for text in [
            "",
            "a\nb",
            "a\0b",
            "\u{1b}[2J",
            "\u{85}",
            "\u{202e}moc",
            &"é".repeat(101),
        ] {
            assert!(text.parse::<Label>().is_err(), "{text:?}");
        }
        assert_eq!(Label::found(b"a\nb\xff").as_str(), "a\u{fffd}b\u{fffd}");
        assert_eq!(Label::found(&vec![b'x'; 1 << 20]).as_str().len(), 200);
    }

    #[test]
    fn lease_is_bounded() {
        let lease = |seconds: i64| Lease::try_from(seconds).ok().map(Lease::seconds);
        assert_eq!((lease(1), lease(86_400)), (Some(1), Some(86_400)));
        for seconds in [i64::MIN, -1, 0, 86_401, 31_557_600_000, i64::MAX] {
            assert_eq!(lease(seconds), None);
        }
    }
}
