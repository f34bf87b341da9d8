//! What must survive a change of a column's name, one hazard a test, and what must be refused before anything is
//! touched.

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use super::oracle::{Portrait, differences_from_sqlites, differences_since, survives};
use super::support::{Change, Code, Error, File, change, warnings_of_expand};

/// Tests that a file made by the SQL survives a change of column `old` of a table into `new`.
macro_rules! survive {
    ($($(#[$attribute:meta])* $test:ident: $table:literal, $old:literal => $new:literal, $sql:expr;)+) => {
        $(
            #[test]
            $(#[$attribute])*
            fn $test() {
                survives(&File::of(&$sql.to_string()), change($table, $old, $new));
            }
        )+
    };
}

/// Tests that expand, told the old column, refuses a file made by the SQL with a message that has all the words,
/// and has not changed a byte then.
macro_rules! refuse {
    ($($test:ident: $table:literal, $old:literal => $new:literal, $code:ident, $words:expr, $sql:expr;)+) => {
        $(
            #[test]
            fn $test() {
                let error = refusal_of(&File::of($sql), change($table, $old, $new));
                speaks(&error, Code::$code, &$words);
            }
        )+
    };
}

/// The refusal of the first phase, which leaves the file as it was to the last byte.
#[track_caller]
fn refusal_of(file: &File, change: Change<'_>) -> Error {
    let before = file.bytes();
    let error = change.expand(file).expect_err("expand must refuse");
    assert!(file.bytes() == before, "the file was touched: {error}");
    assert!(file.neighbours().is_empty(), "files are left: {error}");
    error
}

/// The refusal of a data migration whose expand knew nothing of the old column, and went through.
#[track_caller]
fn refusal_of_migrate_data(file: &File, change: Change<'_>) -> Error {
    change.untold().expand(file).unwrap();
    let (before, bytes) = (Portrait::of(file), file.bytes());
    let error = change
        .migrate_data(file)
        .expect_err("migrate data must refuse");
    assert_eq!(differences_since(&before, file), [""; 0]);
    assert!(file.bytes() == bytes, "the file was touched: {error}");
    error
}

#[track_caller]
fn speaks(error: &Error, code: Code, words: &[&str]) {
    assert_eq!(error.code(), code, "{error}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
}

// Keys.

survive! {
    composite_keys_survive: "t", "name" => "full_name",
        "CREATE TABLE t(a, b, name TEXT, PRIMARY KEY(a, b));
         INSERT INTO t VALUES (1, 1, 'x'), (1, 2, 'y'), (2, 1, NULL), (NULL, 1, 'n'), (NULL, NULL, 'n')";
    composite_keys_with_the_column_survive: "t", "name" => "full_name",
        "CREATE TABLE t(a, name TEXT, PRIMARY KEY(a, name));
         INSERT INTO t VALUES (1, 'a'), (1, 'b'), (2, 'a'), (2, NULL), (2, NULL)";
    a_key_that_is_the_column_survives: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT PRIMARY KEY, b); INSERT INTO t VALUES ('a', 1), ('b', 2), (NULL, 3), (NULL, 4)";
    a_without_rowid_key_that_is_the_column_survives: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT PRIMARY KEY, b) WITHOUT ROWID; INSERT INTO t VALUES ('b', 1), ('a', 2), ('c', 3)";
    an_integer_primary_key_survives: "t", "id" => "number",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, b);
         INSERT INTO t VALUES (5, 'five'), (-3, 'below'), (9223372036854775807, 'last'), (9007199254740993, 'odd')";
    an_integer_primary_key_survives_beside_text: "t", "id" => "number",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, b TEXT); INSERT INTO t VALUES (5, 'five'), (-3, 'below'), (77, NULL)";
    an_integer_primary_key_survives_beside_reals: "t", "id" => "number",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, b REAL); INSERT INTO t VALUES (108772746025060017, 1.5), (9007199254740993, 2)";
    an_integer_primary_key_that_runs_down_survives: "t", "id" => "number",
        "CREATE TABLE t(id INTEGER PRIMARY KEY DESC, b); INSERT INTO t VALUES (5, 1), (NULL, 2), (3, 3), (NULL, 4)";
    an_autoincrement_with_a_gap_survives: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
         CREATE TABLE other(id INTEGER PRIMARY KEY AUTOINCREMENT);
         INSERT INTO t VALUES (3, 'a'), (900, 'gone'), (4, 'b'); DELETE FROM t WHERE id = 900;
         INSERT INTO other VALUES (17)";
    an_autoincrement_that_is_the_column_survives: "t", "id" => "number",
        "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
         INSERT INTO t VALUES (3, 'a'), (900, 'gone'), (4, 'b'); DELETE FROM t WHERE id = 900";
    an_autoincrement_that_was_never_used_survives: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)";
    a_without_rowid_table_survives: "t", "name" => "full_name",
        "CREATE TABLE t(a, b, name, PRIMARY KEY(b, a)) WITHOUT ROWID;
         INSERT INTO t VALUES (1, 9, 'x'), (2, 8, 'y'), (3, 8, 3.0), ('1', 8, x'00'), (x'31', 8, NULL)";
    a_without_rowid_key_that_runs_down_survives: "t", "name" => "full_name",
        "CREATE TABLE t(a, b, name, PRIMARY KEY(a DESC, b DESC)) WITHOUT ROWID;
         WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 20)
         INSERT INTO t SELECT i / 5, i % 5, 'r' || i FROM n";
    a_without_rowid_key_of_mixed_directions_survives: "t", "name" => "full_name",
        "CREATE TABLE t(a, b, c, name, PRIMARY KEY(a, b DESC, c)) WITHOUT ROWID;
         WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 26)
         INSERT INTO t SELECT i / 9, i / 3 % 3, i % 3, 'r' || i FROM n";
    a_without_rowid_key_with_collations_survives: "t", "name" => "full_name",
        "CREATE TABLE t(a TEXT COLLATE NOCASE, b TEXT, name, PRIMARY KEY(a, b COLLATE RTRIM DESC)) WITHOUT ROWID;
         INSERT INTO t VALUES ('b', 'x', 1), ('A', 'y', 2), ('B', 'y ', 3), ('a', 'x', 4), ('C', 'z', 5), ('_', '', 6)";
    a_without_rowid_key_with_another_collation_than_its_column_survives: "t", "name" => "full_name",
        "CREATE TABLE t(a TEXT COLLATE NOCASE, name, PRIMARY KEY(a COLLATE BINARY)) WITHOUT ROWID;
         INSERT INTO t VALUES ('b', 1), ('A', 2), ('B', 3), ('a', 4), ('C', 5), ('c', 6), ('_', 7)";
    a_without_rowid_key_named_twice_survives: "t", "name" => "full_name",
        "CREATE TABLE t(a, b, name, PRIMARY KEY(a, b, a)) WITHOUT ROWID;
         INSERT INTO t VALUES (1, 2, 'x'), (2, 1, 'y'), (2, 2, 'z')";
    a_key_of_large_and_real_numbers_survives: "t", "name" => "full_name",
        "CREATE TABLE t(a PRIMARY KEY, name) WITHOUT ROWID;
         INSERT INTO t VALUES (9007199254740993, 1), (9007199254740992.0, 2), (-1e300, 3), (1e-300, 4), (9e999, 5),
             ('a', 6), (x'ff', 7), ('', 8), (0, 9)";
    strict_tables_survive: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT NOT NULL, r REAL, b BLOB, x ANY) STRICT;
         INSERT INTO t VALUES (1, 'a', 1, x'00', '1'), (2, 'b', NULL, NULL, 1), (3, 'c', 2.5, x'', 1.0)";
    strict_any_survives: "t", "x" => "y",
        "CREATE TABLE t(k INT PRIMARY KEY, x ANY) STRICT, WITHOUT ROWID;
         INSERT INTO t VALUES (1, '1'), (2, 1), (3, 1.0), (4, x'31'), (5, NULL), (6, '001')";
}

