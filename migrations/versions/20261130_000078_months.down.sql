-- Messages and notifications in one table each again; a message's keys are foreign keys again.

-- ------------------------------------------------------------------ messages

ALTER TABLE luminor_messages RENAME TO luminor_messages_parted;
ALTER TABLE luminor_messages_parted DROP CONSTRAINT luminor_messages_pkey;
DROP INDEX idx_messages_conversation_id, idx_messages_created_at, luminor_messages_newest_idx,
    luminor_messages_user_idx, luminor_messages_request_idx, luminor_messages_reply_idx,
    luminor_messages_opinions_idx, luminor_messages_streaming_idx, luminor_messages_one_stream_idx;

CREATE TABLE luminor_messages (
    LIKE luminor_messages_parted INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS,
    PRIMARY KEY (id),
    FOREIGN KEY (user_id) REFERENCES profiles ON DELETE CASCADE,
    FOREIGN KEY (conversation_id) REFERENCES luminor_conversations ON DELETE CASCADE,
    FOREIGN KEY (reply_to) REFERENCES luminor_messages ON DELETE CASCADE
);
INSERT INTO luminor_messages SELECT * FROM luminor_messages_parted;
CREATE INDEX idx_messages_conversation_id ON luminor_messages (conversation_id);
CREATE INDEX idx_messages_created_at ON luminor_messages (created_at DESC);
CREATE INDEX luminor_messages_newest_idx ON luminor_messages (conversation_id, created_at, id);
CREATE INDEX luminor_messages_user_idx ON luminor_messages (user_id, created_at DESC);
CREATE UNIQUE INDEX luminor_messages_request_idx ON luminor_messages (conversation_id, request_id)
    WHERE request_id IS NOT NULL;
CREATE UNIQUE INDEX luminor_messages_reply_idx ON luminor_messages (reply_to) WHERE reply_to IS NOT NULL;
CREATE INDEX luminor_messages_opinions_idx ON luminor_messages (user_id, created_at DESC)
    WHERE user_rating IS NOT NULL OR was_helpful IS NOT NULL;
CREATE INDEX luminor_messages_streaming_idx ON luminor_messages (streamed_at) WHERE status = 'streaming';
CREATE UNIQUE INDEX luminor_messages_one_stream_idx ON luminor_messages (conversation_id) WHERE status = 'streaming';
COMMENT ON TABLE luminor_messages IS 'messages of conversations';
COMMENT ON COLUMN luminor_messages.id IS NULL;
COMMENT ON COLUMN luminor_messages.reply_to IS 'the message that it answers; each is answered once';

SELECT playhall_auth.secure('luminor_messages');
CREATE POLICY own_readable ON luminor_messages FOR SELECT TO authenticated
    USING (user_id = (SELECT auth.uid()) AND role <> 'system');
CREATE POLICY own_makeable ON luminor_messages FOR INSERT TO authenticated
    WITH CHECK (user_id = (SELECT auth.uid()) AND role = 'user');
CREATE POLICY own_changeable ON luminor_messages FOR UPDATE TO authenticated
    USING (user_id = (SELECT auth.uid())) WITH CHECK (user_id = (SELECT auth.uid()));
GRANT SELECT ON luminor_messages TO authenticated;
GRANT INSERT (id, user_id, conversation_id, role, content, request_id) ON luminor_messages TO authenticated;
GRANT UPDATE (user_rating, was_helpful) ON luminor_messages TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON luminor_messages TO playhall_server;

ALTER POLICY own_makeable ON reports
    WITH CHECK (reporter_id = (SELECT auth.uid())
        AND (creation_id IS NULL OR EXISTS (SELECT FROM creations c WHERE c.id = creation_id))
        AND (comment_id IS NULL OR EXISTS (SELECT FROM comments c WHERE c.id = comment_id))
        AND (profile_id IS NULL OR EXISTS (SELECT FROM profiles p WHERE p.id = profile_id))
        AND (message_id IS NULL OR EXISTS (SELECT FROM luminor_messages m WHERE m.id = message_id)));

DROP TRIGGER luminor_memories_source_exists ON luminor_memories;
DROP TRIGGER reports_message_exists ON reports;
DROP FUNCTION message_exists();
ALTER TABLE luminor_memories ADD FOREIGN KEY (source_message_id) REFERENCES luminor_messages ON DELETE SET NULL;
ALTER TABLE reports ADD FOREIGN KEY (message_id) REFERENCES luminor_messages ON DELETE CASCADE;
CREATE OR REPLACE FUNCTION message_allowed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    IF public.is_user_request() AND NEW.user_id IS DISTINCT FROM auth.uid() THEN
        RETURN NEW;  -- row level security refuses it
    END IF;
    IF NOT EXISTS (SELECT FROM public.luminor_conversations c
        WHERE c.id = NEW.conversation_id AND c.user_id = NEW.user_id AND NOT c.is_archived)
    THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'luminor_messages_conversation_is_open',
            MESSAGE = 'there is no such conversation, or it is archived';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION message_allowed() IS 'messages are written into a person''s own conversations that are not archived';
CREATE OR REPLACE FUNCTION message_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    luminor uuid;
BEGIN
    UPDATE public.luminor_conversations SET message_count = greatest(0, message_count - 1)
    WHERE id = OLD.conversation_id RETURNING luminor_id INTO luminor;
    IF luminor IS NOT NULL AND OLD.user_rating IS NOT NULL THEN
        PERFORM public.change_rating(luminor, -1, -OLD.user_rating);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION message_deleted() IS 'a deleted message is no longer counted, where its conversation stays';

-- ------------------------------------------------------------------ notifications

