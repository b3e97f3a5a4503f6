ALTER TABLE nodes
    DROP COLUMN games, DROP COLUMN connections, DROP COLUMN load,
    DROP COLUMN is_draining, DROP COLUMN plays, DROP COLUMN version;
