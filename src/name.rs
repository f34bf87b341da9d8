//! A name in the schema: of a table, a column, an index, a view or a trigger.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};
use sqlite3_parser::dialect::keyword_token;

/// The prefix of everything that changeover itself keeps in a file.
const OURS: &str = "_changeover_";

/// A name in the schema.
///
/// `Display` writes it as SQL, always in double quotes, so that any text is safe inside a statement.
/// [`Name::as_str`] is the name itself, for sentences. Two names are equal where SQLite takes them
/// for equal: ASCII letters count without their case.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// Takes any text; whether something bears that name is for the file to say.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The name itself, unquoted.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a person would write it into a `CREATE TABLE`: bare where SQLite reads it back as
    /// the same name, in double quotes otherwise. Only for text that stays in the schema for people to read.
    #[must_use]
    pub fn as_written(&self) -> String {
        let mut bytes = self.0.bytes();
        let plain = bytes
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            // No keyword is a single letter, and the parser must not be asked for one.
            && (self.0.len() < 2 || keyword_token(self.0.as_bytes()).is_none())
            && !["true", "false"].contains(&self.0.to_ascii_lowercase().as_str());
        if plain {
            self.0.clone()
        } else {
            self.to_string()
        }
    }

    /// Whether the name belongs to changeover itself.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.starts_with(OURS)
    }

    /// Whether SQLite keeps the name for itself.
    #[must_use]
    pub fn is_sqlites(&self) -> bool {
        self.starts_with("sqlite_")
    }

    /// Whether the name can stand in a statement at all: SQL text ends at a NUL.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !self.0.is_empty() && !self.0.contains('\0')
    }

    fn starts_with(&self, prefix: &str) -> bool {
        self.0
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_ascii_lowercase().hash(state);
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        let folded = |name: &Self| name.0.to_ascii_lowercase();
        folded(self).cmp(&folded(other))
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl std::str::FromStr for Name {
    type Err = &'static str;

    /// Takes a name from a command line.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = Self::new(text);
        if name.is_usable() {
            Ok(name)
        } else {
            Err("a name cannot be empty")
        }
    }
}

impl rusqlite::ToSql for Name {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl rusqlite::types::FromSql for Name {
    fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        String::column_result(value).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_quotes_every_name() {
        assert_eq!(Name::from("users").to_string(), r#""users""#);
        assert_eq!(Name::from(r#"a"b; --"#).to_string(), r#""a""b; --""#);
    }

    #[test]
    fn people_read_bare_names_where_sqlite_does() {
        assert_eq!(Name::from("full_name").as_written(), "full_name");
        assert_eq!(Name::from("a").as_written(), "a");
        for odd in [
            "",
            "order",
            "Key",
            "true",
            "2nd",
            "a b",
            "größe",
            "current_date",
        ] {
            assert!(Name::from(odd).as_written().starts_with('"'), "{odd}");
        }
    }

    #[test]
    fn letter_case_counts_as_in_sqlite() {
        assert_eq!(Name::from("Name"), Name::from("nAME"));
        assert_ne!(Name::from("Größe"), Name::from("GRÖSSE"));
        assert!(Name::from("_Changeover_x").is_ours());
        assert!(!Name::from("größe").is_ours());
    }
}
