//! The online rebuild: the same rebuild in many short transactions, while applications go on writing.
//!
//! The shadow and the delta come first, then the copy in batches with the delta beside it, a comparison of the two
//! tables, and the cutover: one short transaction that brings the last rows up to date and exchanges the two. What the
//! shadow holds then is removed in batches too.

use crate::database::ForeignKeys;
use crate::name::Name;
use crate::schema::{FoundTable, Key, Kind, Object, Schema, Unique};

use super::comparison::comparison;
use super::delta::{Delta, notes};
use super::ours::{belongs_to, drop_one, drop_table};
use super::path::Path;
use super::rebuild::Rebuild;
use super::sweep::Sweep;
use super::walk::{Walk, Work};
use super::{Outcome, Stage, Step, Transaction, schema_rows};

/// How a table is rebuilt.
#[derive(Debug)]
pub enum Way {
    /// In one transaction, once these are gone.
    AtOnce(Leftovers),
    /// In many.
    Online(Box<Online>),
}

/// What an online rebuild has to know besides what is rebuilt.
#[derive(Debug)]
pub struct Online {
    /// The unique keys of the live table.
    pub uniques: Vec<Unique>,
    /// What an earlier rebuild has left in the file.
    pub found: Leftovers,
    /// Whether that cannot be relied on, as rows may stand under other rowids since.
    pub is_stale: bool,
    /// The text of the shadow once it holds the old content.
    pub text_after: String,
    /// The ledger's part in the beginning.
    pub begun: Vec<Step>,
}

/// What online work leaves in the file when it is stopped.
#[derive(Clone, Debug, Default)]
pub struct Leftovers {
    /// The shadow.
    pub shadow: Option<FoundTable>,
    /// The delta.
    pub delta: Option<FoundTable>,
    /// What holds the entries of indexes that are not in their place yet.
    pub entries: Vec<FoundTable>,
}

/// The end of an online rebuild: the last rows of the delta, and the transaction that they are part of.
#[derive(Debug)]
pub struct Cutover {
    /// The delta.
    pub delta: Delta,
    /// What follows once it is empty.
    pub transaction: Transaction,
}

impl Leftovers {
    /// Removes what is there, in batches and in the end; `ours` are triggers and indexes of the change that go first.
    #[must_use]
    pub fn remove(&self, live: &Schema, ours: &[Object]) -> Vec<Stage> {
        let mut stages = self.empty();
        let mut schema = live.clone();
        let (triggers, indexes): (Vec<&Object>, Vec<&Object>) =
            ours.iter().partition(|it| it.kind == Kind::Trigger);
        let mut first: Vec<Step> = triggers.iter().map(|it| drop_one(it)).collect();
        first.extend(self.drop_small());
        if !first.is_empty() {
            schema = schema.without_ours(|it| triggers.contains(&it));
            stages.push(once("nobody notes rows any more", first, &schema));
        }
        // Each by itself, as a larger one takes a while.
        for index in indexes {
            schema = schema.without_ours(|it| it == index);
            stages.push(once(
                "an index of the change goes",
                vec![drop_one(index)],
                &schema,
            ));
        }
        if let Some(shadow) = &self.shadow {
            stages.push(removal(
                "remove the old content in batches",
                &shadow.name,
                shadow.key.clone(),
                Work::Remove,
            ));
            let gone = drop_table("and the empty table", &shadow.name);
            stages.push(once("the rest of it goes", vec![gone], &schema));
        }
        stages
    }

    /// Empties what holds entries of indexes, as many at once as the lock may be held for.
    pub(super) fn empty(&self) -> Vec<Stage> {
        let purpose = "remove in batches what an index was to hold";
        let entries = self.entries.iter();
        // There are entries for NULL among them, so that the key is none to go by.
        let removals = entries.map(|it| {
            let path = Path {
                table: it.name.clone(),
                key: it.key.clone(),
            };
            let columns = path.key_names().into_iter().cloned().collect();
            removal(purpose, &it.name, Key::None, Work::RemoveFirst(columns))
        });
        removals.collect()
    }

    /// Drops what is there besides the shadow, which takes no time to speak of once [`Self::empty`] is through.
    pub(super) fn drop_small(&self) -> Vec<Step> {
        let delta = self.delta.iter();
        let delta = delta.map(|it| drop_table("nor is the delta", &it.name));
        let entries = self.entries.iter();
        let entries = entries.map(|it| drop_table("nor what an index was to hold", &it.name));
        delta.chain(entries).collect()
    }
}

/// Removes the rows of a table, as many at once as the lock may be held for.
fn removal(purpose: &str, table: &Name, key: Key, work: Work) -> Stage {
    Stage::Batches(Box::new(Walk {
        purpose: purpose.to_owned(),
        foreign_keys: ForeignKeys::Off,
        path: Path {
            table: table.clone(),
            key,
        },
        left: Vec::new(),
        delta: None,
        keeps_cursor: false,
        work,
    }))
}

/// Removes what an earlier rebuild has left, and returns the schema that stands then.
pub(super) fn give_up(left: &Leftovers, live: &Schema, change: i64) -> (Vec<Stage>, Schema) {
    let ours = live.ours.iter().filter(|it| notes(change, it));
    let ours: Vec<Object> = ours.cloned().collect();
    let schema = live.clone().without_ours(|it| ours.contains(it));
    (left.remove(live, &ours), schema)
}

