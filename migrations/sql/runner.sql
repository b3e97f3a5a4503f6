-- name: revision
-- Which step the database stands at; no row after the last step down.
SELECT version_num FROM public.alembic_version;

-- name: lock
-- Wait until no other process migrates this database; the transaction's end lets go.
SELECT pg_advisory_xact_lock(7310865489172336748);

-- name: set
-- Make a setting for the session.
SELECT set_config(%s, %s, false);

-- name: as_the_login
-- Undo what a login may have as its defaults, for the transaction.
SET LOCAL ROLE NONE; SET LOCAL row_security = on;
