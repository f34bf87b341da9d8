//! What people should know before a data migration runs, for what stands in the file cannot tell it.

use crate::schema::{Kind, Object, Pair, Schema, Table};

/// How much of the disk work in many transactions takes, in words; `room` is in bytes.
#[must_use]
pub fn takes(room: u64) -> String {
    let most = room.div_ceil(1 << 20);
    format!("meanwhile that takes up to {most} MiB of the disk")
}

/// How a data migration finds the file.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The schema today.
    pub live: &'a Schema,
    /// The table today.
    pub table: &'a Table,
    /// The columns.
    pub pair: &'a Pair,
    /// Whether the file has a write-ahead log.
    pub is_wal: bool,
    /// About how many rows the table has, where that is known without reading them.
    pub rows: Option<u64>,
    /// The indexes that are made at the end.
    pub indexes: &'a [Object],
    /// The bytes of the disk that this takes beside the table; none where it is in one transaction.
    pub room: Option<u64>,
    /// Why not, where that would be better.
    pub obstacle: Option<&'a str>,
}

impl Circumstances<'_> {
    /// All that there is to say.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let always = [self.deferred_transactions(), self.returning()];
        let here = [self.triggers(), self.rollback_journal(), self.indexes()];
        always
            .into_iter()
            .chain(here.into_iter().flatten())
            .collect()
    }

    fn deferred_transactions(&self) -> String {
        format!(
            "an application that reads in a transaction and then writes in it gets SQLITE_BUSY at once, whatever its busy \
             timeout, where a batch of `{}` was committed in between: it must begin with BEGIN IMMEDIATE, or try again",
            self.pair.table.as_str()
        )
    }

    fn returning(&self) -> String {
        format!(
            "RETURNING shows `{}` and `{}` as the statement wrote them, from before one follows the other",
            self.pair.old.as_str(),
            self.pair.new.as_str()
        )
    }

    /// The application's own triggers on the table.
    fn triggers(&self) -> Option<String> {
        let on_table = |it: &&Object| it.kind == Kind::Trigger && it.table == self.pair.table;
        let triggers = self.live.objects.iter().filter(on_table);
        let names: Vec<String> = triggers
            .map(|it| format!("`{}`", it.name.as_str()))
            .collect();
        (!names.is_empty()).then(|| {
            format!(
                "when one column follows the other the table is updated, and its own triggers fire again for that: {}",
                names.join(", ")
            )
        })
    }

    fn rollback_journal(&self) -> Option<String> {
        (!self.is_wal).then(|| {
            "the file has a rollback journal, so that who reads and who writes wait for each other; \
             `PRAGMA journal_mode = wal`, said once, ends that"
                .to_owned()
        })
    }

    fn indexes(&self) -> Option<String> {
        let texts = self.indexes.iter().filter_map(|it| it.sql.as_deref());
        let texts: Vec<String> = texts.map(|sql| format!("`{sql}`")).collect();
        if texts.is_empty() {
            return None;
        }
        let texts = texts.join(", ");
        if let Some(room) = self.room {
            let takes = takes(room);
            return Some(format!(
                "indexes are built beside the table, in transactions of a few milliseconds; {takes}: {texts}"
            ));
        }
        let time = self.rows.map(|rows| {
            let tenths = rows
                .saturating_mul(self.indexes.len() as u64)
                .div_ceil(100_000);
            format!(", about {}.{} s for {rows} rows", tenths / 10, tenths % 10)
        });
        let obstacle = self.obstacle.map(|it| format!(", since {it}"));
        Some(format!(
            "at the end the write lock is held while indexes are made{}{}: {texts}",
            time.unwrap_or_default(),
            obstacle.unwrap_or_default(),
        ))
    }
}