// Constraints.

survive! {
    unique_survives: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT UNIQUE, b UNIQUE, UNIQUE(b, name)); INSERT INTO t VALUES ('a', 1), ('b', 2), (NULL, NULL)";
    unique_with_conflict_policies_survives: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT UNIQUE ON CONFLICT REPLACE, b UNIQUE ON CONFLICT IGNORE);
         INSERT INTO t VALUES ('a', 1), ('b', 2), (NULL, NULL), (NULL, 3)";
    checks_survive: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT CHECK(length(name) > 0), b, CHECK(b <> name AND \"name\" <> 'name'), CONSTRAINT c CHECK([name] NOT IN ('x')));
         INSERT INTO t VALUES ('a', 1), ('b', 2), (NULL, NULL)";
    a_check_qualified_with_the_table_survives: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT, b, CHECK(t.name <> t.b OR \"t\".name = 'both')); INSERT INTO t VALUES ('a', 1), ('both', 'both')";
    a_row_that_violates_a_check_survives: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT, b INT CHECK(b > 0), CHECK(name <> 'bad'));
         PRAGMA ignore_check_constraints = ON; INSERT INTO t VALUES ('good', 1), ('bad', 1), ('fine', -1)";
    a_row_that_violates_a_check_of_a_strict_table_survives: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT, b INT CHECK(b > 0), CHECK(name <> 'bad')) STRICT;
         PRAGMA ignore_check_constraints = ON; INSERT INTO t VALUES ('good', 1), ('bad', 1), ('fine', -1)";
    collations_survive: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT COLLATE NOCASE UNIQUE, b COLLATE RTRIM); INSERT INTO t VALUES ('Ada', 'x '), ('BOB', 'x'), ('bo', '')";
    values_that_the_collation_takes_for_equal_survive: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT COLLATE NOCASE, other TEXT COLLATE NOCASE); INSERT INTO t VALUES ('Ada', 'x'), ('ADA', 'X'), ('ada', 'x')";
    constant_defaults_survive: "t", "name" => "full_name",
        "CREATE TABLE t(a, name TEXT DEFAULT 'name', n DEFAULT -1.50, x DEFAULT x'00', b DEFAULT NULL); INSERT INTO t(a) VALUES (1), (2)";
    expression_defaults_survive: "t", "name" => "full_name",
        "CREATE TABLE t(a, name TEXT DEFAULT (upper('name') || random() % 1), d DEFAULT CURRENT_DATE, e DEFAULT (1 + 1));
         INSERT INTO t(a) VALUES (1), (2)";
    a_default_in_double_quotes_survives: "t", "name" => "full_name",
        "CREATE TABLE t(a, name TEXT DEFAULT \"name\", b DEFAULT \"x y\"); INSERT INTO t(a) VALUES (1), (2)";
    not_null_survives: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT NOT NULL, b NOT NULL DEFAULT 3); INSERT INTO t(name) VALUES ('a'), (''), ('c')";
    not_null_with_conflict_policies_survives: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT NOT /* never */ NULL -- at all
             ON CONFLICT /* then */ REPLACE DEFAULT 'none', b NOT NULL ON CONFLICT IGNORE, c NOT NULL ON CONFLICT ROLLBACK, d NOT NULL ON CONFLICT FAIL);
         INSERT INTO t VALUES ('a', 1, 1, 1), (NULL, 1, 1, 1), ('c', 2, 2, 2)";
    named_constraints_survive: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT CONSTRAINT name NOT NULL CONSTRAINT \"the name\" UNIQUE, b CONSTRAINT name DEFAULT 1);
         INSERT INTO t(name) VALUES ('a'), ('b')";
    virtual_columns_that_use_the_column_survive: "t", "name" => "full_name",
        "CREATE TABLE t(up TEXT AS (upper(name)), name TEXT, l GENERATED ALWAYS AS (length(name)) VIRTUAL, ll AS (l + 1));
         CREATE INDEX i ON t(l, up); INSERT INTO t(name) VALUES ('a'), ('bb'), (NULL)";
    stored_columns_that_use_the_column_survive: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, up TEXT UNIQUE AS (upper(name)) STORED NOT NULL, name TEXT NOT NULL, l INT AS (length(up)) STORED);
         INSERT INTO t(name) VALUES ('a'), ('bb'), ('')";
    a_column_among_generated_ones_survives: "t", "b" => "c",
        "CREATE TABLE t(x INT AS (b * 2) STORED, b INT, y INT AS (x + b)) STRICT; INSERT INTO t(b) VALUES (1), (2), (NULL)";
}

// Indexes.

survive! {
    plain_indexes_survive: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT, b); CREATE INDEX i ON t(name); CREATE INDEX j ON t(b, name); CREATE INDEX k ON t(b);
         INSERT INTO t VALUES ('b', 1), ('a', 2), (NULL, 3)";
    partial_indexes_survive: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT, b); CREATE INDEX i ON t(b) WHERE name IS NOT NULL AND name <> 'name';
         CREATE UNIQUE INDEX j ON t(name) WHERE b > 1; INSERT INTO t VALUES ('b', 1), ('b', 0), ('a', 2), (NULL, 3)";
    expression_indexes_survive: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT, b); CREATE INDEX i ON t(lower(name) || b, -b); CREATE INDEX j ON t(json_extract(name, '$.name'));
         INSERT INTO t VALUES ('{\"name\": 3}', 1), ('{}', 2), (NULL, 3)";
    descending_and_collated_indexes_survive: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT, b); CREATE INDEX i ON t(name COLLATE NOCASE DESC, b ASC); CREATE INDEX j ON t(name COLLATE RTRIM);
         INSERT INTO t VALUES ('b', 1), ('B', 2), ('a ', 3)";
    several_unique_indexes_survive: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT, b, c); CREATE UNIQUE INDEX i ON t(name); CREATE UNIQUE INDEX j ON t(b); CREATE UNIQUE INDEX k ON t(c DESC, name);
         INSERT INTO t VALUES ('b', 1, 1), ('a', 2, 1), (NULL, 3, 1)";
    indexes_called_as_the_columns_survive: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT, b); CREATE INDEX name ON t(name); CREATE UNIQUE INDEX \"full_name\" ON t(b, name);
         INSERT INTO t VALUES ('b', 1), ('a', 2)";
    an_index_with_comments_and_odd_names_survives: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT, b); CREATE  UNIQUE /* a */ INDEX -- b
         IF NOT EXISTS [an index (] /* name */ ON t -- t
         ( name /* here */ ASC ) WHERE /* name */ name > 'A'; INSERT INTO t VALUES ('b', 1), ('a', 2)";
    indexes_on_without_rowid_tables_survive: "t", "name" => "full_name",
        "CREATE TABLE t(k INTEGER, name TEXT UNIQUE, b, PRIMARY KEY(k DESC)) WITHOUT ROWID; CREATE INDEX i ON t(b DESC, name);
         INSERT INTO t VALUES (1, 'b', 1), (2, 'a', 2), (3, 'c', 3)";
}

// Foreign keys.

