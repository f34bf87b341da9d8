//! The oracle: whatever SQLite's own `ALTER TABLE … RENAME COLUMN` makes of a file, a change must make of it too.
//!
//! They differ on purpose in three things. A view keeps the names of its columns, unless it says `*` and so
//! follows its table. The text of such a view may therefore have got a list of column names. And texts that do
//! not mention the column stay as they are, while SQLite rewrites strings in double quotes there.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error as SqliteError};

use changeover::changeover::Rebuilds;

use super::support::{Change, File, Name, forget};

/// One row of `sqlite_schema`, its root page apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SchemaRow {
    kind: String,
    name: String,
    table: String,
    sql: Option<String>,
}

/// What a view shows.
#[derive(Clone, Debug, Eq, PartialEq)]
struct View {
    /// Name and type of each column; what SQLite says where it can make no sense of the view.
    columns: Vec<String>,
    names: Vec<String>,
    rows: Vec<String>,
}

/// Everything that can be seen of a file without looking at its pages, changeover's own tables apart.
#[derive(Clone, Debug)]
pub(crate) struct Portrait {
    schema: Vec<SchemaRow>,
    /// Each table: columns, indexes, foreign keys and rows.
    tables: BTreeMap<String, Vec<String>>,
    views: BTreeMap<String, View>,
    /// The settings in the header, and what SQLite's own checks say.
    file: Vec<String>,
}

/// Runs the change told and at once, and untold and wherever it can be online, to its end and back, and compares.
#[track_caller]
pub(crate) fn survives(file: &File, change: Change<'_>) {
    let wherever_it_can_be = Change {
        rebuilds: Rebuilds::Auto,
        ..change.untold()
    };
    for change in [change, wherever_it_can_be] {
        finds_no_difference(&to_the_end(file, change), change, "to the end");
        finds_no_difference(&and_back(file, change, false), change, "expand and back");
        finds_no_difference(
            &and_back(file, change, true),
            change,
            "migrate data and back",
        );
    }
}

#[track_caller]
fn finds_no_difference(differences: &[String], change: Change<'_>, way: &str) {
    assert!(
        differences.is_empty(),
        "{way}, {change:?}:\n{}",
        differences.join("\n")
    );
}

/// Runs all phases on a copy of the file, and returns how the outcome differs from what SQLite itself makes of
/// another copy.
pub(crate) fn to_the_end(file: &File, change: Change<'_>) -> Vec<String> {
    let changed = file.copy();
    if let Err(error) = change.run(&changed) {
        return vec![format!("failed: {error}")];
    }
    differences_from_sqlites(file, &changed, change)
}

/// Compares a file on which the change has run with what SQLite itself makes of a copy of the `original`.
pub(crate) fn differences_from_sqlites(
    original: &File,
    changed: &File,
    change: Change<'_>,
) -> Vec<String> {
    let before = Portrait::of(original);
    let renamed = original.copy();
    alter(
        &renamed,
        change.table,
        &format!(
            "RENAME COLUMN {} TO {}",
            Name::from(change.old),
            Name::from(change.new).as_written()
        ),
    );
    let altered = Portrait::of(&renamed);
    let wider = original.copy();
    alter(&wider, change.table, "ADD COLUMN _added_ ANY");
    let wider = Portrait::of(&wider);

    let mut differences = leftovers(original, changed);
    let found = Portrait::of(changed);
    differences.extend(found.differs_from(&altered, &before, &wider));
    match forget(changed) {
        Ok(()) => {
            let all = all_schema_rows(&changed.application());
            differ(
                &mut differences,
                "after forget, the schema",
                &all,
                &found.schema,
            );
        }
        Err(error) => differences.push(format!("cannot be forgotten: {error}")),
    }
    differences
}

/// Runs expand, and migrate data where `migrated`, then abort on a copy of the file; returns what is otherwise
/// than it was.
pub(crate) fn and_back(file: &File, change: Change<'_>, migrated: bool) -> Vec<String> {
    let aborted = file.copy();
    let run = || {
        change.expand(&aborted)?;
        if migrated {
            change.migrate_data(&aborted)?;
        }
        change.abort(&aborted)
    };
    if let Err(error) = run() {
        return vec![format!("failed: {error}")];
    }
    let mut differences = leftovers(file, &aborted);
    differences.extend(differences_since(&Portrait::of(file), &aborted));
    differences
}

