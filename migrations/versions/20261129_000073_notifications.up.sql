-- Notifications: numbers in the order of commits, fan-out, announcements and digests.

-- An identity is drawn before the commit, so a lower number could become visible after a higher one,
-- and a client that resumes would miss it. Numbers are now given to committed rows, by one node at a
-- time (`persistence/notifications/store.sql`).
ALTER TABLE notifications ALTER COLUMN seq DROP IDENTITY, ALTER COLUMN seq DROP NOT NULL;
UPDATE notifications SET seq = NULL;
CREATE SEQUENCE notification_numbers OWNED BY notifications.seq;
GRANT USAGE ON SEQUENCE notification_numbers TO playhall_server;
DROP INDEX notifications_seq_idx;
CREATE UNIQUE INDEX notifications_seq_idx ON notifications (user_id, seq);
CREATE INDEX notifications_unnumbered_idx ON notifications (created_at, id) WHERE seq IS NULL;
CREATE INDEX notifications_group_idx ON notifications (user_id, group_key, created_at DESC, id DESC)
    WHERE group_key IS NOT NULL;
COMMENT ON COLUMN notifications.seq IS
    'in which order they were committed; a client resumes after it; null until the server has numbered it';

-- ------------------------------------------------------------------ announcements

CREATE TABLE announcements (
    id         uuid PRIMARY KEY,
    title      text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 300),
    message    text NOT NULL DEFAULT '' CHECK (char_length(message) <= 2000),
    action_url text CHECK (char_length(action_url) <= 2048),
    created_by uuid REFERENCES profiles ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX announcements_newest_idx ON announcements (created_at DESC, id DESC);
CREATE INDEX announcements_created_by_idx ON announcements (created_by) WHERE created_by IS NOT NULL;
COMMENT ON TABLE announcements IS 'what admins announced to everybody';
COMMENT ON COLUMN announcements.id IS 'chosen by the client, so that a request can be repeated';

-- ------------------------------------------------------------------ fan-out

CREATE TABLE notification_fanouts (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    creation_id     uuid REFERENCES creations ON DELETE CASCADE,
    announcement_id uuid REFERENCES announcements ON DELETE CASCADE,
    reached_id      uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    notified_count  int NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at     timestamptz,
    CONSTRAINT notification_fanouts_creation_once UNIQUE (creation_id),
    CONSTRAINT notification_fanouts_announcement_once UNIQUE (announcement_id),
    CONSTRAINT notification_fanouts_one_subject CHECK (num_nonnulls(creation_id, announcement_id) = 1)
);
CREATE INDEX notification_fanouts_open_idx ON notification_fanouts (created_at, id) WHERE finished_at IS NULL;
COMMENT ON TABLE notification_fanouts IS
    'what many people are notified of, in batches; a creation has one for as long as it exists, so it is announced once';
COMMENT ON COLUMN notification_fanouts.reached_id IS 'the last person of the batches that are done';
COMMENT ON COLUMN notification_fanouts.notified_count IS 'how many people were notified so far';

CREATE INDEX follows_notified_idx ON follows (following_id, follower_id) WHERE notify_creations;

-- However a creation is published, the row itself writes the event.
CREATE FUNCTION creation_published() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    INSERT INTO public.event_outbox (name, version, payload)
    VALUES ('creation.published', 1, pg_catalog.jsonb_build_object('creation_id', NEW.id));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION creation_published() IS 'writes the event creation.published, whoever published it';
REVOKE ALL ON FUNCTION creation_published() FROM PUBLIC;
CREATE TRIGGER creations_publication_added AFTER INSERT ON creations
    FOR EACH ROW WHEN (NEW.status = 'published' AND NEW.is_public AND NEW.removed_at IS NULL)
    EXECUTE FUNCTION creation_published();
CREATE TRIGGER creations_publication_changed AFTER UPDATE OF status, is_public, removed_at ON creations
    FOR EACH ROW WHEN (NEW.status = 'published' AND NEW.is_public AND NEW.removed_at IS NULL
        AND NOT (OLD.status = 'published' AND OLD.is_public AND OLD.removed_at IS NULL))
    EXECUTE FUNCTION creation_published();

-- What was published before is not announced now.
INSERT INTO notification_fanouts (creation_id, finished_at)
SELECT id, clock_timestamp() FROM creations WHERE published_at IS NOT NULL;

-- ------------------------------------------------------------------ digests

CREATE TABLE notification_digests (
    user_id         uuid PRIMARY KEY REFERENCES profiles ON DELETE CASCADE,
    next_due_at     timestamptz NOT NULL DEFAULT clock_timestamp() + interval '1 day',
    sent_through_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX notification_digests_due_idx ON notification_digests (next_due_at);
COMMENT ON TABLE notification_digests IS 'who wants an email of unread notifications, at most once a day';
COMMENT ON COLUMN notification_digests.sent_through_at IS 'the newest notification that was mailed';

-- ------------------------------------------------------------------ rights

SELECT playhall_auth.secure('announcements', 'notification_fanouts', 'notification_digests');
GRANT SELECT, INSERT ON announcements TO playhall_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON notification_fanouts TO playhall_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON notification_digests TO playhall_server;

CREATE POLICY own_readable ON notification_digests FOR SELECT TO authenticated USING (user_id = (SELECT auth.uid()));
CREATE POLICY own_makeable ON notification_digests FOR INSERT TO authenticated
    WITH CHECK (user_id = (SELECT auth.uid()));
CREATE POLICY own_deletable ON notification_digests FOR DELETE TO authenticated USING (user_id = (SELECT auth.uid()));
GRANT SELECT, DELETE ON notification_digests TO authenticated;
GRANT INSERT (user_id) ON notification_digests TO authenticated;
