-- name: look
-- What a database must be like before anything is done in it.
SELECT
    current_setting('server_version_num')::int / 10000 AS major_version,
    current_setting('server_encoding') AS encoding,
    pg_is_in_recovery() AS is_standby,
    current_setting('default_transaction_read_only')::bool AS is_read_only,
    session_user::text AS login,
    current_database()::text AS name,
    pg_backend_pid() AS backend_pid;

-- name: backend
-- Which process serves this statement.
SELECT pg_backend_pid();