/// How the file differs from what it was, letter for letter.
pub(crate) fn differences_since(before: &Portrait, file: &File) -> Vec<String> {
    let found = Portrait::of(file);
    let mut differences = Vec::new();
    differ(
        &mut differences,
        "the schema",
        &found.schema,
        &before.schema,
    );
    differ_by_name(&mut differences, "table", &found.tables, &before.tables);
    differ_by_name(&mut differences, "view", &found.views, &before.views);
    differ(&mut differences, "the file", &found.file, &before.file);
    differences
}

/// What changeover leaves behind must be its ledger and nothing else.
fn leftovers(original: &File, changed: &File) -> Vec<String> {
    let mut differences = Vec::new();
    let ours = |file: &File| -> Vec<String> {
        let rows = all_schema_rows(&file.application()).into_iter();
        let tables = rows.filter(|row| is_ours(row) && row.kind == "table");
        tables.map(|row| row.name).collect()
    };
    let ledger = [
        "_changeover_ledger_format",
        "_changeover_changes",
        "_changeover_cursor",
        "_changeover_history",
        "_changeover_old_writes",
        "_changeover_runs",
        "_changeover_instances",
        "_changeover_deployments",
        "_changeover_texts",
    ];
    let added: Vec<String> = ours(changed)
        .into_iter()
        .filter(|name| !ours(original).contains(name))
        .collect();
    differ(
        &mut differences,
        "changeover's own tables",
        &added,
        &ledger.map(str::to_owned),
    );
    if !changed.neighbours().is_empty() {
        differences.push(format!("files are left: {:?}", changed.neighbours()));
    }
    differences
}

fn alter(file: &File, table: &str, action: &str) {
    let connection = file.application();
    // So an object that is broken anyway, or a row that violates a CHECK, does not stand in the way.
    connection
        .pragma_update(None, "writable_schema", true)
        .unwrap();
    connection
        .pragma_update(None, "ignore_check_constraints", true)
        .unwrap();
    let sql = format!("ALTER TABLE {} {action}", Name::from(table));
    if let Err(error) = connection.execute_batch(&sql) {
        panic!("SQLite itself cannot do it: {error}\n{sql}");
    }
}

impl Portrait {
    /// Reads everything.
    pub(crate) fn of(file: &File) -> Self {
        let connection = file.application();
        let schema = all_schema_rows(&connection)
            .into_iter()
            .filter(|row| !is_ours(row))
            .collect();
        let list = rows(
            &connection,
            "SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = 'main' ORDER BY name",
            |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, bool>(2)?,
                    row.get::<_, bool>(3)?,
                ))
            },
        )
        .unwrap();
        let (mut tables, mut views) = (BTreeMap::new(), BTreeMap::new());
        for (name, kind, without_rowid, strict) in list {
            if Name::from(name.as_str()).is_ours() || name.starts_with("sqlite_schema") {
                continue;
            }
            if kind == "view" {
                views.insert(name.clone(), View::of(&connection, &name));
            } else {
                let mut lines = vec![format!("{kind}, wr {without_rowid}, strict {strict}")];
                describe_table(
                    &connection,
                    &name,
                    kind == "table" && !without_rowid,
                    &mut lines,
                );
                tables.insert(name, lines);
            }
        }
        let settings = [
            "application_id",
            "user_version",
            "encoding",
            "page_size",
            "auto_vacuum",
            "journal_mode",
            "integrity_check",
        ];
        let mut lines = Vec::new();
        for setting in settings {
            let mut found = Vec::new();
            section(
                &connection,
                &mut found,
                setting,
                &format!("PRAGMA {setting}"),
            );
            // SQLite visits the tables in no order that counts.
            found.sort();
            lines.extend(found);
        }
        Self {
            schema,
            tables,
            views,
            file: lines,
        }
    }

    fn differs_from(&self, altered: &Self, before: &Self, wider: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        differ(&mut differences, "the file", &self.file, &altered.file);
        differ_by_name(&mut differences, "table", &self.tables, &altered.tables);
        let follows = |name: &String| {
            let (before, wider) = (before.views.get(name), wider.views.get(name));
            before.map(|view| view.names.len()) != wider.map(|view| view.names.len())
        };
        let expected: BTreeMap<_, _> = before
            .views
            .iter()
            .map(|(name, view)| match altered.views.get(name) {
                Some(altered) if follows(name) => (name.clone(), altered.clone()),
                _ => (name.clone(), view.clone()),
            })
            .collect();
        differ_by_name(&mut differences, "view", &self.views, &expected);
        let expected: Vec<SchemaRow> = altered
            .schema
            .iter()
            .map(|altered| {
                let same = |row: &&SchemaRow| row.name == altered.name && row.kind == altered.kind;
                let found = self.schema.iter().find(same);
                let before = before.schema.iter().find(same);
                let names = expected
                    .get(&altered.name)
                    .map(|view| view.names.as_slice());
                match (found, before) {
                    (Some(found), Some(before)) if is_as_good(found, altered, before, names) => {
                        found.clone()
                    }
                    _ => altered.clone(),
                }
            })
            .collect();
        differ(&mut differences, "the schema", &self.schema, &expected);
        differences
    }
}

