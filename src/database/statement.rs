//! SQL with its values, and how it reads with them written in.

use rusqlite::Connection;
use rusqlite::types::Value;
use sqlite3_parser::dialect::TokenType;
use sqlite3_parser::lexer::Scanner;
use sqlite3_parser::lexer::sql::Tokenizer;

use crate::error::Result;

/// A SQL statement with the values to bind to `?1`, `?2` …
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// One statement, without a semicolon at its end.
    pub sql: String,
    /// The values, in order.
    pub params: Vec<Value>,
}

impl Statement {
    /// A statement that binds nothing.
    pub fn new(sql: impl Into<String>) -> Self {
        Self::with(sql, [])
    }

    /// A statement and what it binds.
    pub fn with(sql: impl Into<String>, params: impl IntoIterator<Item = Value>) -> Self {
        Self {
            sql: sql.into(),
            params: params.into_iter().collect(),
        }
    }

    /// The statement with its values written into it, to be read or run elsewhere.
    #[must_use]
    pub fn expanded(&self) -> String {
        let mut sql = String::new();
        let mut rest = self.sql.as_str();
        for (position, token) in parameters(&self.sql) {
            let skipped = self.sql.len() - rest.len();
            sql.push_str(&rest[..position - skipped]);
            rest = &self.sql[position + token.len()..];
            let number = token[1..].parse::<usize>().ok();
            let value = number.and_then(|number| self.params.get(number - 1));
            sql.push_str(&value.map_or_else(|| token.to_owned(), literal));
        }
        sql + rest
    }

    /// Runs it to its end, rows of a PRAGMA or not, and returns how many rows it changed.
    pub fn run(&self, connection: &Connection) -> Result<u64> {
        let mut prepared = connection.prepare_cached(&self.sql)?;
        let mut rows = prepared.query(rusqlite::params_from_iter(&self.params))?;
        while rows.next()?.is_some() {}
        drop(rows);
        Ok(connection.changes())
    }
}

/// The parameters in a statement: where each stands, and its token.
fn parameters(sql: &str) -> Vec<(usize, &str)> {
    let mut scanner = Scanner::new(Tokenizer::new());
    let mut found = Vec::new();
    while let Ok((start, Some((_, kind)), end)) = scanner.scan(sql.as_bytes()) {
        if kind == TokenType::TK_VARIABLE {
            found.push((start, &sql[start..end]));
        }
    }
    found
}

/// A value as SQL writes it.
pub(crate) fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) if number.is_infinite() => {
            // SQL has no other way to write it.
            format!("{}9e999", if *number < 0.0 { "-" } else { "" })
        }
        Value::Real(number) => format!("{number:?}"),
        Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Blob(bytes) => {
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("x'{}'", digits.concat())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expanded_statement_reads_as_bound() {
        let statement = Statement::with(
            "SELECT ?2, '?1', ?1 -- ?1",
            [Value::Text("it's".to_owned()), Value::Blob(vec![0, 255])],
        );
        assert_eq!(statement.expanded(), "SELECT x'00FF', '?1', 'it''s' -- ?1");
    }
}
