-- While old and new applications both write.

-- The text of the table while the sync triggers are on; NULL before that.
ALTER TABLE _changeover_changes ADD COLUMN text_synced TEXT;
-- How a value of one column becomes one of the other, where it does not stay as it is.
ALTER TABLE _changeover_changes ADD COLUMN up TEXT;
ALTER TABLE _changeover_changes ADD COLUMN down TEXT;
-- Whether new applications have to write both columns.
ALTER TABLE _changeover_changes ADD COLUMN write_both INTEGER NOT NULL DEFAULT 0;

-- When an application last wrote the old column alone, in seconds since 1970: noted by the sync triggers.
CREATE TABLE _changeover_old_writes (
    change_id  INTEGER PRIMARY KEY REFERENCES _changeover_changes (id),
    written_at INTEGER NOT NULL DEFAULT 0
);

-- The process that works on a change, and how it gets on. Moments are milliseconds since 1970.
CREATE TABLE _changeover_runs (
    change_id   INTEGER PRIMARY KEY REFERENCES _changeover_changes (id),
    paused      INTEGER NOT NULL DEFAULT 0,  -- anyone may set it: 1 makes the work pause, 0 lets it go on
    token       TEXT,                        -- of the run that has the work; NULL while nobody works
    runner      TEXT,                        -- the process behind it
    started_at  INTEGER,
    renewed_at  INTEGER,                     -- one that is silent for long has lost the work
    rows_passed INTEGER NOT NULL DEFAULT 0,  -- by this run
    rows_total  INTEGER NOT NULL DEFAULT 0,  -- that this run has to pass
    turns       INTEGER NOT NULL DEFAULT 0,  -- how often it had the write lock, and for how many microseconds:
    hold_p50    INTEGER NOT NULL DEFAULT 0,  -- half of the times not longer
    hold_p99    INTEGER NOT NULL DEFAULT 0,  -- 99 of a hundred times not longer
    hold_max    INTEGER NOT NULL DEFAULT 0,
    waited      INTEGER NOT NULL DEFAULT 0   -- for how many microseconds it waited for the lock, all in all
);