/// Whether the text differs from that of SQLite's own making only where it may.
fn is_as_good(
    found: &SchemaRow,
    altered: &SchemaRow,
    before: &SchemaRow,
    names: Option<&[String]>,
) -> bool {
    let (Some(text), Some(altered), Some(before)) = (&found.sql, &altered.sql, &before.sql) else {
        return false;
    };
    let unquoted = |text: &str| text.replace(['"', '\''], "");
    if text == before && unquoted(before) == unquoted(altered) {
        return true;
    }
    let Some(names) = names.filter(|_| found.kind == "view") else {
        return false;
    };
    let names: Vec<String> = names
        .iter()
        .map(|name| Name::from(name.as_str()).as_written())
        .collect();
    text.replacen(&format!("({})", names.join(", ")), "", 1) == *altered
}

impl View {
    fn of(connection: &Connection, name: &str) -> Self {
        let columns = rows(
            connection,
            &format!("SELECT name, type FROM pragma_table_info({})", quoted(name)),
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
        );
        let (columns, names) = match columns {
            Ok(columns) => columns
                .into_iter()
                .map(|(name, declared_type)| (format!("{name} {declared_type}"), name))
                .unzip(),
            Err(error) => (vec![said(&error)], Vec::new()),
        };
        let mut rows = Vec::new();
        section(
            connection,
            &mut rows,
            "rows",
            &format!("SELECT * FROM {}", Name::from(name)),
        );
        // In what order they come is for the view to say, and most say nothing.
        rows.sort();
        Self {
            columns,
            names,
            rows,
        }
    }
}

fn describe_table(connection: &Connection, table: &str, has_rowid: bool, lines: &mut Vec<String>) {
    let literal = quoted(table);
    let mut add = |title: &str, sql: String| section(connection, lines, title, &sql);
    add(
        "columns",
        format!("SELECT * FROM pragma_table_xinfo({literal})"),
    );
    add(
        "foreign keys",
        format!("SELECT * FROM pragma_foreign_key_list({literal})"),
    );
    add(
        "indexes",
        format!("SELECT * FROM pragma_index_list({literal})"),
    );
    add(
        "columns of the indexes",
        format!(
            "SELECT list.name, info.* FROM pragma_index_list({literal}) AS list, pragma_index_xinfo(list.name) AS info \
             ORDER BY list.seq, info.seqno"
        ),
    );
    // Of each table alone, since SQLite visits all of them in no order that counts and stops at a mismatch.
    add(
        "violations",
        format!("SELECT * FROM pragma_foreign_key_check({literal})"),
    );
    let columns: Vec<String> = rows(
        connection,
        &format!("SELECT name FROM pragma_table_xinfo({literal}) WHERE hidden <> 1"),
        |row| row.get(0),
    )
    .unwrap_or_default();
    let free = ["rowid", "_rowid_", "oid"].into_iter().find(|rowid| {
        !columns
            .iter()
            .any(|column| column.eq_ignore_ascii_case(rowid))
    });
    let mut wanted: Vec<String> = columns
        .iter()
        .map(|it| Name::from(it.as_str()).to_string())
        .collect();
    let mut order = "";
    if let Some(rowid) = free.filter(|_| has_rowid) {
        wanted.insert(0, rowid.to_owned());
        order = "ORDER BY 1";
    }
    let wanted = if wanted.is_empty() {
        "*".to_owned()
    } else {
        wanted.join(", ")
    };
    add(
        "rows",
        format!("SELECT {wanted} FROM {} {order}", Name::from(table)),
    );
}

/// Adds what a query finds, a line a row; what SQLite says where it fails.
fn section(connection: &Connection, lines: &mut Vec<String>, title: &str, sql: &str) {
    let found = rows(connection, sql, |row| {
        let mut line = format!("{title}:");
        let mut at = 0;
        while let Ok(value) = row.get_ref(at) {
            line.push(' ');
            write_value(&mut line, value);
            at += 1;
        }
        Ok(line)
    });
    match found {
        Ok(found) => lines.extend(found),
        Err(error) => lines.push(format!("{title}: {}", said(&error))),
    }
}