survive! {
    foreign_keys_from_the_table_survive: "t", "name" => "full_name",
        "CREATE TABLE p(a, b, UNIQUE(a, b)); CREATE TABLE t(name TEXT, b, FOREIGN KEY(name, b) REFERENCES p(a, b) ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO p VALUES ('x', 1), ('y', 2); INSERT INTO t VALUES ('x', 1), ('y', 2), (NULL, 3)";
    a_foreign_key_on_the_column_survives: "t", "name" => "full_name",
        "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE t(name REFERENCES p, b REFERENCES p(id));
         INSERT INTO p VALUES (1), (2); INSERT INTO t VALUES (1, 2), (2, 1), (NULL, NULL)";
    foreign_keys_to_the_table_survive: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE c(t REFERENCES t, name TEXT);
         INSERT INTO t VALUES (1, 'a'), (2, 'b'); INSERT INTO c VALUES (1, 'x'), (2, 'y'), (2, 'z')";
    foreign_keys_to_the_very_column_survive: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, UNIQUE(id, name));
         CREATE TABLE c(name TEXT REFERENCES t(name), i, FOREIGN KEY(i, name) REFERENCES t(id, name));
         INSERT INTO t VALUES (1, 'a'), (2, 'b'); INSERT INTO c VALUES ('a', 1), ('b', NULL), (NULL, NULL)";
    foreign_keys_to_the_very_key_survive: "t", "id" => "number",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, b); CREATE TABLE c(id REFERENCES t, x REFERENCES t(id));
         INSERT INTO t VALUES (1, 'a'), (2, 'b'); INSERT INTO c VALUES (1, 1), (2, 1)";
    foreign_keys_of_a_table_with_indexes_triggers_and_views_survive: "t", "id" => "number",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, b); CREATE TABLE c(x REFERENCES t(id), y TEXT);
         CREATE INDEX i ON c(x, y); CREATE UNIQUE INDEX u ON c(y) WHERE x > 0; CREATE TABLE log(x);
         CREATE TRIGGER a AFTER INSERT ON c BEGIN INSERT INTO log SELECT x FROM c WHERE y = NEW.y; END;
         CREATE VIEW v AS SELECT x, count(*) AS n FROM c GROUP BY x;
         INSERT INTO t VALUES (1, 'a'), (2, 'b'); INSERT INTO c VALUES (1, 'x'), (2, 'y')";
    foreign_keys_to_itself_survive: "t", "parent" => "boss",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES t(id) ON DELETE CASCADE, other REFERENCES t);
         INSERT INTO t VALUES (1, 3, NULL), (2, 1, 2), (3, NULL, 1)";
    foreign_keys_to_its_own_column_survive: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT PRIMARY KEY, up REFERENCES t(name), u2 REFERENCES t ON UPDATE CASCADE) WITHOUT ROWID;
         INSERT INTO t VALUES ('a', 'c', 'b'), ('b', NULL, 'a'), ('c', 'a', 'a')";
    children_with_actions_survive: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
         CREATE TABLE c(t REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE);
         CREATE TABLE d(name REFERENCES t(name) ON DELETE SET NULL ON UPDATE SET NULL);
         CREATE TABLE e(t DEFAULT 1 REFERENCES t ON DELETE SET DEFAULT ON UPDATE RESTRICT);
         INSERT INTO t VALUES (1, 'a'), (2, 'b'); INSERT INTO c VALUES (1), (2); INSERT INTO d VALUES ('a'), ('b');
         INSERT INTO e VALUES (1), (2); PRAGMA foreign_keys = ON";
    violations_that_were_there_before_survive: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT UNIQUE, p REFERENCES p(id)); CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(name REFERENCES t(name));
         INSERT INTO t VALUES ('a', 77), ('b', NULL); INSERT INTO c VALUES ('a'), ('nobody'); ";
    violations_on_the_very_column_survive: "t", "name" => "full_name",
        "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE t(id INTEGER PRIMARY KEY, name REFERENCES p(id));
         INSERT INTO t VALUES (1, 77), (2, 78), (3, NULL)";
    a_mismatch_that_was_there_before_survives: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, p REFERENCES p(plain)); CREATE TABLE p(id INTEGER PRIMARY KEY, plain);
         CREATE TABLE c(name REFERENCES t(name)); INSERT INTO t VALUES (1, 'a', 1), (2, 'b', NULL); INSERT INTO c VALUES ('a')";
    a_mismatch_elsewhere_survives: "t", "name" => "full_name",
        "CREATE TABLE t(name TEXT); CREATE TABLE p(id); CREATE TABLE c(a REFERENCES p(id), b REFERENCES gone);
         INSERT INTO t VALUES ('a'); INSERT INTO c VALUES (1, 2)";
    a_parent_that_is_missing_survives: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, p REFERENCES gone(id)); INSERT INTO t VALUES (1, 'a', 5), (2, 'b', NULL)";
}

// Triggers.

survive! {
    triggers_on_the_table_survive: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE log(what, name);
         CREATE TRIGGER b AFTER INSERT ON t BEGIN INSERT INTO log(what, name) VALUES ('name', NEW.name); END;
         CREATE TRIGGER a BEFORE UPDATE OF name, id ON t WHEN OLD.name IS NOT NEW.name BEGIN
             UPDATE t SET name = upper(name) WHERE t.name = OLD.name; SELECT RAISE(ABORT, 'name') WHERE NEW.\"name\" = 'x'; END;
         CREATE TRIGGER d AFTER DELETE ON t BEGIN DELETE FROM log WHERE log.name = OLD.[name]; END;
         INSERT INTO t VALUES (1, 'a'), (2, 'b')";
    triggers_elsewhere_survive: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE); CREATE TABLE o(name, x);
         CREATE TRIGGER one AFTER INSERT ON o BEGIN
             INSERT INTO t(name) SELECT name FROM o AS name WHERE o.name NOT IN (SELECT name FROM t)
                 ON CONFLICT(name) DO UPDATE SET name = excluded.name || t.name WHERE t.name <> 'name';
             UPDATE o SET x = (SELECT count(*) FROM t AS u WHERE u.name = o.name); END;
         CREATE TRIGGER two AFTER UPDATE OF name ON o BEGIN DELETE FROM t WHERE name = NEW.name; END;
         INSERT INTO t VALUES (1, 'a')".replace("SELECT name FROM o AS name WHERE o.name", "SELECT p.name FROM o AS p WHERE p.name");
    triggers_that_have_nothing_to_do_with_it_survive: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE o(name, x); CREATE TABLE log(name);
         CREATE TRIGGER two AFTER UPDATE OF name ON o WHEN NEW.name = 'name' BEGIN INSERT INTO log(name) VALUES (NEW.name); END;
         CREATE TRIGGER one AFTER INSERT ON t BEGIN INSERT INTO log(name) SELECT id FROM t; END; INSERT INTO t VALUES (1, 'a'), (2, 'b')";
    instead_of_triggers_survive: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE VIEW v AS SELECT id, name FROM t WHERE name <> '';
         CREATE TRIGGER i INSTEAD OF INSERT ON v BEGIN INSERT INTO t(id, name) VALUES (NEW.id, NEW.name); END;
         CREATE TRIGGER u INSTEAD OF UPDATE OF name ON v WHEN NEW.name <> OLD.name BEGIN UPDATE t SET name = NEW.name WHERE id = OLD.id; END;
         CREATE TRIGGER d INSTEAD OF DELETE ON v BEGIN DELETE FROM t WHERE name = OLD.name; END;
         INSERT INTO t VALUES (1, 'a'), (2, 'b')";
    triggers_that_fire_on_the_backfill_stay_silent: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, changed INT DEFAULT 0);
         INSERT INTO t(name) VALUES ('a'), ('b');
         CREATE TRIGGER touched AFTER UPDATE ON t BEGIN UPDATE t SET changed = changed + 1 WHERE id = NEW.id; END";
}

#[test]
fn an_instead_of_trigger_still_works_after_the_change() {
    let file = File::of(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE VIEW v AS SELECT id, name FROM t;
         CREATE TRIGGER i INSTEAD OF INSERT ON v BEGIN INSERT INTO t(id, name) VALUES (NEW.id, NEW.name); END;",
    );
    change("t", "name", "full_name").run(&file).unwrap();
    file.execute("INSERT INTO v(id, name) VALUES (1, 'a')");
    let name: String = file
        .application()
        .query_row("SELECT full_name FROM t", [], |row| row.get(0))
        .unwrap();
    assert_eq!(name, "a");
}

