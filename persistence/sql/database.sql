-- name: safety
-- What decides whether moves are safe in this database, and how much we may do in it.
SELECT
    current_setting('server_version_num')::int / 10000 AS major_version,
    ARRAY(
        SELECT name FROM pg_settings
        WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off'
        ORDER BY name
    ) AS switched_off,
    session_user::text AS login,
    (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = session_user) AS is_unbound,
    EXISTS (
        SELECT FROM pg_class
        WHERE relnamespace = 'public'::regnamespace
            AND relname = 'game_events'
            AND pg_has_role(session_user, relowner, 'MEMBER')
    ) AS is_owner;
