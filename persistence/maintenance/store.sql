-- name: add_job
-- Have a job known, which is due for the first time after some seconds.
INSERT INTO maintenance_jobs (job, due_at) VALUES ($1, clock_timestamp() + make_interval(secs => $2))
ON CONFLICT DO NOTHING;

-- name: claim
-- Take a job that is due, for some seconds; nothing if it is not due, or another node does it.
UPDATE maintenance_jobs SET leased_until = clock_timestamp() + make_interval(secs => $2), started_at = clock_timestamp()
WHERE job = $1 AND due_at <= clock_timestamp() AND (leased_until IS NULL OR leased_until <= clock_timestamp())
RETURNING leased_until;

-- name: finish
-- Note how a job went, and when it is due again; not where another node has taken it meanwhile.
UPDATE maintenance_jobs SET leased_until = NULL, ended_at = clock_timestamp(), row_count = $3,
    duration_s = extract(epoch FROM clock_timestamp() - started_at)::float8, last_error = $4,
    due_at = clock_timestamp() + make_interval(secs => $5)
WHERE job = $1 AND leased_until = $2;

-- name: list_jobs
-- List the jobs and how they went last.
SELECT job, due_at, started_at, ended_at, duration_s, row_count, last_error FROM maintenance_jobs ORDER BY job;

-- name: request_job
-- Have a job done as soon as a node is free; not what nodes only know of, such as backups.
UPDATE maintenance_jobs SET due_at = clock_timestamp() WHERE job = $1 AND due_at < 'infinity' RETURNING job;

-- name: give_way
-- Wait shortly for locks in this transaction, and so never hold up others for long.
SELECT set_config('lock_timeout', '500ms', true);

-- name: make_months
-- Make the partitions of this month and of some after it; says how many were missing.
SELECT months_make((now() AT TIME ZONE 'UTC')::date, ((now() AT TIME ZONE 'UTC') + make_interval(months => $1))::date);

-- name: drop_months
-- Drop the partitions of months that are over and hold nothing; says how many.
SELECT months_drop_empty((now() AT TIME ZONE 'UTC')::date);

-- name: count_late
-- Count the rows that wait for the partition of their month, up to a bound.
SELECT months_late();

-- name: archive_conversations
-- Archive some conversations in which nothing was said for so many days; says how many.
WITH old AS MATERIALIZED (
    SELECT id FROM luminor_conversations c
    WHERE NOT is_archived AND coalesce(last_message_at, created_at) < clock_timestamp() - make_interval(days => $1)
      AND NOT EXISTS (SELECT FROM luminor_messages m WHERE m.conversation_id = c.id AND m.status = 'streaming')
    ORDER BY coalesce(last_message_at, created_at) LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
), archived AS (
    UPDATE luminor_conversations c SET is_archived = true FROM old WHERE c.id = old.id RETURNING c.id
)
SELECT count(*) FROM archived;

-- name: list_tables
-- List the tables that are analysed and vacuumed, and whether this role may vacuum them.
SELECT name, is_parent, CASE WHEN current_setting('server_version_num')::int >= 170000
    THEN has_table_privilege(relation, 'MAINTAIN')
    ELSE pg_has_role((SELECT relowner FROM pg_class WHERE oid = relation), 'USAGE') END AS may_vacuum
FROM maintained_tables();

-- name: analyse
-- Analyse a table; false if it is gone.
SELECT analyse_table($1);

-- name: list_sizes
-- Read how much the largest tables take.
SELECT name, bytes FROM table_sizes() LIMIT $1;

-- name: read_archiving
-- Say whether the last attempt to archive a segment of the log failed.
SELECT coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) FROM pg_stat_archiver;

-- name: read_standbys
-- List what receives this server's log, and how far each is behind; without the right to read it, none.
-- What is only connecting, or copies the data folder, receives no log.
SELECT application_name AS name, coalesce(extract(epoch FROM coalesce(replay_lag, flush_lag, write_lag)), 0)::float8
    AS lag_s, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(replay_lsn, flush_lsn, sent_lsn)), 0)::float8
    AS lag_bytes
FROM pg_stat_replication WHERE state IN ('catchup', 'streaming', 'stopping') AND NOT pg_is_in_recovery() ORDER BY application_name LIMIT $1;

-- name: has_statements
-- Say whether pg_stat_statements can be read here.
SELECT to_regclass('pg_stat_statements') IS NOT NULL
    AND has_table_privilege(to_regclass('pg_stat_statements'), 'SELECT');

-- name: read_statements
-- Read what the most expensive statements of this role in this database took since they were counted.
SELECT query, calls, total_exec_time / 1000 AS total_s FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query IS NOT NULL
ORDER BY total_exec_time DESC LIMIT $1;