ALTER TABLE notifications RENAME TO notifications_parted;
ALTER TABLE notifications_parted DROP CONSTRAINT notifications_pkey;
DROP INDEX idx_notifications_user_id, idx_notifications_unread, idx_notifications_created_at,
    notifications_inbox_idx, notifications_seq_idx, notifications_expires_at_idx, notifications_actor_idx,
    notifications_creation_idx, notifications_comment_idx, notifications_unnumbered_idx, notifications_group_idx;

CREATE TABLE notifications (
    LIKE notifications_parted INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS,
    PRIMARY KEY (id),
    FOREIGN KEY (user_id) REFERENCES profiles ON DELETE CASCADE,
    FOREIGN KEY (actor_id) REFERENCES profiles ON DELETE CASCADE,
    FOREIGN KEY (creation_id) REFERENCES creations ON DELETE CASCADE,
    FOREIGN KEY (comment_id) REFERENCES comments ON DELETE CASCADE
);
INSERT INTO notifications SELECT * FROM notifications_parted;
CREATE INDEX idx_notifications_user_id ON notifications (user_id);
CREATE INDEX idx_notifications_unread ON notifications (user_id, is_read) WHERE is_read = FALSE;
CREATE INDEX idx_notifications_created_at ON notifications (created_at DESC);
CREATE INDEX notifications_inbox_idx ON notifications (user_id, created_at DESC, id DESC);
CREATE UNIQUE INDEX notifications_seq_idx ON notifications (user_id, seq);
CREATE UNIQUE INDEX notifications_once_idx ON notifications (user_id, dedupe_key) WHERE dedupe_key IS NOT NULL;
CREATE INDEX notifications_expires_at_idx ON notifications (expires_at);
CREATE INDEX notifications_actor_idx ON notifications (actor_id) WHERE actor_id IS NOT NULL;
CREATE INDEX notifications_creation_idx ON notifications (creation_id) WHERE creation_id IS NOT NULL;
CREATE INDEX notifications_comment_idx ON notifications (comment_id) WHERE comment_id IS NOT NULL;
CREATE INDEX notifications_unnumbered_idx ON notifications (created_at, id) WHERE seq IS NULL;
CREATE INDEX notifications_group_idx ON notifications (user_id, group_key, created_at DESC, id DESC)
    WHERE group_key IS NOT NULL;
COMMENT ON TABLE notifications IS 'what a person is told';
ALTER SEQUENCE notification_numbers OWNED BY notifications.seq;

SELECT playhall_auth.secure('notifications');
CREATE POLICY own_readable ON notifications FOR SELECT TO authenticated
    USING (user_id = (SELECT auth.uid()) AND expires_at > now()
        AND (actor_id IS NULL OR may_see_person(actor_id)));
CREATE POLICY own_changeable ON notifications FOR UPDATE TO authenticated
    USING (user_id = (SELECT auth.uid())) WITH CHECK (user_id = (SELECT auth.uid()));
CREATE POLICY own_deletable ON notifications FOR DELETE TO authenticated USING (user_id = (SELECT auth.uid()));
GRANT SELECT, DELETE ON notifications TO authenticated;
GRANT UPDATE (is_read, is_archived) ON notifications TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON notifications TO playhall_server;

CREATE OR REPLACE FUNCTION notify_person(
    recipient uuid, kind text, title text, message text, action_url text, metadata jsonb,
    actor uuid, creation uuid, comment uuid, group_key text, dedupe_key text
) RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = '' AS $$
    INSERT INTO public.notifications (user_id, type, title, message, action_url, metadata, actor_id,
        creation_id, comment_id, group_key, dedupe_key)
    SELECT p.id, kind, left(title, 300), left(message, 2000), action_url, metadata, actor, creation, comment,
        group_key, dedupe_key
    FROM public.profiles p
    WHERE p.id = recipient AND p.is_active AND recipient IS DISTINCT FROM actor
        AND NOT public.has_block(recipient, actor)
        AND NOT EXISTS (SELECT FROM public.mutes m WHERE m.muter_id = recipient AND m.muted_id = actor)
        AND coalesce(p.preferences #>> ARRAY['notifications', kind], '') <> 'false'
    FOR KEY SHARE OF p SKIP LOCKED  -- a person who is being erased: waiting for that could deadlock
    ON CONFLICT (user_id, dedupe_key) WHERE dedupe_key IS NOT NULL DO NOTHING
$$;
COMMENT ON FUNCTION notify_person IS
    'tells a person something once, unless they block or mute whose doing it is, or do not want to know';

-- ------------------------------------------------------------------ the rest

DROP FUNCTION months_make(date, date), months_drop_empty(date), months_late();
DROP TABLE luminor_messages_parted, notifications_parted, notification_keys;
DROP FUNCTION notification_keyed();
DROP SCHEMA months;
ALTER TABLE luminor_conversations ALTER COLUMN id SET DEFAULT gen_random_uuid();
DROP FUNCTION new_time_id();

CREATE TRIGGER luminor_messages_allowed BEFORE INSERT ON luminor_messages
    FOR EACH ROW EXECUTE FUNCTION message_allowed();
CREATE TRIGGER luminor_messages_added AFTER INSERT ON luminor_messages
    FOR EACH ROW EXECUTE FUNCTION message_added();
CREATE TRIGGER luminor_messages_rated AFTER UPDATE OF user_rating ON luminor_messages
    FOR EACH ROW WHEN (NEW.user_rating IS DISTINCT FROM OLD.user_rating) EXECUTE FUNCTION message_rated();
CREATE TRIGGER luminor_messages_deleted AFTER DELETE ON luminor_messages
    FOR EACH ROW EXECUTE FUNCTION message_deleted();
CREATE TRIGGER notifications_stamped BEFORE UPDATE OF is_read ON notifications
    FOR EACH ROW EXECUTE FUNCTION notification_stamped();