// Views.

survive! {
    views_keep_the_names_of_their_columns: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, b);
         CREATE VIEW plain AS SELECT name, id FROM t;
         CREATE VIEW qualified AS SELECT t.name, x.\"name\" FROM t JOIN t AS x USING (id);
         CREATE VIEW aliased AS SELECT name AS n, name name, upper(name) FROM t ORDER BY name DESC;
         CREATE VIEW listed(a, name) AS SELECT name, id FROM t;
         CREATE VIEW odd AS SELECT name || 'x', count(*) FROM t GROUP BY name HAVING name <> '';
         CREATE VIEW unmentioned AS SELECT id, b FROM t;
         INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, NULL, 3)";
    views_of_views_survive: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT);
         CREATE VIEW one AS SELECT id, name FROM t; CREATE VIEW two AS SELECT name, id FROM one WHERE name > 'a';
         CREATE VIEW three AS SELECT * FROM two JOIN t ON t.id = two.id AND t.name = two.name".replace("SELECT * FROM two", "SELECT two.name AS n, t.name FROM two")
         + "; CREATE VIEW four AS SELECT * FROM two; INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')";
    views_with_subqueries_and_ctes_survive: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT);
         CREATE VIEW a AS WITH c AS (SELECT name AS n FROM t), d(name) AS (SELECT name FROM t) SELECT c.n, d.name AS dn FROM c, d;
         CREATE VIEW b AS SELECT name FROM (SELECT name AS name FROM t) UNION SELECT name FROM t EXCEPT SELECT 'name';
         CREATE VIEW c AS SELECT (SELECT max(name) FROM t AS u WHERE u.name < t.name) AS name, row_number() OVER (ORDER BY name) FROM t;
         CREATE VIEW d AS SELECT 1 WHERE EXISTS (SELECT 1 FROM t WHERE t.name = 'a');
         INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')";
    views_with_a_star_follow_their_table: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE VIEW star AS SELECT * FROM t;
         CREATE VIEW second AS SELECT * FROM star; CREATE VIEW behind AS SELECT 1 AS one, t.* FROM t WHERE name <> 'b';
         INSERT INTO t VALUES (1, 'a'), (2, 'b')";
    natural_joins_on_other_columns_survive: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE o(id, x); CREATE VIEW v AS SELECT name, x FROM t NATURAL JOIN o;
         CREATE VIEW w AS SELECT t.name, o.x FROM o JOIN t USING (id); INSERT INTO t VALUES (1, 'a'), (2, 'b'); INSERT INTO o VALUES (2, 'x'), (3, 'y')";
    views_that_say_the_word_otherwise_survive: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE o(name, full_name);
         CREATE VIEW name AS SELECT name, full_name, 'name' AS \"a name\" FROM o;
         CREATE VIEW w AS SELECT name.name, json_extract('{\"name\": 1}', '$.name') AS j FROM name, t AS other WHERE other.id > 0;
         INSERT INTO t VALUES (1, 'a'); INSERT INTO o VALUES ('o', 'f')";
    a_broken_view_elsewhere_survives: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE gone(name); CREATE VIEW broken AS SELECT name FROM gone;
         CREATE VIEW fine AS SELECT name FROM t; CREATE VIEW on_broken AS SELECT * FROM broken; DROP TABLE gone; INSERT INTO t VALUES (1, 'a')";
    a_broken_trigger_elsewhere_survives: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE o(name); CREATE TABLE log(x);
         CREATE TRIGGER broken AFTER INSERT ON o BEGIN INSERT INTO gone VALUES (NEW.name); END;
         CREATE TRIGGER fine AFTER INSERT ON t BEGIN INSERT INTO log VALUES (NEW.name); END; INSERT INTO t VALUES (1, 'a')";
    a_broken_trigger_on_the_table_survives: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE log(x); INSERT INTO t VALUES (1, 'a');
         CREATE TRIGGER broken AFTER DELETE ON t BEGIN INSERT INTO gone VALUES (1); END;
         CREATE TRIGGER fine AFTER INSERT ON t BEGIN INSERT INTO log VALUES (NEW.name); END";
}

// Words that look like the column.

