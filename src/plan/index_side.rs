//! What is beside the table while one index of it is built: the table that its b-tree comes from, and the temporary tables that
//! say what the index holds of each row, by the row's key and in the order of the index.

use std::iter;

use rusqlite::types::Value;

use crate::database::{ForeignKeys, Imposter, Memory, Statement};
use crate::name::Name;
use crate::schema::{Entries, Field, Key, KeyColumn, Table};

use super::comparison::comparison;
use super::copying::Copying;
use super::delta::Delta;
use super::ours::{entries_name, name, numbered};
use super::path::Path;
use super::sweep::Sweep;
use super::walk::{Walk, Work};
use super::{Expect, Gather, Scratch, Stage, Step};

/// How many rows are looked up by a new index before it is trusted.
const SAMPLE: u32 = 100;

/// What is beside the table for one index.
pub(super) struct Side<'a> {
    /// The number of the change.
    pub(super) change: i64,
    /// Which of its indexes it is, from 1 on.
    pub(super) n: usize,
    pub(super) table: &'a Table,
    /// What the index will hold.
    pub(super) entries: &'a Entries,
}

/// Where SQLite keeps what it needs to take back what happens to temporary tables.
fn keep_journal(why: &str, place: &str) -> Step {
    Step::run(
        why,
        Statement::new(format!("PRAGMA temp.journal_mode = {place}")),
    )
}

