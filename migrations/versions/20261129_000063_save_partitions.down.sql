ALTER TABLE save_revisions RENAME TO save_revisions_parted;
ALTER TABLE save_revisions_parted
    DROP CONSTRAINT save_revisions_pkey,
    DROP CONSTRAINT save_revisions_mutation_once;
DROP INDEX save_revisions_slot_id_idx;

CREATE TABLE save_revisions (
    LIKE save_revisions_parted INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS,
    PRIMARY KEY (slot_id, revision),
    FOREIGN KEY (slot_id, account_id) REFERENCES save_slots (slot_id, account_id)
        ON UPDATE CASCADE ON DELETE CASCADE,
    CONSTRAINT save_revisions_mutation_once UNIQUE (slot_id, mutation_id)
);
CREATE INDEX save_revisions_account_id_idx ON save_revisions (account_id);
COMMENT ON TABLE save_revisions IS 'every revision of a slot, of all branches';

SELECT playhall_auth.secure('save_revisions');
CREATE POLICY own_readable ON save_revisions FOR SELECT TO authenticated
    USING (account_id = (SELECT auth.uid()));
CREATE POLICY own_changeable ON save_revisions FOR UPDATE TO authenticated
    USING (account_id = (SELECT auth.uid())) WITH CHECK (account_id = (SELECT auth.uid()));
GRANT SELECT ON save_revisions TO authenticated;
GRANT UPDATE (is_pinned) ON save_revisions TO authenticated;
GRANT SELECT, INSERT, DELETE ON save_revisions TO playhall_server;
GRANT UPDATE (state) ON save_revisions TO playhall_server;

INSERT INTO save_revisions SELECT * FROM save_revisions_parted;
DROP TABLE save_revisions_parted;
