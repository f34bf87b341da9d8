//! What a unique index needs besides: rows that share a key of it, while it is built and by the time that it is in its place.
//!
//! The entries are read in short reads, one after the other, so that two rows may seem to share a key that one gives up and the
//! other takes meanwhile. They are set aside, and looked at again where they are read at one moment.

use crate::database::{ForeignKeys, Statement};
use crate::name::Name;
use crate::schema::Key;

use super::delta::Delta;
use super::index_side::Side;
use super::path::Path;
use super::sweep::Sweep;
use super::{Expect, Stage, Step, Transaction};

impl Side<'_> {
    /// Takes the entries out that share their key with the one before.
    pub(super) fn set_aside(&self) -> [Step; 2] {
        let (ordered, twice) = (self.name("ordered"), self.name("twice"));
        let same = self.terms().map(|(at, collation)| {
            format!("one.entry_{at} COLLATE {collation} = other.entry_{at}")
        });
        let keys = self.keys().into_iter();
        let keys = keys.map(|key| format!("other.{key}, one.{key} AS with_{key}"));
        let find = format!(
            "CREATE TEMP TABLE {twice} AS SELECT other.place, {} FROM {ordered} AS one \
             JOIN {ordered} AS other ON other.place = one.place + 1 WHERE {}",
            keys.collect::<Vec<_>>().join(", "),
            same.collect::<Vec<_>>().join(" AND ")
        );
        let remove = format!("DELETE FROM {ordered} WHERE place IN (SELECT place FROM {twice})");
        [
            Step::run("rows that seem to share a key", Statement::new(find)),
            Step::run("are looked at again, in the end", Statement::new(remove)),
        ]
    }

    /// Looks whether they share their keys with those before them in the table too, where both are read at one moment: then the
    /// index cannot be made, and there may be very many of them.
    pub(super) fn really_twice(&self) -> Sweep {
        let twice = self.name("twice");
        let path = Path {
            table: twice.clone(),
            key: Key::Rowid {
                name: Name::from("rowid"),
                hidden: true,
            },
        };
        let keys = self.keys();
        let live = self.copying().live;
        let names = live.key_names();
        let shown = keys.iter().zip(&names);
        let shown: Vec<String> = shown
            .map(|(key, name)| format!("twice.{key} AS {name}"))
            .collect();
        let row_of = |what: &str| -> String {
            let columns = live.compared().into_iter().zip(&keys);
            let found = columns.map(|(column, key)| format!("{column} = twice.{what}{key}"));
            let conditions: Vec<String> = found.chain(self.entries.condition.clone()).collect();
            conditions.join(" AND ")
        };
        let table = &self.table.name;
        let same = self.entries.fields.iter().filter(|it| it.is_term);
        let same: Vec<String> = same
            .map(|field| {
                let read = |what| {
                    format!(
                        "(SELECT {} FROM {table} WHERE {})",
                        field.value,
                        row_of(what)
                    )
                };
                let (one, other) = (read("with_"), read(""));
                format!("{one} COLLATE {} = {other}", field.collation)
            })
            .collect();
        Sweep {
            purpose: "look whether they do in the table".to_owned(),
            path,
            head: format!("SELECT {} FROM (SELECT * FROM {twice}", shown.join(", ")),
            condition: "TRUE".to_owned(),
            tail: format!(") AS twice WHERE {}", same.join(" AND ")),
            expect: Expect::Distinct {
                index: self.entries.index.name.clone(),
            },
        }
    }

    /// Has those rows be brought up to date like all that are written meanwhile.
    pub(super) fn note_twice(&self, delta: &Delta) -> Stage {
        Stage::Once(Transaction {
            purpose: "look at rows again that seem to share a key".to_owned(),
            foreign_keys: ForeignKeys::Off,
            steps: vec![delta.note_all(&self.name("twice"))],
            outcome: None,
        })
    }

    /// A table for the keys of rows that share their key of the index with another by the time they come.
    pub(super) fn make_doubtful(&self) -> Step {
        let (doubtful, keys) = (self.name("doubtful"), self.keys().join(", "));
        Step::run(
            "rows that share a key for now",
            Statement::new(format!("CREATE TEMP TABLE {doubtful} ({keys})")),
        )
    }

    /// Puts the row that has just come there, if it does.
    pub(super) fn doubt_new(&self) -> String {
        let keys = self.keys().into_iter();
        let keys: Vec<String> = keys.map(|it| format!("NEW.{it}")).collect();
        format!(
            "INSERT INTO {} SELECT {} WHERE {}",
            self.name("doubtful"),
            keys.join(", "),
            self.is_shared("NEW")
        )
    }

    /// No two rows share a key, among those that did when they were looked at.
    pub(super) fn no_row_is_doubtful(&self) -> Step {
        let (keys, known) = (self.keys(), self.name("known"));
        let live = self.copying().live;
        let shown = keys.iter().zip(live.key_names());
        let shown: Vec<String> = shown
            .map(|(key, name)| format!("{key} AS {name}"))
            .collect();
        Step::expecting(
            "no two rows share a key of the index",
            Statement::new(format!(
                "SELECT DISTINCT {} FROM {} AS doubtful JOIN {known} AS known USING ({}) WHERE {}",
                shown.join(", "),
                self.name("doubtful"),
                keys.join(", "),
                self.is_shared("known")
            )),
            Expect::Distinct {
                index: self.entries.index.name.clone(),
            },
        )
    }

    /// The condition under which the b-tree has another entry with the key of a row.
    fn is_shared(&self, row: &str) -> String {
        let same = self.terms();
        let same: Vec<String> = same
            .map(|(at, _)| format!("entry_{at} = {row}.entry_{at}"))
            .collect();
        format!(
            "(SELECT count(*) FROM (SELECT 1 FROM {} WHERE {} LIMIT 2)) = 2",
            self.name("imposter"),
            same.join(" AND ")
        )
    }

    /// The terms of the index: where each stands in an entry, and how it is compared.
    fn terms(&self) -> impl Iterator<Item = (usize, &Name)> {
        let fields = (1..).zip(&self.entries.fields);
        let terms = fields.filter(|(_, field)| field.is_term);
        terms.map(|(at, field)| (at, &field.collation))
    }
}
