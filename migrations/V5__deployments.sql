-- What a rollout has come to.

-- One row an instance of the application that a rollout has begun to bring to the new version.
CREATE TABLE _changeover_deployments (
    change_id  INTEGER NOT NULL REFERENCES _changeover_changes (id),
    instance   TEXT NOT NULL,
    command    TEXT NOT NULL,  -- that brings it there, as a JSON array
    process    TEXT,           -- of the command that was started on it last
    healthy_at TEXT,           -- when it was found healthy behind that command; NULL until then
    PRIMARY KEY (change_id, instance)
) WITHOUT ROWID;
