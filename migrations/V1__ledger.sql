-- What changeover remembers, in the file that it changes.

-- One row a change: an old column giving way to a new one.
CREATE TABLE _changeover_changes (
    id            INTEGER PRIMARY KEY,
    table_name    TEXT NOT NULL,
    old_column    TEXT,              -- NULL until it is named, by expand or by migrate data
    new_column    TEXT NOT NULL,
    asked_type    TEXT,              -- the type that the request asked for, if any
    state         TEXT NOT NULL,     -- expanded, migrating, migrated, contracted, aborted
    text_before   TEXT NOT NULL,     -- the text of the table before expand, for abort and contract
    text_after    TEXT NOT NULL,     -- and behind it, to see whether anyone else changed it since
    rows_migrated INTEGER NOT NULL DEFAULT 0
);

-- How far the backfill of a change has come: the last key done, one row a key column.
CREATE TABLE _changeover_cursor (
    change_id INTEGER NOT NULL REFERENCES _changeover_changes (id),
    position  INTEGER NOT NULL,
    value,                           -- without a type, so that the key comes back as it was
    PRIMARY KEY (change_id, position)
) WITHOUT ROWID;

-- One row a phase that was applied, with what was answered.
CREATE TABLE _changeover_history (
    version             INTEGER PRIMARY KEY,
    change_id           INTEGER NOT NULL REFERENCES _changeover_changes (id),
    phase               TEXT NOT NULL,  -- expand, migrate_data, contract, abort
    name                TEXT NOT NULL,
    table_schema        TEXT,           -- the table as answered: users (name, full_name NULL)
    backward_compatible INTEGER,        -- of expand
    rows_migrated       INTEGER,        -- of migrate data
    applied_at          TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
