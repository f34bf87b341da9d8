//! Splices into the text of a `CREATE`, at the boundaries that a tokenizer gives.
//!
//! SQLite keeps each text from its name token on, behind a `CREATE [UNIQUE] INDEX` or `CREATE VIEW` of its
//! own: a schema's name or an IF NOT EXISTS never stands there.

use std::ops::Range;

use sqlite3_parser::dialect::TokenType;
use sqlite3_parser::lexer::Scanner;
use sqlite3_parser::lexer::sql::Tokenizer;

use crate::name::Name;

/// The text of a view with a list of column names behind its name, and where that list stands.
/// `None` where the view has a list of its own.
pub(super) fn with_column_list(view: &str, columns: &[Name]) -> Option<(String, Range<usize>)> {
    let (name, next) = name_and_next(view, TokenType::TK_VIEW)?;
    if next == TokenType::TK_LP {
        return None;
    }
    let columns: Vec<String> = columns.iter().map(Name::as_written).collect();
    let list = format!("({})", columns.join(", "));
    let (head, tail) = view.split_at(name.end);
    Some((
        format!("{head}{list}{tail}"),
        name.end..name.end + list.len(),
    ))
}

/// The text of an index under another name.
pub(super) fn with_index_name(index: &str, name: &Name) -> Option<String> {
    let (old, _) = name_and_next(index, TokenType::TK_INDEX)?;
    Some(format!(
        "{}{name}{}",
        &index[..old.start],
        &index[old.end..]
    ))
}

/// Whether the word NATURAL stands in the text as a keyword: such a join takes whatever columns there are.
pub(super) fn joins_naturally(sql: &str) -> bool {
    let mut scanner = Scanner::new(Tokenizer::new());
    while let Ok((_, Some((token, kind)), _)) = scanner.scan(sql.as_bytes()) {
        if kind == TokenType::TK_JOIN_KW && token.eq_ignore_ascii_case(b"natural") {
            return true;
        }
    }
    false
}

/// Whether the name stands in the text, in whichever quotes.
pub(super) fn says(sql: &str, name: &Name) -> bool {
    words(sql).any(|(word, _)| word == *name)
}

/// Whether the name stands in the text with a parenthesis behind it, as that of a function does.
pub(super) fn calls(sql: &str, name: &Name) -> bool {
    words(sql).any(|(word, next)| word == *name && next == Some(TokenType::TK_LP))
}

/// Every token as a name without its quotes, and what kind of token follows it.
fn words(sql: &str) -> impl Iterator<Item = (Name, Option<TokenType>)> {
    let mut scanner = Scanner::new(Tokenizer::new());
    let mut tokens = Vec::new();
    while let Ok((_, Some((token, kind)), _)) = scanner.scan(sql.as_bytes()) {
        tokens.push((unquoted(&String::from_utf8_lossy(token)), kind));
    }
    let next: Vec<_> = tokens.iter().skip(1).map(|(_, kind)| *kind).collect();
    let next = next.into_iter().map(Some).chain([None]);
    tokens.into_iter().map(|(word, _)| word).zip(next)
}

/// The name that a token means.
fn unquoted(token: &str) -> Name {
    let mut inner = token.chars();
    match (inner.next(), inner.next_back()) {
        (Some('['), Some(']')) => Name::from(inner.as_str()),
        (Some(quote @ ('"' | '`' | '\'')), Some(last)) if quote == last => Name::new(
            inner
                .as_str()
                .replace(&format!("{quote}{quote}"), &quote.to_string()),
        ),
        _ => Name::from(token),
    }
}

/// Where the name behind the keyword stands, and what kind of token follows it.
fn name_and_next(sql: &str, keyword: TokenType) -> Option<(Range<usize>, TokenType)> {
    let mut scanner = Scanner::new(Tokenizer::new());
    let mut next = || match scanner.scan(sql.as_bytes()) {
        Ok((start, Some((_, kind)), end)) => Some((start..end, kind)),
        _ => None,
    };
    while next()?.1 != keyword {}
    let (name, _) = next()?;
    Some((name, next()?.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_goes_behind_the_name() {
        let listed = |view| with_column_list(view, &["id".into(), "a b".into()]).map(|it| it.0);
        assert_eq!(
            listed("CREATE VIEW v /* AS */ AS SELECT 1, 2").unwrap(),
            r#"CREATE VIEW v(id, "a b") /* AS */ AS SELECT 1, 2"#
        );
        assert_eq!(
            listed("CREATE VIEW \"view (\"AS SELECT 1, 2").unwrap(),
            r#"CREATE VIEW "view ("(id, "a b")AS SELECT 1, 2"#
        );
        assert_eq!(listed("CREATE VIEW v -- (\n (x, y) AS SELECT 1, 2"), None);
    }

    #[test]
    fn words_are_read_in_any_quotes() {
        let sql = "CREATE VIEW v AS SELECT [a b], \"x\"\"y\" FROM series (1) -- z";
        assert!(says(sql, &"A B".into()) && says(sql, &"x\"y".into()));
        assert!(!says(sql, &"z".into()) && !says(sql, &"a".into()));
        assert!(calls(sql, &"series".into()) && !calls(sql, &"v".into()));
    }

    #[test]
    fn index_gets_the_name() {
        assert_eq!(
            with_index_name("CREATE UNIQUE INDEX [i 1] ON t(a)", &"j".into()).unwrap(),
            r#"CREATE UNIQUE INDEX "j" ON t(a)"#
        );
    }
}
