-- name: written
-- How far the primary has written its log, and which cluster it is.
SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint AS position, system_identifier AS cluster
FROM pg_control_system();

-- name: replayed
-- How far a standby has replayed that log, and which cluster it is of; no position where it is none.
SELECT (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint AS position, system_identifier AS cluster,
       pg_is_in_recovery() AS is_standby
FROM pg_control_system();
