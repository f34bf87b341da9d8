-- Indexes that are added to a table.

-- A change may be an index that its table gets, and no column: this is its name then, `text_after` its text, and
-- `new_column` and `text_before` are empty. Its states are indexing, indexed and aborted.
ALTER TABLE _changeover_changes ADD COLUMN index_name TEXT;