/// A value with its type, to the last bit.
fn write_value(line: &mut String, value: ValueRef<'_>) {
    let written = match value {
        ValueRef::Null => write!(line, "NULL"),
        ValueRef::Integer(number) => write!(line, "{number}"),
        ValueRef::Real(number) => write!(line, "{number:?}={:x}", number.to_bits()),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) if text.len() > 1000 => write!(line, "'{text}'"),
            Ok(text) => write!(line, "{text:?}"),
            Err(_) => write!(line, "text {text:x?}"),
        },
        ValueRef::Blob(bytes) if bytes.len() > 1000 => {
            let mut digest = DefaultHasher::new();
            bytes.hash(&mut digest);
            write!(line, "blob of {} bytes: {:x}", bytes.len(), digest.finish())
        }
        ValueRef::Blob(bytes) => write!(line, "blob {bytes:x?}"),
    };
    written.unwrap();
}

fn all_schema_rows(connection: &Connection) -> Vec<SchemaRow> {
    let sql = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid";
    let row = |row: &rusqlite::Row<'_>| {
        Ok(SchemaRow {
            kind: row.get(0)?,
            name: row.get(1)?,
            table: row.get(2)?,
            sql: row.get(3)?,
        })
    };
    rows(connection, sql, row).unwrap()
}

fn is_ours(row: &SchemaRow) -> bool {
    Name::from(row.table.as_str()).is_ours()
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare(sql)?.query_map([], read)?.collect()
}

fn said(error: &SqliteError) -> String {
    match error {
        SqliteError::SqliteFailure(_, Some(text))
        | SqliteError::SqlInputError { msg: text, .. } => {
            format!("SQLite says: {text}")
        }
        other => format!("fails: {other}"),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn differ_by_name<T: Debug + PartialEq + Lines>(
    differences: &mut Vec<String>,
    kind: &str,
    found: &BTreeMap<String, T>,
    expected: &BTreeMap<String, T>,
) {
    let names = |map: &BTreeMap<String, T>| map.keys().cloned().collect::<Vec<_>>();
    differ(
        differences,
        &format!("the names of every {kind}"),
        &names(found),
        &names(expected),
    );
    for (name, expected) in expected {
        if let Some(found) = found.get(name) {
            differ(
                differences,
                &format!("{kind} {name:?}"),
                &found.lines(),
                &expected.lines(),
            );
        }
    }
}

/// What can be compared line by line.
trait Lines {
    fn lines(&self) -> Vec<String>;
}

impl Lines for Vec<String> {
    fn lines(&self) -> Vec<String> {
        self.clone()
    }
}

impl Lines for View {
    fn lines(&self) -> Vec<String> {
        [self.columns.as_slice(), self.rows.as_slice()].concat()
    }
}

/// Says which items are missing, and which are there instead; and where only their order differs, that.
fn differ<T: Debug + PartialEq>(
    differences: &mut Vec<String>,
    what: &str,
    found: &[T],
    expected: &[T],
) {
    if found == expected {
        return;
    }
    let short = |item: &T| format!("{item:?}").chars().take(600).collect::<String>();
    let missing = expected.iter().filter(|item| !found.contains(item));
    let new = found.iter().filter(|item| !expected.contains(item));
    let mut lines: Vec<String> = missing.map(|item| format!("  - {}", short(item))).collect();
    lines.extend(new.map(|item| format!("  + {}", short(item))));
    if lines.is_empty() {
        lines.push("  the same in another order or number".to_owned());
    }
    differences.push(format!("{what} differs:\n{}", lines.join("\n")));
}

#[test]
fn the_sample_of_the_readme_survives() {
    let file = File::of(
        "CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users(name) VALUES ('Ada'), ('Grace')",
    );
    survives(&file, super::support::change("users", "name", "full_name"));
}

#[test]
fn the_oracle_notices_a_lost_rowid_and_a_changed_type() {
    let one = File::of("CREATE TABLE t(a); INSERT INTO t(rowid, a) VALUES (7, 1)");
    let lost = File::of("CREATE TABLE t(a); INSERT INTO t(rowid, a) VALUES (8, 1)");
    let real = File::of("CREATE TABLE t(a); INSERT INTO t(rowid, a) VALUES (7, 1.0)");
    let same = File::of("CREATE TABLE t(a); INSERT INTO t(rowid, a) VALUES (7, 1)");
    assert!(!differences_since(&Portrait::of(&one), &lost).is_empty());
    assert!(!differences_since(&Portrait::of(&one), &real).is_empty());
    assert!(differences_since(&Portrait::of(&one), &same).is_empty());
}
