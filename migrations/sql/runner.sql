-- name: revision
-- Which step the database stands at; no row after the last step down.
SELECT version_num FROM public.alembic_version;

-- name: lock
-- Wait until no other process migrates this database; the transaction's end lets go.
SELECT pg_advisory_xact_lock(7310865489172336748);