survive! {
    string_literals_and_json_paths_survive: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT CHECK(name <> 'name'), j TEXT DEFAULT '{\"name\": \"full_name\"}', x AS (j ->> '$.name'));
         CREATE TABLE log(name, full_name);
         CREATE VIEW v AS SELECT id, 'name' AS \"it's name\", json_extract(j, '$.name') AS jn, name AS n FROM t WHERE name NOT LIKE '%name%';
         CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO log(name, full_name) VALUES ('name', json_object('name', NEW.name)); END;
         INSERT INTO t(name) VALUES ('a'), ('b')";
    strings_in_double_quotes_survive: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, CHECK(name <> \"nothing\" AND id <> \"it's\"));
         CREATE TABLE o(x, CHECK(x <> \"no column\")); CREATE TABLE log(x);
         CREATE VIEW v AS SELECT id, \"a string\" AS s, name AS n FROM t; CREATE VIEW w AS SELECT \"another\" AS s, x FROM o;
         CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO log VALUES (\"inserted\" || NEW.name); END;
         CREATE TRIGGER q AFTER INSERT ON o BEGIN INSERT INTO log VALUES (\"elsewhere\"); END;
         CREATE INDEX i ON t(name) WHERE name > \"lower\";
         INSERT INTO t VALUES (1, 'a'), (2, 'b'); INSERT INTO o VALUES ('x')";
    other_columns_of_the_name_survive: "t", "name" => "full_name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, t TEXT); CREATE TABLE name(name, full_name, t REFERENCES t(id));
         CREATE INDEX n ON name(name); CREATE VIEW v AS SELECT name.name, t.name AS tn, t.t FROM t, name WHERE name.t = t.id;
         INSERT INTO t VALUES (1, 'a', 'x'); INSERT INTO name VALUES ('n', 'f', 1)";
    comments_and_odd_formatting_survive: "t", "name" => "full_name",
        "create  table /* the name */ t -- name\n(\n\tid integer -- the id, not the name\n\t  primary key\n, /* name */ NAME\ttext /* not full_name */ , b /* last */ )  -- behind\n;
         CREATE VIEW v AS -- the name\n  SELECT\n\tNaMe /* name */ , b FROM t -- end\n; INSERT INTO t VALUES (1, 'a', 2), (2, 'b', 3)";
    another_letter_case_is_the_same_column: "T", "NAME" => "Full_Name",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE VIEW v AS SELECT Name, T.nAME AS x FROM t; CREATE INDEX I ON T(NaMe);
         INSERT INTO t VALUES (1, 'a')";
    keywords_as_names_survive: "order", "group" => "select",
        "CREATE TABLE \"order\"(id INTEGER PRIMARY KEY, \"group\" TEXT CHECK(\"group\" <> 'group'), [where], `from`);
         CREATE INDEX \"index\" ON \"order\"(\"group\"); CREATE VIEW \"view\" AS SELECT \"group\", \"order\".\"where\" FROM \"order\" ORDER BY \"group\";
         INSERT INTO \"order\" VALUES (1, 'a', 2, 3)";
    soft_keywords_as_names_survive: "key", "action" => "replace",
        "CREATE TABLE key(id INTEGER PRIMARY KEY, action TEXT, desc_); CREATE VIEW v AS SELECT action FROM key; INSERT INTO key VALUES (1, 'a', 2)";
    literal_words_as_names_survive: "t", "true" => "false",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, \"true\" TEXT CHECK(\"true\" <> 'x')); CREATE VIEW v AS SELECT \"true\" FROM t; INSERT INTO t VALUES (1, 'a')";
    names_with_quotes_survive: "it's \"t\"", "a\"b" => "c'd\"e`f",
        "CREATE TABLE \"it's \"\"t\"\"\"(id INTEGER PRIMARY KEY, \"a\"\"b\" TEXT UNIQUE, \"x]y\" DEFAULT 'a\"b');
         CREATE INDEX \"i\"\"'\" ON \"it's \"\"t\"\"\"(\"a\"\"b\"); CREATE VIEW \"v'\" AS SELECT \"a\"\"b\", id FROM \"it's \"\"t\"\"\";
         CREATE TRIGGER \"r\"\"\" AFTER INSERT ON \"it's \"\"t\"\"\" BEGIN UPDATE \"it's \"\"t\"\"\" SET \"a\"\"b\" = NEW.\"a\"\"b\"; END;
         INSERT INTO \"it's \"\"t\"\"\"(\"a\"\"b\") VALUES ('a')";
    names_with_spaces_dots_and_brackets_survive: "main.t (x)", "a. b" => "[c] (d), e;",
        "CREATE TABLE \"main.t (x)\"(id INTEGER PRIMARY KEY, \"a. b\" TEXT, [ ], [-- x]); CREATE VIEW [v(] AS SELECT \"a. b\" FROM \"main.t (x)\";
         CREATE INDEX \"i (\" ON [main.t (x)](\"a. b\"); INSERT INTO \"main.t (x)\" VALUES (1, 'a', 2, 3)";
    names_in_other_scripts_survive: "größe", "имя" => "名前",
        "CREATE TABLE größe(id INTEGER PRIMARY KEY, имя TEXT, \"🦀\"); CREATE VIEW ansicht AS SELECT имя, \"🦀\" FROM größe;
         CREATE INDEX índice ON größe(имя); INSERT INTO größe VALUES (1, 'ä', 'ö')";
    names_that_look_like_numbers_survive: "2", "1" => "1e3",
        "CREATE TABLE \"2\"(id INTEGER PRIMARY KEY, \"1\" TEXT); CREATE VIEW \"3\" AS SELECT \"1\" FROM \"2\"; INSERT INTO \"2\" VALUES (1, 'a')";
    a_column_called_as_its_table_survives: "t", "t" => "u",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, t TEXT, CHECK(t.t <> 't')); CREATE VIEW v AS SELECT t.t, t AS x FROM t; CREATE INDEX i ON t(t); INSERT INTO t VALUES (1, 'a')";
    a_new_name_that_is_the_tables_survives: "t", "u" => "t",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT, CHECK(t.u <> 't')); CREATE VIEW v AS SELECT t.u, u AS x FROM t; CREATE INDEX i ON t(u); INSERT INTO t VALUES (1, 'a')";
}

// Rows.

survive! {
    every_kind_of_value_survives_without_a_type: "t", "v" => "w",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t(v) VALUES (1), (1.0), ('1'), ('1.0'), (x'31'), (NULL), (''), (x''), (-0.0), (9e999),
             (-9e999), (9223372036854775807), (-9223372036854775808), (9007199254740993), (1e-320), ('001'), (' 1 '), ('0x10'), ('ä' || char(0) || 'b'), (zeroblob(3))";
    every_kind_of_value_survives_as_text: "t", "v" => "w",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t(v) VALUES (1), (1.0), ('1'), (x'31'), (NULL), (''), (x'')";
    every_kind_of_value_survives_as_integer: "t", "v" => "w",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v INT); INSERT INTO t(v) VALUES (1), (1.0), (1.5), ('1'), ('1x'), (x'31'), (NULL), (''), ('9223372036854775808'), (1e300)";
    every_kind_of_value_survives_as_real: "t", "v" => "w",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v REAL); INSERT INTO t(v) VALUES (1), (1.0), (1.5), ('1'), ('1x'), (x'31'), (NULL), (''), (9223372036854775807), (-0.0)";
    every_kind_of_value_survives_as_numeric: "t", "v" => "w",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v DECIMAL(10, 2)); INSERT INTO t(v) VALUES (1), (1.0), (1.5), ('1'), ('1.50'), ('1x'), (x'31'), (NULL), ('')";
    every_kind_of_value_survives_as_blob: "t", "v" => "w",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB); INSERT INTO t(v) VALUES (1), (1.0), (1.5), ('1'), ('1x'), (x'31'), (NULL), ('')";
    odd_types_survive: "t", "v" => "w",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v \"a type\" [of words] (1, -2), x LONG VARCHAR); INSERT INTO t(v) VALUES (1), ('1'), (1.5), (NULL)";
    mixed_types_beside_each_other_survive: "t", "v" => "w",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v, i INT, r REAL, s TEXT, b BLOB, n NUMERIC);
         INSERT INTO t VALUES (1, 1, 1, 1, 1, 1, 1), (2, '1', '1', '1', '1', '1', '1'), (3, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0), (4, x'', x'', x'', x'', x'', x'')";
    text_that_is_no_text_survives: "t", "v" => "w",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t(v) VALUES (CAST(x'ff00fe' AS TEXT)), (CAST(x'c328' AS TEXT))";
    a_large_value_survives: "t", "v" => "w",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t(v) VALUES (zeroblob(5000000)), (hex(zeroblob(2500000)))";
    an_empty_table_survives: "t", "v" => "w", "CREATE TABLE t(v NOT NULL UNIQUE)";
    a_table_of_one_row_survives: "t", "v" => "w", "CREATE TABLE t(v); INSERT INTO t(rowid, v) VALUES (-7, 'x')";
    a_table_of_one_column_survives: "t", "v" => "w", "CREATE TABLE t(v); INSERT INTO t VALUES (1), (NULL), ('x')";
    rowids_with_gaps_survive: "t", "v" => "w",
        "CREATE TABLE t(v); INSERT INTO t(rowid, v) VALUES (9223372036854775807, 'last'), (-9223372036854775808, 'first'), (0, NULL), (17, 'x'), (-1, 'y')";
    a_table_with_a_column_called_rowid_survives: "t", "v" => "w",
        "CREATE TABLE t(rowid TEXT, v); INSERT INTO t(oid, rowid, v) VALUES (7, 'r', 'a'), (9, 's', 'b'), (4, NULL, NULL)";
    a_table_with_two_names_of_the_rowid_taken_survives: "t", "v" => "w",
        "CREATE TABLE t(RowId, v, _rowid_); INSERT INTO t(oid, v) VALUES (7, 'a'), (9, 'b'), (4, NULL)";
    a_column_called_rowid_can_be_renamed_where_there_is_no_rowid: "t", "rowid" => "oid",
        "CREATE TABLE t(rowid PRIMARY KEY, v) WITHOUT ROWID; CREATE VIEW x AS SELECT rowid FROM t; INSERT INTO t(rowid, v) VALUES ('r', 'a'), ('s', 'b')";
    an_integer_primary_key_called_oid_survives: "t", "v" => "w",
        "CREATE TABLE t(oid INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (7, 'a'), (9, 'b')";
    added_columns_with_defaults_survive: "t", "v" => "w",
        "CREATE TABLE t(v TEXT); INSERT INTO t VALUES ('a'), ('b'); ALTER TABLE t ADD COLUMN later INT DEFAULT 7; ALTER TABLE t ADD COLUMN b TEXT NOT NULL DEFAULT 'x'";
    an_added_column_can_be_renamed: "t", "later" => "w",
        "CREATE TABLE t(v TEXT); INSERT INTO t VALUES ('a'), ('b'); ALTER TABLE t ADD COLUMN later INT DEFAULT 7; INSERT INTO t VALUES ('c', NULL)";
    a_hundred_columns_survive: "t", "c50" => "w",
        format!(
            "CREATE TABLE t({}); INSERT INTO t DEFAULT VALUES; INSERT INTO t(c50) VALUES ('x'), (3)",
            (0..100).map(|n| format!("c{n} DEFAULT {n}")).collect::<Vec<_>>().join(", ")
        );
    two_hundred_tables_survive: "t7", "name" => "full_name",
        (0..200).map(|n| format!("CREATE TABLE t{n}(name TEXT UNIQUE, up REFERENCES t7(name)); INSERT INTO t{n} VALUES ('n{n}', NULL);")).collect::<String>();
    a_hundred_tables_with_triggers_survive: "t7", "name" => "full_name",
        (0..100).map(|n| format!(
            "CREATE TABLE t{n}(id INTEGER PRIMARY KEY, name TEXT UNIQUE, up REFERENCES t7(id)); CREATE INDEX i{n} ON t{n}(name);
             CREATE VIEW v{n} AS SELECT id, name FROM t{n};
             CREATE TRIGGER g{n} AFTER UPDATE OF name ON t{n} BEGIN UPDATE t{n} SET up = NEW.id WHERE name = NEW.name; END;"
        )).collect::<String>();
    many_batches_survive: "t", "v" => "w",
        "CREATE TABLE t(k, l COLLATE NOCASE, v, PRIMARY KEY(k, l DESC)) WITHOUT ROWID;
         WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 200)
         INSERT INTO t SELECT i % 7, char(65 + i / 7), CASE i % 3 WHEN 0 THEN NULL ELSE i END FROM n";
}

