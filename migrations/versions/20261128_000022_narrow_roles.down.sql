DO $$
DECLARE
    called regprocedure;
BEGIN
    FOR called IN
        SELECT p.oid FROM pg_proc p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace
            AND pg_has_role(CURRENT_USER, p.proowner, 'USAGE')
            AND p.proname ~ ('^(lo_(creat|create|from_bytea|get|open|put|unlink|close|tell|tell64'
                '|lseek|lseek64|truncate|truncate64)|loread|lowrite'
                '|pg_(try_)?advisory_(xact_)?lock(_shared)?|pg_sleep(_for|_until)?'
                '|pg_logical_emit_message|pg_export_snapshot|pg_notify)$')
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM playhall_server, pg_database_owner', called);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', called);
    END LOOP;
    IF (SELECT pg_has_role(CURRENT_USER, datdba, 'USAGE')
        FROM pg_database WHERE datname = current_database())
    THEN
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database());
    END IF;
END
$$;
DROP FUNCTION playhall_auth.harden();
