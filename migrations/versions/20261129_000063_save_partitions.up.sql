-- Revisions of saves, partitioned by account: all of an account's are in one part, and a part can be
-- vacuumed, moved or reindexed by itself.

ALTER TABLE save_revisions RENAME TO save_revisions_whole;
ALTER TABLE save_revisions_whole
    DROP CONSTRAINT save_revisions_pkey,
    DROP CONSTRAINT save_revisions_mutation_once;
DROP INDEX save_revisions_account_id_idx;

CREATE TABLE save_revisions (
    LIKE save_revisions_whole INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS,
    PRIMARY KEY (account_id, slot_id, revision),
    FOREIGN KEY (slot_id, account_id) REFERENCES save_slots (slot_id, account_id)
        ON UPDATE CASCADE ON DELETE CASCADE,
    CONSTRAINT save_revisions_mutation_once UNIQUE (account_id, slot_id, mutation_id)
) PARTITION BY HASH (account_id);
-- A slot that is deleted, or that another account gets, takes its revisions with it.
CREATE INDEX save_revisions_slot_id_idx ON save_revisions (slot_id, account_id);
COMMENT ON TABLE save_revisions IS 'every revision of a slot, of all branches';

DO $$
DECLARE
    part text;
BEGIN
    FOR i IN 0..7 LOOP
        part := 'save_revisions_' || i;
        EXECUTE format('CREATE TABLE %I PARTITION OF save_revisions FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, i);
        EXECUTE format('COMMENT ON TABLE %I IS %L', part, 'part of save_revisions');
        PERFORM playhall_auth.secure(part::regclass);
        EXECUTE format('REVOKE ALL ON %I FROM service_role', part);
    END LOOP;
END
$$;

SELECT playhall_auth.secure('save_revisions');
CREATE POLICY own_readable ON save_revisions FOR SELECT TO authenticated
    USING (account_id = (SELECT auth.uid()));
CREATE POLICY own_changeable ON save_revisions FOR UPDATE TO authenticated
    USING (account_id = (SELECT auth.uid())) WITH CHECK (account_id = (SELECT auth.uid()));
GRANT SELECT ON save_revisions TO authenticated;
GRANT UPDATE (is_pinned) ON save_revisions TO authenticated;
GRANT SELECT, INSERT, DELETE ON save_revisions TO playhall_server;
GRANT UPDATE (state) ON save_revisions TO playhall_server;

INSERT INTO save_revisions SELECT * FROM save_revisions_whole;
DROP TABLE save_revisions_whole;
