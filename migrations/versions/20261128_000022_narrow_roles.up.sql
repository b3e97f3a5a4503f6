-- PostgreSQL lets every role make large objects and temporary tables, take advisory locks, sleep,
-- write into the WAL and export snapshots. No row security bounds any of it, so one session could
-- fill the disk or hold up others. Only the server needs some of it, and whoever migrates.
--
-- A function may be closed by its owner alone, a superuser; on a database of one's own, an
-- administrator calls this once (docs/operations/deployment.md). What the caller may not change is left.
CREATE FUNCTION playhall_auth.harden() RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    called record;
    owner  regrole := (SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = 'playhall_auth');
BEGIN
    FOR called IN
        SELECT p.oid::regprocedure AS name, p.proname ~ 'advisory|sleep' AS is_the_servers
        FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace
            AND pg_catalog.pg_has_role(CURRENT_USER, p.proowner, 'USAGE')
            AND p.proname ~ ('^(lo_(creat|create|from_bytea|get|open|put|unlink|close|tell|tell64'
                '|lseek|lseek64|truncate|truncate64)|loread|lowrite'
                '|pg_(try_)?advisory_(xact_)?lock(_shared)?|pg_sleep(_for|_until)?'
                '|pg_logical_emit_message|pg_export_snapshot|pg_notify)$')
    LOOP
        EXECUTE pg_catalog.format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', called.name);
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO pg_database_owner, %s', called.name, owner);
        IF called.is_the_servers THEN
            EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO playhall_server', called.name);
        END IF;
    END LOOP;

    IF (SELECT pg_catalog.pg_has_role(CURRENT_USER, datdba, 'USAGE')
        FROM pg_catalog.pg_database WHERE datname = current_database())
    THEN
        EXECUTE pg_catalog.format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    END IF;
    IF (SELECT pg_catalog.pg_has_role(CURRENT_USER, nspowner, 'USAGE')
        FROM pg_catalog.pg_namespace WHERE nspname = 'public')
    THEN
        REVOKE CREATE ON SCHEMA public FROM PUBLIC, anon, authenticated;
    END IF;
END
$$;
COMMENT ON FUNCTION playhall_auth.harden() IS 'takes from everybody what only the server and the owner need';
REVOKE ALL ON FUNCTION playhall_auth.harden() FROM PUBLIC;

SELECT playhall_auth.harden();