fn once(purpose: &str, steps: Vec<Step>, schema: &Schema) -> Stage {
    Stage::Once(Transaction::leading_to(
        schema,
        None,
        purpose,
        ForeignKeys::Off,
        steps,
    ))
}

impl Rebuild<'_> {
    /// The stages of the rebuild, which `records` end. First `settling` brings rows to agree; no row may then fulfil what
    /// `check` looks for.
    pub(super) fn online(
        &self,
        purpose: &str,
        online: Online,
        settling: Option<Walk>,
        check: Option<&Sweep>,
        records: Vec<Step>,
    ) -> Vec<Stage> {
        let copying = self.copying();
        let delta = Delta::new(
            self.change,
            self.table,
            online.uniques,
            vec![copying.clone()],
            check.cloned(),
        );
        let triggers = delta.triggers();
        let is_begun = !online.is_stale
            && settling.is_none()
            && online.found.delta.is_some()
            && online
                .found
                .shadow
                .as_ref()
                .is_some_and(|it| it.text == self.target.shadow.text)
            && triggers.iter().all(|it| self.live.ours.contains(it));
        let mut stages: Vec<Stage> = Vec::new();
        let mut schema = self.live.clone();
        let mut again: fn(Sweep) -> Stage = Stage::Sweep;
        if !is_begun {
            let mut left = self.ours(|it| notes(self.change, it));
            left.extend(self.ours(|it| it.kind == Kind::Index && !self.stays(it)));
            stages.extend(online.found.remove(self.live, &left));
            schema = schema
                .without_ours(|it| left.contains(it))
                .with_ours(triggers);
            if settling.is_none() {
                stages.extend(check.cloned().map(Stage::Sweep));
                again = Stage::SweepAgain;
            }
            stages.extend(settling.map(|it| Stage::Batches(Box::new(it))));
            let mut steps = vec![self.make_shadow()];
            steps.extend(delta.create());
            steps.extend(online.begun);
            stages.push(once(
                "note from here on which rows are written",
                steps,
                &schema,
            ));
        }
        stages.push(Stage::Batches(Box::new(Walk {
            purpose: "copy the rows in batches, and those again that are written meanwhile"
                .to_owned(),
            foreign_keys: ForeignKeys::Off,
            path: copying.live.clone(),
            left: comparison(&copying, &delta).into(),
            delta: Some(delta.clone()),
            keeps_cursor: true,
            work: Work::Copy(copying),
        })));
        stages.extend(check.cloned().map(again));
        let indexes = self.ours(|it| self.stays(it) && !self.leaves.contains(it));
        let after = self.outcome(false);
        let done = after.schema.with_ours(indexes.clone());
        stages.push(Stage::Cutover(Box::new(Cutover {
            transaction: Transaction {
                purpose: purpose.to_owned(),
                foreign_keys: ForeignKeys::Off,
                steps: self.cutover(&delta, &schema, online.text_after, records),
                outcome: Some(Outcome {
                    schema: done.clone(),
                    ..after
                }),
            },
            delta,
        })));
        let old = Leftovers {
            shadow: Some(FoundTable {
                name: self.target.shadow.name.clone(),
                text: String::new(),
                key: self.table.key.clone(),
            }),
            ..Leftovers::default()
        };
        stages.extend(old.remove(&done, &indexes));
        stages
    }

    /// What the change has on the application's tables, as far as it is wanted.
    fn ours(&self, is_wanted: impl Fn(&Object) -> bool) -> Vec<Object> {
        let ours = self.live.ours.iter();
        let ours = ours.filter(|it| belongs_to(self.change, &it.name) && is_wanted(it));
        ours.cloned().collect()
    }

    /// Whether it is an index that the change gave its new column: it takes too long to come or go in the cutover, and is
    /// as good for the table as it is then.
    fn stays(&self, object: &Object) -> bool {
        // What finds a row of a WITHOUT ROWID table is in each of its indexes.
        let has_other_key =
            matches!(self.table.key, Key::Columns(_)) && self.table.key != self.target.table.key;
        object.kind == Kind::Index
            && belongs_to(self.change, &object.name)
            && self.target.table.column(self.new).is_some()
            && !has_other_key
    }

    /// What happens in the cutover, behind the last rows.
    fn cutover(
        &self,
        delta: &Delta,
        begun: &Schema,
        text_after: String,
        records: Vec<Step>,
    ) -> Vec<Step> {
        let ours = begun.ours.iter();
        let ours = ours.filter(|it| belongs_to(self.change, &it.name) && !self.stays(it));
        let mut steps: Vec<Step> = ours.map(drop_one).collect();
        steps.push(delta.drop_table());
        steps.push(schema_rows::open());
        steps.extend(self.exchange());
        steps.push(schema_rows::text(
            Kind::Table,
            &self.target.shadow.name,
            Some(text_after),
            "the old content under a text that fits it",
        ));
        steps.push(schema_rows::close());
        steps.extend(records);
        steps
    }
}
