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
        index[old.end..].trim_end()
    ))
}

/// The text of an index without the word UNIQUE.
pub(super) fn without_unique(index: &str) -> String {
    let mut scanner = Scanner::new(Tokenizer::new());
    while let Ok((start, Some((_, kind)), end)) = scanner.scan(index.as_bytes()) {
        if kind == TokenType::TK_UNIQUE {
            return format!("{}{}", &index[..start], index[end..].trim_start());
        }
        if kind == TokenType::TK_INDEX {
            break;
        }
    }
    index.to_owned()
}

/// Where the expressions of the CHECKs stand in the text of a table, each between its parentheses.
pub(super) fn checks(table: &str) -> Vec<Range<usize>> {
    let mut scanner = Scanner::new(Tokenizer::new());
    let (mut found, mut is_check, mut depth, mut begun) = (Vec::new(), false, 0_usize, None);
    while let Ok((start, Some((_, kind)), end)) = scanner.scan(table.as_bytes()) {
        match kind {
            TokenType::TK_LP => {
                depth += 1;
                if is_check && begun.is_none() {
                    begun = Some((depth, end));
                }
            }
            TokenType::TK_RP => {
                if let Some((_, from)) = begun.take_if(|(at, _)| *at == depth) {
                    found.push(from..start);
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        is_check = kind == TokenType::TK_CHECK;
    }
    found
}

/// What may have been inserted into `before`, in one place, to make it `after`: lists of definitions, each of which has
/// a comma before it. None where more than that differs.
pub(super) fn insertions(before: &str, after: &str) -> Option<Vec<Vec<String>>> {
    let more = after.len().checked_sub(before.len()).filter(|it| *it > 0)?;
    let places = (0..=before.len()).filter(|at| {
        before.is_char_boundary(*at)
            && after.is_char_boundary(at + more)
            && after.as_bytes()[*at] == b','
            && after[..*at] == before[..*at]
            && after[at + more..] == before[*at..]
    });
    Some(
        places
            .map(|at| definitions(&after[at + 1..at + more]))
            .collect(),
    )
}

/// The parts between the commas that stand in no parentheses.
fn definitions(list: &str) -> Vec<String> {
    let mut scanner = Scanner::new(Tokenizer::new());
    let (mut parts, mut depth, mut from) = (Vec::new(), 0_usize, 0);
    while let Ok((start, Some((_, kind)), end)) = scanner.scan(list.as_bytes()) {
        match kind {
            TokenType::TK_LP => depth += 1,
            TokenType::TK_RP => depth = depth.saturating_sub(1),
            TokenType::TK_COMMA if depth == 0 => {
                parts.push(list[from..start].trim().to_owned());
                from = end;
            }
            _ => {}
        }
    }
    parts.push(list[from..].trim().to_owned());
    parts
}

/// What the text of an index lists, each without its direction, and the condition of a partial one.
pub(super) fn index_terms(index: &str) -> (Vec<String>, Option<&str>) {
    let mut scanner = Scanner::new(Tokenizer::new());
    let (mut depth, mut list, mut condition) = (0_usize, 0..0, None);
    while let Ok((start, Some((_, kind)), end)) = scanner.scan(index.as_bytes()) {
        match kind {
            TokenType::TK_LP => {
                depth += 1;
                if list.start == 0 {
                    list = end..index.len();
                }
            }
            TokenType::TK_RP => {
                depth = depth.saturating_sub(1);
                if depth == 0 && list.end == index.len() {
                    list.end = start;
                }
            }
            TokenType::TK_WHERE if depth == 0 => condition = Some(end),
            _ => {}
        }
    }
    let terms = definitions(&index[list]);
    let terms = terms.iter().map(|it| without_direction(it)).collect();
    (terms, condition.map(|from| index[from..].trim()))
}

/// The term of an index without ASC or DESC at its end.
fn without_direction(term: &str) -> String {
    let mut scanner = Scanner::new(Tokenizer::new());
    let mut end_before_direction = term.len();
    while let Ok((start, Some((_, kind)), end)) = scanner.scan(term.as_bytes()) {
        end_before_direction = match kind {
            TokenType::TK_ASC | TokenType::TK_DESC => start,
            _ => end,
        };
    }
    term[..end_before_direction].trim().to_owned()
}

/// The text with other words in some of its ranges, which are in order.
pub(super) fn spliced(text: &str, splices: &[(Range<usize>, String)]) -> String {
    let (mut out, mut at) = (String::new(), 0);
    for (range, words) in splices {
        out.push_str(&text[at..range.start]);
        out.push_str(words);
        at = range.end;
    }
    out + &text[at..]
}

/// Whether the text is whole by itself: it closes no parenthesis that it has not opened, and ends no statement.
pub(super) fn is_closed(sql: &str) -> bool {
    let mut scanner = Scanner::new(Tokenizer::new());
    let mut depth = 0_usize;
    loop {
        match scanner.scan(sql.as_bytes()) {
            Ok((_, Some((_, TokenType::TK_LP)), _)) => depth += 1,
            Ok((_, Some((_, TokenType::TK_RP)), _)) if depth == 0 => return false,
            Ok((_, Some((_, TokenType::TK_RP)), _)) => depth -= 1,
            Ok((_, Some((_, TokenType::TK_SEMI)), _)) | Err(_) => return false,
            Ok((_, Some(_), _)) => {}
            Ok((_, None, _)) => return depth == 0,
        }
    }
}

/// Whether the expression compares anything, so that what types its columns have decides what it comes to.
pub(super) fn compares(sql: &str) -> bool {
    const COMPARISONS: [TokenType; 12] = [
        TokenType::TK_EQ,
        TokenType::TK_NE,
        TokenType::TK_LT,
        TokenType::TK_LE,
        TokenType::TK_GT,
        TokenType::TK_GE,
        TokenType::TK_IN,
        TokenType::TK_BETWEEN,
        TokenType::TK_IS,
        TokenType::TK_ISNULL,
        TokenType::TK_NOTNULL,
        TokenType::TK_CASE,
    ];
    let mut scanner = Scanner::new(Tokenizer::new());
    while let Ok((_, Some((_, kind)), _)) = scanner.scan(sql.as_bytes()) {
        if COMPARISONS.contains(&kind) {
            return true;
        }
    }
    false
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
    fn checks_are_found_at_their_parentheses() {
        let table = "CREATE TABLE \"check (\"(a CHECK ((a) > 0) DEFAULT (1), -- CHECK (x)\n b, CHECK (a<>'CHECK (') )";
        let ranges = checks(table);
        let found: Vec<&str> = ranges.iter().map(|it| &table[it.clone()]).collect();
        assert_eq!(found, ["(a) > 0", "a<>'CHECK ('"]);
        let splices = [
            (ranges[0].clone(), "x".to_owned()),
            (ranges[1].clone(), "y".to_owned()),
        ];
        assert_eq!(
            spliced(table, &splices),
            "CREATE TABLE \"check (\"(a CHECK (x) DEFAULT (1), -- CHECK (x)\n b, CHECK (y) )"
        );
    }

    #[test]
    fn words_are_read_in_any_quotes() {
        let sql = "CREATE VIEW v AS SELECT [a b], \"x\"\"y\" FROM series (1) -- z";
        assert!(says(sql, &"A B".into()) && says(sql, &"x\"y".into()));
        assert!(!says(sql, &"z".into()) && !says(sql, &"a".into()));
        assert!(calls(sql, &"series".into()) && !calls(sql, &"v".into()));
    }

    #[test]
    fn terms_of_an_index_have_no_direction() {
        let index = "CREATE UNIQUE INDEX \"i (\" ON t(a DESC, lower(b, ',') COLLATE nocase ASC, [c desc]) WHERE a IN (1)";
        let (terms, condition) = index_terms(index);
        assert_eq!(terms, ["a", "lower(b, ',') COLLATE nocase", "[c desc]"]);
        assert_eq!(condition, Some("a IN (1)"));
        assert_eq!(
            index_terms("CREATE INDEX i ON t(a)"),
            (vec!["a".to_owned()], None)
        );
    }

    #[test]
    fn index_gets_the_name() {
        assert_eq!(
            with_index_name("CREATE UNIQUE INDEX [i 1] ON t(a)", &"j".into()).unwrap(),
            r#"CREATE UNIQUE INDEX "j" ON t(a)"#
        );
        assert_eq!(
            without_unique("CREATE UNIQUE INDEX i ON t(a)"),
            "CREATE INDEX i ON t(a)"
        );
        assert_eq!(
            without_unique("CREATE INDEX [unique] ON t(a)"),
            "CREATE INDEX [unique] ON t(a)"
        );
    }
}
