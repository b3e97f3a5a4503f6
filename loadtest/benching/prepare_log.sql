-- Read the settings again, and make segments of PostgreSQL's log ahead, as a database has that has run for a while.
-- The checkpoint that follows keeps them.
SELECT pg_reload_conf();
DO $$
BEGIN
    FOR n IN 1..32 LOOP
        PERFORM pg_logical_emit_message(false, 'bench', 'a segment');
        PERFORM pg_switch_wal();
    END LOOP;
END
$$;
