-- Views without an account are no longer counted; those that were stay counted.

DO $$
DECLARE
    name regclass;
BEGIN
    IF current_setting('server_version_num')::int >= 170000 THEN
        ALTER DEFAULT PRIVILEGES IN SCHEMA months REVOKE MAINTAIN ON TABLES FROM playhall_server;
        FOR name IN SELECT t.relation FROM maintained_tables() t LOOP
            EXECUTE format('REVOKE MAINTAIN ON %s FROM playhall_server', name);
        END LOOP;
    END IF;
    REVOKE USAGE ON SCHEMA months FROM playhall_server;
END
$$;
DROP FUNCTION count_anonymous_view(uuid, text), analyse_table(text), maintained_tables(), table_sizes();
DROP TABLE view_salts, maintenance_jobs;
DROP INDEX luminor_conversations_last_message_idx, notification_fanouts_parked_idx, notification_fanouts_open_idx;
ALTER TABLE notification_fanouts DROP COLUMN attempts, DROP COLUMN next_attempt_at, DROP COLUMN last_error,
    DROP COLUMN parked_at;
CREATE INDEX notification_fanouts_open_idx ON notification_fanouts (created_at, id) WHERE finished_at IS NULL;
