-- name: safety
-- What decides whether moves are safe in this database, and how much we may do in it.
SELECT
    ARRAY(
        SELECT name FROM unnest('{fsync, full_page_writes, synchronous_commit}'::text[]) AS s (name)
        WHERE current_setting(name) = 'off'
    ) AS switched_off,
    session_user::text AS login,
    (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = session_user) AS is_unbound,
    EXISTS (
        SELECT FROM pg_roles
        WHERE rolname = 'service_role' AND pg_has_role(session_user, oid, 'MEMBER')
    ) AS is_service,
    EXISTS (
        SELECT FROM pg_class
        WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'playhall_auth'))
            AND relkind IN ('r', 'p')
            AND pg_has_role(session_user, relowner, 'MEMBER')
    ) AS is_owner,
    ARRAY(
        SELECT pg_class.oid::regclass::text
        FROM pg_class JOIN pg_roles ON rolname = 'playhall_server'
        WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'playhall_auth'))
            AND relkind IN ('r', 'p')
            AND has_table_privilege(pg_roles.oid, pg_class.oid, 'SELECT, INSERT, UPDATE, DELETE')
            AND NOT (relrowsecurity AND relforcerowsecurity)
        ORDER BY 1
    ) AS unsecured;

-- name: reset
-- Make a connection as it was when it was opened, its role included.
SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL; RESET ROLE;

-- name: set
-- Make settings for the session; the role comes last.
SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS t(name, value);

-- name: not_in_force
-- Which settings a session does not have; a pooler may write its own application_name.
SELECT name FROM unnest($1::text[], $2::text[]) AS t(name, value)
WHERE current_setting(name) <> value AND name <> 'application_name';
