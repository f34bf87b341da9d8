//! What people may type next, as a shell takes it.

use std::path::Path;

/// A command on the file, to be typed into a shell.
pub(super) fn command(db: &Path, words: &[&str], names: &[&str]) -> String {
    let db = path(db);
    let mut command = vec!["changeover", "--db", &db];
    command.extend(words);
    // Behind this nothing is an option.
    command.extend(
        names
            .iter()
            .any(|name| name.starts_with('-'))
            .then_some("--"),
    );
    command.extend(names);
    let command: Vec<String> = command.into_iter().map(shell_word).collect();
    command.join(" ")
}

/// The command that this process was called with.
pub(super) fn same_again() -> String {
    let arguments = std::env::args_os().skip(1);
    let arguments = arguments.map(|it| shell_word(&it.to_string_lossy()));
    let words: Vec<String> = ["changeover".to_owned()]
        .into_iter()
        .chain(arguments)
        .collect();
    words.join(" ")
}

/// How to look at the file with SQLite's own shell.
pub(super) fn look(db: &Path) -> String {
    format!("sqlite3 {} .schema", shell_word(&path(db)))
}

/// A path that nothing takes for an option.
fn path(path: &Path) -> String {
    let path = path.display().to_string();
    if path.starts_with('-') {
        format!("./{path}")
    } else {
        path
    }
}

/// A word as a shell takes it.
fn shell_word(word: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "_-./".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_never_taken_for_options() {
        let command = |db: &str, names| command(Path::new(db), &["contract"], names);
        assert_eq!(
            command("-a.db", &["t", "a"]),
            "changeover --db ./-a.db contract t a"
        );
        assert_eq!(
            command("a b.db", &["t", "-a"]),
            "changeover --db 'a b.db' contract -- t -a"
        );
        assert_eq!(look(Path::new("it's")), r"sqlite3 'it'\''s' .schema");
    }

    #[test]
    fn words_reach_the_shell_as_they_are() {
        assert_eq!(shell_word("./my-app_2.db"), "./my-app_2.db");
        assert_eq!(shell_word("größe"), "größe");
        assert_eq!(shell_word("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(shell_word(""), "''");
    }
}
