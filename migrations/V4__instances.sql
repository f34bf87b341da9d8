-- Who still uses the old column, as far as applications tell themselves.

-- One row an instance of an application. Any program may write it on its own connection: docs/instances.md has the
-- statement. What is bounded here is bounded for all of them; moments are seconds since 1970 by SQLite's clock.
CREATE TABLE _changeover_instances (
    name          TEXT NOT NULL PRIMARY KEY
                  CHECK (typeof(name) = 'text' AND length(CAST(name AS BLOB)) BETWEEN 1 AND 200 AND instr(name, char(0)) = 0
                         AND name NOT GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'),
    version       INTEGER NOT NULL  -- the phase up to which it knows the schema
                  CHECK (typeof(version) = 'integer' AND version BETWEEN 0 AND 4294967295),
    app_version   TEXT              -- for people
                  CHECK (app_version IS NULL OR typeof(app_version) = 'text'
                         AND length(CAST(app_version AS BLOB)) <= 200 AND instr(app_version, char(0)) = 0),
    pid           INTEGER           -- its process, which is then not taken for a stranger
                  CHECK (pid IS NULL OR typeof(pid) = 'integer' AND pid BETWEEN 1 AND 4294967295),
    lease_seconds INTEGER NOT NULL DEFAULT 60  -- for so long it is believed to live without another word
                  CHECK (typeof(lease_seconds) = 'integer' AND lease_seconds BETWEEN 1 AND 86400),
    registered_at INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER))
                  CHECK (typeof(registered_at) = 'integer'),
    seen_at       INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER))
                  CHECK (typeof(seen_at) = 'integer')
);

-- Why the contract of a change went past the gate, where it was made to.
ALTER TABLE _changeover_changes ADD COLUMN forced TEXT;
