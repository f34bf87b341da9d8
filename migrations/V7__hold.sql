-- While a contract is held: the old column can be read still, as a column computed from the new one.

-- The text of the table then; NULL where nothing is held.
ALTER TABLE _changeover_changes ADD COLUMN text_held TEXT;
-- Up to when the old column is held at least, in milliseconds since 1970.
ALTER TABLE _changeover_changes ADD COLUMN held_until INTEGER;

-- One row a view, trigger, index or other table that the contract wrote anew, for undo to write as it was.
CREATE TABLE _changeover_texts (
    change_id   INTEGER NOT NULL REFERENCES _changeover_changes (id),
    type        TEXT NOT NULL,
    name        TEXT NOT NULL,
    text_before TEXT NOT NULL,
    text_after  TEXT NOT NULL,  -- undo leaves alone what has another text by then
    PRIMARY KEY (change_id, type, name)
) WITHOUT ROWID;