// Files.

/// A table with most of what a table can have, and rows.
const USERS: &str = "
    CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE CHECK(name <> ''), born REAL, boss REFERENCES users(id));
    CREATE INDEX by_name ON users(name COLLATE NOCASE DESC) WHERE born > 1900;
    CREATE VIEW names AS SELECT name, born FROM users;
    CREATE TRIGGER born AFTER UPDATE OF name ON users WHEN NEW.name = 'x' BEGIN UPDATE users SET born = 1 WHERE name = NEW.name; END;
    INSERT INTO users(id, name, born, boss) VALUES (1, 'Ada', 1815, NULL), (2, 'Grace', 1906.5, 1), (40, 'größe 🦀', NULL, 2), (3, 'Alan', 1912, 1);";

survive! {
    statistics_survive: "users", "name" => "full_name", format!("{USERS} CREATE TABLE o(a UNIQUE); INSERT INTO o VALUES (1), (2); ANALYZE");
    statistics_that_know_nothing_of_it_survive: "users", "name" => "full_name", format!("{USERS} CREATE TABLE o(a UNIQUE); INSERT INTO o VALUES (1), (2); ANALYZE o");
    write_ahead_logs_survive: "users", "name" => "full_name", format!("PRAGMA journal_mode = WAL; {USERS}");
    rollback_journals_survive: "users", "name" => "full_name", format!("PRAGMA journal_mode = DELETE; {USERS}");
    utf_16_le_survives: "users", "name" => "full_name", format!("PRAGMA encoding = 'UTF-16le'; {USERS}");
    utf_16_be_survives: "users", "name" => "full_name", format!("PRAGMA encoding = 'UTF-16be'; {USERS} ANALYZE");
    utf_16_keys_survive: "t", "name" => "full_name",
        "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t(a TEXT, b TEXT COLLATE NOCASE, name, PRIMARY KEY(a DESC, b)) WITHOUT ROWID;
         INSERT INTO t VALUES ('ä', 'x', 1), ('ä', 'Y', 2), ('🦀', 'x', 3), ('ﬀ', 'x', 4), ('', 'x', 5)";
    full_auto_vacuum_survives: "users", "name" => "full_name", format!("PRAGMA auto_vacuum = FULL; {USERS}");
    incremental_auto_vacuum_survives: "users", "name" => "full_name",
        format!("PRAGMA auto_vacuum = INCREMENTAL; {USERS} CREATE TABLE gone(a); INSERT INTO gone VALUES (zeroblob(90000)); DROP TABLE gone");
    application_and_user_version_survive: "users", "name" => "full_name", format!("PRAGMA application_id = 77; PRAGMA user_version = -3; {USERS}");
    secure_delete_and_foreign_keys_survive: "users", "name" => "full_name", format!("PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; {USERS}");
}

#[test]
fn every_page_size_survives() {
    for exponent in 9..=16 {
        let file = File::of(&format!(
            "PRAGMA page_size = {}; {USERS} UPDATE users SET name = name || hex(zeroblob(700))",
            1 << exponent
        ));
        survives(&file, change("users", "name", "full_name"));
    }
}

#[test]
fn a_reader_sees_the_old_file_throughout() {
    let original = File::of(&format!("PRAGMA journal_mode = WAL; {USERS}"));
    let file = original.copy();
    let reader = file.application();
    let names = |sql: &str| -> Vec<String> {
        let mut statement = reader.prepare(sql).unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        names.collect::<rusqlite::Result<_>>().unwrap()
    };
    reader.execute_batch("BEGIN").unwrap();
    let before = names("SELECT name FROM users ORDER BY id");
    let change = change("users", "name", "full_name");
    change.run(&file).unwrap();
    assert_eq!(names("SELECT name FROM users ORDER BY id"), before);
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(names("SELECT full_name FROM users ORDER BY id"), before);
    drop(reader);
    assert_eq!(differences_from_sqlites(&original, &file, change), [""; 0]);
}

#[test]
fn an_abort_leaves_a_reader_its_file_too() {
    let file = File::of(&format!("PRAGMA journal_mode = WAL; {USERS}"));
    let before = Portrait::of(&file);
    let reader = file.application();
    let count = || {
        reader.query_row("SELECT count(name) FROM users", [], |row| {
            row.get::<_, i64>(0)
        })
    };
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(count(), Ok(4));
    let change = change("users", "name", "full_name");
    change.expand(&file).unwrap();
    change.migrate_data(&file).unwrap();
    change.abort(&file).unwrap();
    assert_eq!(count(), Ok(4));
    reader.execute_batch("COMMIT").unwrap();
    drop(reader);
    assert_eq!(differences_since(&before, &file), [""; 0]);
}

// Virtual tables elsewhere in the file.

