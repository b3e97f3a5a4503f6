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

-- name: tables
-- The tables of ours, as they are written in a statement.
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('public', 'playhall_auth', 'auth') AND c.relkind IN ('r', 'p')
    AND NOT c.relispartition AND c.relname <> 'alembic_version'
    AND has_table_privilege(c.oid, 'SELECT')
ORDER BY 1;

-- name: count
-- Count the rows of the table whose name follows.
SELECT count(*) FROM

-- name: columns
-- The columns of these tables.
SELECT c.oid::regclass::text, a.attname::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE n.nspname IN ('public', 'playhall_auth', 'auth') AND c.relkind IN ('r', 'p')
    AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped;

-- name: choose_memory_search
-- Have memories compared by pgvector where it is installed.
SELECT playhall_auth.choose_memory_search();

-- name: choose_event_form
-- Have events in the form that is cheapest to append on this server.
SELECT playhall_auth.choose_event_form();
