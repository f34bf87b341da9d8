-- While a table is rebuilt online, in the states contracting and aborting.

-- SQLite's number of the schema since rows are copied: another one may mean that a VACUUM gave them other rowids.
ALTER TABLE _changeover_changes ADD COLUMN rebuilt_under INTEGER;