impl Side<'_> {
    /// The table whose b-tree becomes the index's.
    pub(super) fn make(&self) -> Step {
        Step::run(
            "a table whose rows are what the index will hold, to the byte",
            Statement::new(self.entries.table_text(&self.holder())),
        )
    }

    /// The entries of all rows, as they are read and then as the index orders them, in its b-tree.
    pub(super) fn fill(&self, delta: &Delta) -> Vec<Stage> {
        let imposter = Imposter {
            of: self.holder(),
            text: self.entries.table_text(&self.name("imposter")),
        };
        let scratch = |purpose: &str, steps| {
            Stage::Scratch(Scratch {
                purpose: purpose.to_owned(),
                steps,
            })
        };
        let mut stages = vec![
            scratch("a temporary table for what the index holds of each row", {
                let mut steps = self.tidy();
                steps.push(self.make_known());
                steps
            }),
            Stage::Gather(Box::new(Gather {
                purpose: "read what the index holds of each row, in short reads".to_owned(),
                copying: self.copying(),
            })),
            scratch("sort it", self.sort()),
        ];
        if self.entries.is_unique {
            stages.push(Stage::Sweep(self.really_twice()));
            stages.push(self.note_twice(delta));
        }
        stages.push(Stage::Imposter(imposter));
        stages.push(Stage::Batches(Box::new(self.walk(delta))));
        stages.push(scratch(
            "from here on the entries follow what is known of the rows",
            self.follow(),
        ));
        stages
    }

    /// Whether what is known of the rows is what they hold.
    pub(super) fn compare(&self, delta: &Delta) -> [Sweep; 2] {
        comparison(&self.copying(), delta)
    }

    /// Puts the b-tree into the place of the index. Its row stands behind its table's, as SQLite wants it.
    pub(super) fn place(&self) -> [Step; 2] {
        let index = &self.entries.index;
        let text = |text: &str| Value::Text(text.to_owned());
        let holder = self.holder();
        [
            Step::expecting(
                format!("{} is this b-tree", index.spoken()),
                Statement::with(
                    "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) \
                     SELECT 'index', ?1, ?2, rootpage, ?3 FROM sqlite_schema WHERE type = 'table' AND name = ?4",
                    [
                        text(index.name.as_str()),
                        text(index.table.as_str()),
                        text(index.sql.as_deref().unwrap_or_default()),
                        text(holder.as_str()),
                    ],
                ),
                Expect::Changes(1),
            ),
            Step::expecting(
                "and no table any more",
                Statement::with(
                    "DELETE FROM sqlite_schema WHERE type = 'table' AND name = ?1",
                    [text(holder.as_str())],
                ),
                Expect::Changes(1),
            ),
        ]
    }

    /// Looks up some rows by the index.
    pub(super) fn sample(&self) -> Step {
        let fields = self.entries.fields.iter().zip(1..);
        let mut found: Vec<String> = fields
            .map(|(field, at)| {
                format!(
                    "{} COLLATE {} IS known.entry_{at}",
                    field.value, field.collation
                )
            })
            .collect();
        found.extend(self.entries.condition.clone());
        let (keys, known) = (self.keys(), self.name("known"));
        Step::expecting(
            "some rows, looked up by it",
            Statement::new(format!(
                "SELECT {} FROM {} AS some JOIN {known} AS known USING ({}) \
                 WHERE NOT EXISTS (SELECT 1 FROM {} INDEXED BY {} WHERE {})",
                keys.join(", "),
                self.name("sample"),
                keys.join(", "),
                self.table.name,
                self.entries.index.name,
                found.join(" AND ")
            )),
            Expect::NoRow("an index does not find rows that the table has"),
        )
    }

    fn make_known(&self) -> Step {
        let mut lines = Vec::new();
        let (keys, mut options) = (self.keys(), "");
        match &self.table.key {
            Key::Columns(columns) => {
                let columns = columns.iter().zip(&keys);
                lines.extend(columns.map(|(column, key)| {
                    format!("{key} COLLATE {}", self.collation(&column.name))
                }));
                lines.extend(self.fields());
                lines.push(format!("PRIMARY KEY ({})", keys.join(", ")));
                options = " WITHOUT ROWID";
            }
            Key::Rowid { .. } | Key::None => {
                lines.push("key_1 INTEGER PRIMARY KEY".to_owned());
                lines.extend(self.fields());
            }
        }
        Step::run(
            "by the row's key",
            Statement::new(format!(
                "CREATE TEMP TABLE {} ({}){options}",
                self.name("known"),
                lines.join(", ")
            )),
        )
    }

    /// What brings what is known of the rows up to date.
    pub(super) fn copying(&self) -> Copying {
        let live = Path {
            table: self.table.name.clone(),
            key: self.table.key.clone(),
        };
        let key_column = |(column, key): (&KeyColumn, String)| KeyColumn {
            name: Name::new(key),
            collation: Some(self.collation(&column.name)),
            descending: false,
        };
        let key = match &self.table.key {
            Key::Columns(columns) => {
                Key::Columns(columns.iter().zip(self.keys()).map(key_column).collect())
            }
            Key::Rowid { .. } | Key::None => Key::Rowid {
                name: Name::from("key_1"),
                hidden: false,
            },
        };
        let mut values: Vec<String> = live.key_names().iter().map(ToString::to_string).collect();
        values.extend(self.entries.fields.iter().map(|it| it.value.clone()));
        Copying {
            live,
            shadow: Path {
                table: self.name("known"),
                key,
            },
            columns: self.keys().into_iter().chain(self.fields()).collect(),
            values,
            condition: self.entries.condition.clone(),
        }
    }

    /// The entries in the order of the index. Of those that share the key of a unique one, the first alone.
    fn sort(&self) -> Vec<Step> {
        let (known, ordered) = (self.name("known"), self.name("ordered"));
        let order = self.entries.fields.iter().zip(1..).map(|(field, at)| {
            let direction = if field.descending { " DESC" } else { "" };
            format!("entry_{at} COLLATE {}{direction}", field.collation)
        });
        let columns: Vec<String> = self.fields().chain(self.keys()).collect();
        let columns = columns.join(", ");
        let make = format!("CREATE TEMP TABLE {ordered} (place INTEGER PRIMARY KEY, {columns})");
        let fill = format!(
            "INSERT INTO {ordered} ({columns}) SELECT {columns} FROM {known} ORDER BY {}",
            order.collect::<Vec<_>>().join(", ")
        );
        let mut steps = vec![
            Step::run("a table in the order of the index", Statement::new(make)),
            Step::run("memory for sorting", Memory::Sort.allot()),
            Step::run("every entry", Statement::new(fill)),
            Step::run("and for the page cache again", Memory::Cache.allot()),
        ];
        if self.entries.is_unique {
            steps.extend(self.set_aside());
        }
        steps
    }

    /// The sorted entries into the b-tree.
    fn walk(&self, delta: &Delta) -> Walk {
        let fields: Vec<String> = self.fields().collect();
        let fields = fields.join(", ");
        let ordered = self.name("ordered");
        Walk {
            purpose: "write the sorted entries in batches".to_owned(),
            foreign_keys: ForeignKeys::Off,
            path: Path {
                table: ordered.clone(),
                key: Key::Rowid {
                    name: Name::from("place"),
                    hidden: false,
                },
            },
            left: Vec::new(),
            delta: Some(delta.clone()),
            keeps_cursor: false,
            work: Work::Fill(format!(
                "INSERT INTO {} ({fields}) SELECT {fields} FROM {ordered}",
                self.name("imposter")
            )),
        }
    }

    /// Whatever changes in what is known of the rows, changes in the b-tree.
    fn follow(&self) -> Vec<Step> {
        let (known, imposter) = (self.name("known"), self.name("imposter"));
        let old = self.fields().map(|it| format!("{it} IS OLD.{it}"));
        let new = self.fields().map(|it| format!("NEW.{it}"));
        let mut added = vec![format!(
            "INSERT INTO {imposter} VALUES ({})",
            new.collect::<Vec<_>>().join(", ")
        )];
        let mut steps = vec![Step::expecting(
            "as many entries as were sorted",
            Statement::new(format!(
                "SELECT 1 WHERE (SELECT count(*) FROM {imposter}) <> (SELECT count(*) FROM {})",
                self.name("ordered")
            )),
            Expect::NoRow("the index holds another number of entries than were sorted"),
        )];
        if self.entries.is_unique {
            steps.push(self.make_doubtful());
            added.push(self.doubt_new());
        }
        let trigger = |what: &str, event: &str, statements: &[String]| {
            let sql = format!(
                "CREATE TEMP TRIGGER {} AFTER {event} ON {known} BEGIN {}; END",
                self.name(what),
                statements.join("; ")
            );
            Step::run("the entry goes and comes with it", Statement::new(sql))
        };
        let removed = format!(
            "DELETE FROM {imposter} WHERE {}",
            old.collect::<Vec<_>>().join(" AND ")
        );
        let removed = [removed];
        let changed = [&removed, &added[..]].concat();
        steps.push(trigger("removed", "DELETE", &removed));
        steps.push(trigger("added", "INSERT", &added));
        steps.push(trigger("changed", "UPDATE", &changed));
        steps.push(self.pick_sample());
        steps.push(self.drop_scratch("ordered"));
        steps.push(keep_journal(
            "what a turn may have to take back is little from here on",
            "MEMORY",
        ));
        steps
    }

    fn pick_sample(&self) -> Step {
        let (keys, ordered) = (self.keys().join(", "), self.name("ordered"));
        Step::run(
            "some rows to be looked up in the end",
            Statement::new(format!(
                "CREATE TEMP TABLE {} AS WITH RECURSIVE picks (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM picks WHERE n < {SAMPLE}) \
                 SELECT {keys} FROM {ordered} WHERE place IN \
                 (SELECT 1 + abs(random() % last) FROM picks, (SELECT max(place) AS last FROM {ordered}))",
                self.name("sample")
            )),
        )
    }

    pub(super) fn tidy(&self) -> Vec<Step> {
        let scratch = ["known", "ordered", "twice", "doubtful", "sample"].into_iter();
        let back = keep_journal("as before", "DELETE");
        let dropped = scratch.map(|what| self.drop_scratch(what));
        iter::once(back).chain(dropped).collect()
    }

    fn drop_scratch(&self, what: &str) -> Step {
        Step::run(
            "not needed any more",
            Statement::new(format!("DROP TABLE IF EXISTS temp.{}", self.name(what))),
        )
    }

    pub(super) fn holder(&self) -> Name {
        entries_name(self.change, self.n)
    }

    /// What a temporary table of it is called.
    pub(super) fn name(&self, what: &str) -> Name {
        name(self.change, &format!("{what}_{}", self.n))
    }

    /// The columns of a temporary table that hold the key of a row.
    pub(super) fn keys(&self) -> Vec<String> {
        let width = match &self.table.key {
            Key::Columns(columns) => columns.len(),
            Key::Rowid { .. } | Key::None => 1,
        };
        numbered("key", width).collect()
    }

    /// The columns that hold an entry.
    fn fields(&self) -> impl Iterator<Item = String> + use<> {
        numbered("entry", self.entries.fields.len())
    }

    /// How the key of the table compares a column of it. Every entry holds the column, as the key has it unless a
    /// term of the index has it so.
    fn collation(&self, column: &Name) -> Name {
        let holds = |it: &&Field| it.value == column.to_string();
        let mut fields = self.entries.fields.iter().filter(holds).collect::<Vec<_>>();
        fields.sort_by_key(|it| it.is_term);
        let collation = fields.first().map(|it| it.collation.clone());
        collation.unwrap_or_else(|| Name::from("BINARY"))
    }
}