survive! {
    a_full_text_index_of_its_own_content_survives: "users", "name" => "full_name",
        format!("{USERS} CREATE VIRTUAL TABLE search USING fts5(name, full_name); INSERT INTO search SELECT name, 'x' FROM users;
                 CREATE TRIGGER indexed AFTER INSERT ON users BEGIN INSERT INTO search(name, full_name) VALUES (NEW.name, 'x'); END");
    a_contentless_full_text_index_survives: "users", "name" => "full_name",
        format!("{USERS} CREATE VIRTUAL TABLE search USING fts5(name, content=''); INSERT INTO search(rowid, name) SELECT id, name FROM users");
    an_old_full_text_index_survives: "users", "name" => "full_name",
        format!("{USERS} CREATE VIRTUAL TABLE search USING fts4(name); INSERT INTO search(name) SELECT name FROM users");
    an_r_tree_survives: "users", "name" => "full_name",
        format!("{USERS} CREATE VIRTUAL TABLE area USING rtree(id, x0, x1, +name); INSERT INTO area VALUES (1, 0.0, 1.5, 'name'), (2, -1, 7, NULL);
                 CREATE VIEW placed AS SELECT area.name, users.name AS who FROM area JOIN users USING (id)");
    an_unloaded_module_survives: "users", "name" => "full_name",
        format!("{USERS} PRAGMA writable_schema = ON;
                 INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES ('table', 'far', 'far', 0, 'CREATE VIRTUAL TABLE far USING unheard_of(name)');
                 PRAGMA writable_schema = RESET");
}

// What only the application knows.

fn shout(connection: &Connection) {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection
        .create_scalar_function("shout", -1, flags, |context| {
            context
                .get::<Option<String>>(0)
                .map(|text| text.map(|text| text.to_uppercase() + "!"))
        })
        .unwrap();
    connection
        .create_collation("backwards", |one, other| other.cmp(one))
        .unwrap();
}

#[test]
fn a_view_with_the_applications_function_survives() {
    let file = File::known_to(
        shout,
        &format!(
            "{USERS} CREATE VIEW loud AS SELECT shout(name), name FROM users WHERE shout(users.name, 1) <> 'name' ORDER BY name COLLATE backwards"
        ),
    );
    survives(&file, change("users", "name", "full_name"));
    let changed = file.copy();
    change("users", "name", "full_name").run(&changed).unwrap();
    assert!(
        changed.text("loud").contains("shout(users.full_name, 1)"),
        "{}",
        changed.text("loud")
    );
}

#[test]
fn a_trigger_with_the_applications_function_survives() {
    let file = File::known_to(
        shout,
        &format!(
            "{USERS} CREATE TRIGGER loud AFTER INSERT ON users WHEN shout(NEW.name) <> 'X!' BEGIN
                 UPDATE users SET name = shout(name) WHERE id = NEW.id AND name COLLATE backwards > 'a'; END"
        ),
    );
    survives(&file, change("users", "name", "full_name"));
    let changed = file.copy();
    change("users", "name", "full_name").run(&changed).unwrap();
    assert!(
        changed
            .text("loud")
            .contains("SET full_name = shout(full_name)"),
        "{}",
        changed.text("loud")
    );
}

#[test]
fn an_unknown_function_or_collation_in_the_table_is_refused() {
    for sql in [
        "CREATE TABLE t(name TEXT CHECK(shout(name) <> 'X!'))",
        "CREATE TABLE t(name TEXT, b CHECK(shout(b) IS NOT 'x'))",
        "CREATE TABLE t(name TEXT); CREATE INDEX i ON t(shout(name))",
        "CREATE TABLE t(name TEXT, b); CREATE INDEX i ON t(b) WHERE shout(b) > 'a'",
        "CREATE TABLE t(name TEXT, b AS (shout(name)))",
        "CREATE TABLE t(name TEXT, b AS (shout(name)) STORED)",
        "CREATE TABLE t(name TEXT, b COLLATE backwards UNIQUE)",
        "CREATE TABLE t(name TEXT COLLATE backwards)",
        "CREATE TABLE t(name TEXT); CREATE INDEX i ON t(name COLLATE backwards)",
        "CREATE TABLE t(name TEXT, k, PRIMARY KEY(k COLLATE backwards)) WITHOUT ROWID",
        "CREATE TABLE t(name TEXT CHECK(name COLLATE backwards <> 'X!'))",
    ] {
        let file = File::known_to(shout, sql);
        for change in [
            change("t", "name", "full_name"),
            change("t", "name", "full_name").untold(),
        ] {
            let error = refusal_of(&file, change);
            assert_eq!(error.code(), Code::NotSupported, "{sql}: {error}");
            let text = error.to_string();
            assert!(
                text.contains("shout") || text.contains("backwards"),
                "{sql}: {text}"
            );
        }
    }
}

// Refusals.

refuse! {
    a_natural_join_on_the_column_is_refused: "t", "name" => "full_name", PreconditionFailed, ["view `v`"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE o(name, x); CREATE VIEW v AS SELECT t.id, o.x FROM t NATURAL JOIN o";
    a_natural_join_that_the_new_name_would_change_is_refused: "t", "name" => "full_name", PreconditionFailed, ["view `v`", "full_name"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE o(id, full_name); CREATE VIEW v AS SELECT t.id FROM t NATURAL JOIN o";
    a_join_using_the_column_is_refused: "t", "name" => "full_name", PreconditionFailed, ["view `v`"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE o(name, x); CREATE VIEW v AS SELECT t.id, o.x FROM t JOIN o USING (name)";
    a_join_using_the_column_in_a_trigger_is_refused: "t", "name" => "full_name", PreconditionFailed, ["trigger `r`"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE o(name, x); CREATE TABLE log(x);
         CREATE TRIGGER r AFTER INSERT ON log BEGIN INSERT INTO log SELECT o.x FROM t JOIN o USING (name); END";
    a_join_using_that_the_new_column_would_take_over_is_refused: "t", "name" => "full_name", PreconditionFailed, ["view `v`", "full_name"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE o(id, full_name); CREATE TABLE p(full_name, x);
         CREATE VIEW v AS SELECT p.x FROM t JOIN o ON t.id = o.id JOIN p USING (full_name)";
    a_join_using_that_another_column_would_take_over_is_refused: "t", "name" => "full_name", PreconditionFailed, ["view `v`"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE o(id, name); CREATE TABLE p(name, x);
         CREATE VIEW v AS SELECT p.x FROM t JOIN o ON t.id = o.id JOIN p USING (name)";
    a_view_on_a_function_that_makes_a_table_is_refused: "t", "name" => "full_name", PreconditionFailed, ["view `v`", "cannot be judged", "numbers"],
        "CREATE TABLE t(name TEXT); CREATE VIEW v AS SELECT t.name, value FROM t, numbers(1, 2)";
    a_view_on_an_unloaded_module_is_refused: "t", "name" => "full_name", PreconditionFailed, ["view `v`", "no such module"],
        "CREATE TABLE t(name TEXT); PRAGMA writable_schema = ON;
         INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES ('table', 'far', 'far', 0, 'CREATE VIRTUAL TABLE far USING unheard_of(x)');
         PRAGMA writable_schema = RESET; CREATE VIEW v AS SELECT t.name, far.x FROM t JOIN far";
    a_natural_join_in_a_trigger_is_refused: "t", "name" => "full_name", PreconditionFailed, ["trigger `r`"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE o(name, x); CREATE TABLE log(x);
         CREATE TRIGGER r AFTER INSERT ON log BEGIN INSERT INTO log SELECT o.x FROM t NATURAL LEFT JOIN o; END";
    a_natural_join_of_a_view_with_a_star_is_refused: "t", "name" => "full_name", PreconditionFailed, ["view `v`"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE o(name, x); CREATE VIEW star AS SELECT * FROM t; CREATE VIEW v AS SELECT o.x FROM o NATURAL JOIN star";
    a_natural_join_of_the_table_with_itself_is_refused: "t", "name" => "full_name", PreconditionFailed, ["view `v`", "full_name"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE VIEW v AS SELECT t.id FROM t NATURAL JOIN t AS u";
    a_natural_join_with_a_subquery_is_refused: "t", "name" => "full_name", PreconditionFailed, ["view `v`", "full_name"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE VIEW v AS SELECT t.id FROM t NATURAL JOIN (SELECT 1 AS id, 2 AS full_name) AS s";
    a_name_that_passes_through_a_subquery_is_refused: "t", "name" => "full_name", PreconditionFailed, ["view `v`", "view `w`"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE VIEW v AS SELECT name FROM (SELECT name FROM t);
         CREATE VIEW w AS WITH c AS (SELECT name FROM t) SELECT c.name FROM c";
    a_full_text_index_over_the_tables_column_is_refused: "t", "name" => "full_name", PreconditionFailed, ["table `search`"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE VIRTUAL TABLE search USING fts5(name, content='t', content_rowid='id')";
    an_old_full_text_index_over_the_tables_column_is_refused: "t", "name" => "full_name", PreconditionFailed, ["table `search`"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE VIRTUAL TABLE search USING fts4(name, content='t')";
    a_view_that_reads_the_old_name_through_a_star_is_refused: "t", "name" => "full_name", PreconditionFailed, ["view `reader`"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE VIEW star AS SELECT * FROM t; CREATE VIEW reader AS SELECT name FROM star";
    a_trigger_that_reads_the_old_name_through_a_star_is_refused: "t", "name" => "full_name", PreconditionFailed, ["trigger `r`"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE VIEW star AS SELECT * FROM t; CREATE TABLE log(x);
         CREATE TRIGGER r AFTER INSERT ON log BEGIN UPDATE log SET x = (SELECT max(name) FROM star); END";
    a_string_that_equals_the_new_name_is_refused: "t", "name" => "full_name", PreconditionFailed, ["view `v`", "trigger `r`", "full_name"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE log(x); CREATE VIEW v AS SELECT \"full_name\" AS x FROM t;
         CREATE VIEW fine AS SELECT 'full_name' AS x, \"other\" AS y FROM t;
         CREATE TRIGGER r AFTER INSERT ON log BEGIN UPDATE t SET name = \"full_name\"; END";
    a_string_in_the_tables_own_check_that_equals_the_new_name_is_refused: "t", "name" => "full_name", PreconditionFailed, ["table `t`", "full_name"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, CHECK(name <> \"full_name\"))";
    a_string_in_an_index_that_equals_the_new_name_is_refused: "t", "name" => "full_name", PreconditionFailed, ["index `i`", "full_name"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE INDEX i ON t(id) WHERE name > \"full_name\"";
    an_outer_column_that_the_new_one_would_hide_is_refused: "t", "name" => "full_name", PreconditionFailed, ["view `v`", "full_name"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE o(full_name); CREATE VIEW v AS SELECT (SELECT count(*) FROM t WHERE full_name = name) FROM o";
    an_ambiguous_name_is_refused: "t", "name" => "full_name", PreconditionFailed, ["view `v`"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE o(full_name); CREATE VIEW v AS SELECT full_name FROM t, o";
    an_insert_without_columns_in_a_trigger_is_refused: "t", "name" => "full_name", PreconditionFailed, ["trigger `r`"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE log(x); CREATE TRIGGER r AFTER INSERT ON log BEGIN INSERT INTO t VALUES (NEW.x, 'n'); END";
    a_union_with_a_star_is_refused: "t", "name" => "full_name", PreconditionFailed, ["view `v`"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE VIEW v AS SELECT * FROM t UNION ALL SELECT 1, 'x'";
    a_star_in_front_of_other_columns_is_refused: "t", "name" => "full_name", PreconditionFailed, ["view `v`"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE VIEW v AS SELECT *, 1 AS one FROM t";
    a_generated_column_is_refused_as_source: "t", "name" => "full_name", NotSupported, ["generated", "name"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, b, name AS (upper(b)))";
    a_stored_column_is_refused_as_source: "t", "name" => "full_name", NotSupported, ["generated", "name"],
        "CREATE TABLE t(id INTEGER PRIMARY KEY, b, name AS (upper(b)) STORED)";
    a_table_with_all_names_of_the_rowid_taken_is_refused: "t", "v" => "w", NotSupported, ["cannot be told apart", "rowid"],
        "CREATE TABLE t(rowid, _rowid_, oid, v UNIQUE); INSERT INTO t VALUES (3, 1, 2, 'a'), (1, 2, 3, NULL), (2, 3, 1, 'c')";
    a_name_of_the_rowid_is_refused_as_source: "t", "oid" => "name", NotSupported, ["oid"], "CREATE TABLE t(oid)";
    a_name_of_the_rowid_is_refused: "t", "name" => "rowid", NotSupported, ["rowid"],
        "CREATE TABLE t(name TEXT); INSERT INTO t VALUES ('a')";
    a_column_that_is_there_is_refused: "t", "name" => "B", AlreadyExists, ["already has a column"],
        "CREATE TABLE t(name TEXT, b)";
    a_missing_column_is_refused: "t", "nam" => "b", DoesNotExist, ["has no column `nam`"], "CREATE TABLE t(name TEXT)";
    a_missing_table_is_refused: "u", "name" => "b", DoesNotExist, ["no table `u`"], "CREATE TABLE t(name TEXT)";
    a_view_is_refused: "v", "name" => "b", NotSupported, ["a view"], "CREATE TABLE t(name TEXT); CREATE VIEW v AS SELECT name FROM t";
    a_virtual_table_is_refused: "f", "name" => "b", NotSupported, ["a virtual table"], "CREATE VIRTUAL TABLE f USING fts5(name)";
    a_shadow_table_is_refused: "f_content", "c0" => "b", NotSupported, ["part of a virtual table"], "CREATE VIRTUAL TABLE f USING fts5(name)";
    a_table_of_sqlites_is_refused: "sqlite_sequence", "name" => "b", NotSupported, ["SQLite's own"], "CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT)";
}

#[test]
fn a_generated_column_is_refused_by_migrate_data() {
    for stored in ["", "STORED"] {
        let sql = format!(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, b, name AS (upper(b)) {stored}); INSERT INTO t(b) VALUES ('x')"
        );
        let error = refusal_of_migrate_data(&File::of(&sql), change("t", "name", "full_name"));
        speaks(&error, Code::NotSupported, &["generated", "name"]);
    }
}

#[test]
fn an_object_that_names_both_columns_is_refused_by_migrate_data() {
    for object in [
        "CREATE VIEW v AS SELECT name, full_name FROM t",
        "CREATE INDEX v ON t(name, full_name)",
        "CREATE TRIGGER v AFTER UPDATE OF name ON t BEGIN UPDATE t SET full_name = NEW.name WHERE id = NEW.id; END",
        "CREATE TRIGGER v AFTER INSERT ON log BEGIN INSERT INTO log SELECT coalesce(full_name, name) FROM t; END",
    ] {
        let file = File::of(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE log(x); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
        );
        let change = change("t", "name", "full_name");
        change.expand(&file).unwrap();
        file.execute(object);
        let before = Portrait::of(&file);
        let error = change.migrate_data(&file).expect_err(object);
        speaks(
            &error,
            Code::PreconditionFailed,
            &["`v`", "`name`", "`full_name`"],
        );
        assert_eq!(differences_since(&before, &file), [""; 0]);
    }
}

#[test]
fn what_contract_would_refuse_is_refused_by_migrate_data_where_expand_could_not_know() {
    for (objects, named) in [
        (
            "CREATE VIEW v AS SELECT t.id FROM t NATURAL JOIN o",
            "view `v`",
        ),
        (
            "CREATE VIEW v AS SELECT t.id FROM t JOIN o USING (name)",
            "view `v`",
        ),
        (
            "CREATE VIRTUAL TABLE v USING fts5(name, content='t', content_rowid='id')",
            "table `v`",
        ),
        (
            "CREATE VIEW star AS SELECT * FROM t; CREATE VIEW v AS SELECT name FROM star",
            "view `v`",
        ),
    ] {
        let sql = format!(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE o(name); INSERT INTO t VALUES (1, 'a'); {objects}"
        );
        let error = refusal_of_migrate_data(&File::of(&sql), change("t", "name", "full_name"));
        speaks(&error, Code::PreconditionFailed, &[named]);
    }
}

#[test]
fn a_captured_string_is_let_through_where_breaks_are_allowed() {
    let file = File::of(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE VIEW v AS SELECT \"full_name\" AS x FROM t; INSERT INTO t VALUES (1, 'a')",
    );
    let change = change("t", "name", "full_name").untold().allowing_breaks();
    change.expand(&file).unwrap();
}

#[test]
fn a_view_with_a_star_is_warned_of() {
    let file = File::of(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT); CREATE VIEW star AS SELECT * FROM t; CREATE VIEW fine AS SELECT id, name FROM t",
    );
    for change in [
        change("t", "name", "full_name"),
        change("t", "name", "full_name").untold(),
    ] {
        let bytes = file.bytes();
        let warnings = warnings_of_expand(&file, change);
        assert!(file.bytes() == bytes);
        let of_the_star = warnings
            .iter()
            .filter(|warning| warning.contains("view `star`"));
        assert!(
            of_the_star
                .clone()
                .all(|warning| warning.contains("`full_name`"))
        );
        assert_eq!(of_the_star.count(), 1, "{warnings:?}");
        assert!(
            !warnings
                .iter()
                .any(|warning| warning.contains("view `fine`")),
            "{warnings:?}"
        );
    }
}
