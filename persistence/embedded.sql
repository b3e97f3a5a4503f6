-- name: admit
-- Make the bundled database's login for servers, or take from it what it must not have.
DO $$
DECLARE
    role_name text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'playhall_server') THEN
        CREATE ROLE playhall_server NOLOGIN NOINHERIT;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'playhall_node') THEN
        CREATE ROLE playhall_node;
    END IF;
    ALTER ROLE playhall_node WITH LOGIN INHERIT NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE
        NOREPLICATION;
    FOR role_name IN
        SELECT roleid::regrole FROM pg_auth_members
        WHERE member = 'playhall_node'::regrole AND roleid <> 'playhall_server'::regrole
            AND roleid::regrole::text <> 'pg_maintain'
    LOOP
        EXECUTE format('REVOKE %s FROM playhall_node', role_name);
    END LOOP;
    GRANT playhall_server TO playhall_node;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'pg_maintain') THEN  -- from version 17 on
        GRANT pg_maintain TO playhall_node;  -- for the weekly VACUUM
    END IF;
END
$$;
