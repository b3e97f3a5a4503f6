-- Messages of companions and notifications, partitioned by month.
--
-- A partition's key must be in every unique key of the table. So each table has the key that its
-- promises allow: a conversation's messages are all in the month in which the conversation began,
-- which its id says; a notification is in the month in which it was written.

CREATE SCHEMA months;
COMMENT ON SCHEMA months IS 'the partitions of luminor_messages and notifications';

-- Where the database has no function for it: version 7, which begins with the milliseconds.
CREATE FUNCTION new_time_id() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE SET search_path = ''
RETURN encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING
    substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 52, 1), 53, 1),
    'hex')::uuid;
COMMENT ON FUNCTION new_time_id() IS 'a new UUIDv7, which begins with the time';
REVOKE ALL ON FUNCTION new_time_id() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION new_time_id() TO authenticated, service_role, playhall_server;
ALTER TABLE luminor_conversations ALTER COLUMN id SET DEFAULT new_time_id();

-- ------------------------------------------------------------------ messages

ALTER TABLE luminor_memories DROP CONSTRAINT luminor_memories_source_message_id_fkey;
ALTER TABLE reports DROP CONSTRAINT reports_message_id_fkey;
ALTER TABLE luminor_messages RENAME TO luminor_messages_whole;
ALTER TABLE luminor_messages_whole
    DROP CONSTRAINT luminor_messages_reply_to_fkey,
    DROP CONSTRAINT luminor_messages_pkey;
DROP INDEX idx_messages_conversation_id, idx_messages_created_at, luminor_messages_newest_idx,
    luminor_messages_user_idx, luminor_messages_request_idx, luminor_messages_reply_idx,
    luminor_messages_opinions_idx, luminor_messages_streaming_idx, luminor_messages_one_stream_idx;

CREATE TABLE luminor_messages (
    LIKE luminor_messages_whole INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS,
    PRIMARY KEY (id, conversation_id),
    FOREIGN KEY (user_id) REFERENCES profiles ON DELETE CASCADE,
    FOREIGN KEY (conversation_id) REFERENCES luminor_conversations ON DELETE CASCADE
) PARTITION BY RANGE (conversation_id);
CREATE INDEX idx_messages_conversation_id ON luminor_messages (conversation_id);
CREATE INDEX idx_messages_created_at ON luminor_messages (created_at DESC);
CREATE INDEX luminor_messages_newest_idx ON luminor_messages (conversation_id, created_at, id);
CREATE INDEX luminor_messages_user_idx ON luminor_messages (user_id, created_at DESC);
CREATE UNIQUE INDEX luminor_messages_request_idx ON luminor_messages (conversation_id, request_id)
    WHERE request_id IS NOT NULL;
CREATE UNIQUE INDEX luminor_messages_reply_idx ON luminor_messages (conversation_id, reply_to)
    WHERE reply_to IS NOT NULL;
CREATE INDEX luminor_messages_opinions_idx ON luminor_messages (user_id, created_at DESC)
    WHERE user_rating IS NOT NULL OR was_helpful IS NOT NULL;
CREATE INDEX luminor_messages_streaming_idx ON luminor_messages (streamed_at) WHERE status = 'streaming';
CREATE UNIQUE INDEX luminor_messages_one_stream_idx ON luminor_messages (conversation_id)
    WHERE status = 'streaming';
COMMENT ON TABLE luminor_messages IS
    'messages of conversations; a partition for each month in which conversations began';
COMMENT ON COLUMN luminor_messages.id IS 'unique, which a trigger checks where people choose it';
COMMENT ON COLUMN luminor_messages.reply_to IS
    'the message of the same conversation that it answers; each is answered once';

CREATE TABLE months.luminor_messages_other PARTITION OF luminor_messages DEFAULT;
COMMENT ON TABLE months.luminor_messages_other IS
    'messages of conversations whose id says no month that has a partition';
SELECT playhall_auth.secure('months.luminor_messages_other');
REVOKE ALL ON months.luminor_messages_other FROM service_role;

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

-- The policy of reports names the table, and would go with the old one.
ALTER POLICY own_makeable ON reports
    WITH CHECK (reporter_id = (SELECT auth.uid())
        AND (creation_id IS NULL OR EXISTS (SELECT FROM creations c WHERE c.id = creation_id))
        AND (comment_id IS NULL OR EXISTS (SELECT FROM comments c WHERE c.id = comment_id))
        AND (profile_id IS NULL OR EXISTS (SELECT FROM profiles p WHERE p.id = profile_id))
        AND (message_id IS NULL OR EXISTS (SELECT FROM luminor_messages m WHERE m.id = message_id)));

-- ------------------------------------------------------------------ keys to messages

-- A foreign key would need the conversation's id in whatever refers to a message, and would keep rows
-- from being moved into a partition that is made late. So triggers do what it did: a row is locked
-- when it is referred to, and what refers to it goes with it.

CREATE OR REPLACE FUNCTION message_allowed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    IF public.is_user_request() THEN
        IF NEW.user_id IS DISTINCT FROM auth.uid() THEN
            RETURN NEW;  -- row level security refuses it
        END IF;
        -- People may choose an id, and the primary key sees one conversation only. One at a time, since
        -- two transactions would not see each other's.
        PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('luminor_messages:' || NEW.user_id, 0));
        IF EXISTS (SELECT FROM public.luminor_messages m
            WHERE m.id = NEW.id AND m.conversation_id <> NEW.conversation_id)
        THEN
            RAISE EXCEPTION USING ERRCODE = 'unique_violation', CONSTRAINT = 'luminor_messages_pkey',
                MESSAGE = 'there is a message with this id';
        END IF;
    END IF;
    IF NOT EXISTS (SELECT FROM public.luminor_conversations c
        WHERE c.id = NEW.conversation_id AND c.user_id = NEW.user_id AND NOT c.is_archived)
    THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'luminor_messages_conversation_is_open',
            MESSAGE = 'there is no such conversation, or it is archived';
    END IF;
    IF NEW.reply_to IS NOT NULL THEN
        PERFORM FROM public.luminor_messages m
        WHERE m.id = NEW.reply_to AND m.conversation_id = NEW.conversation_id FOR KEY SHARE;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'luminor_messages_reply_to_fkey',
                MESSAGE = 'there is no such message in this conversation';
        END IF;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION message_allowed() IS
    'messages are written into a person''s own conversations that are not archived, and answer messages of these';

CREATE OR REPLACE FUNCTION message_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    luminor uuid;
BEGIN
    UPDATE public.luminor_conversations SET message_count = greatest(0, message_count - 1)
    WHERE id = OLD.conversation_id RETURNING luminor_id INTO luminor;
    IF luminor IS NOT NULL AND OLD.user_rating IS NOT NULL THEN
        PERFORM public.change_rating(luminor, -1, -OLD.user_rating);
    END IF;
    DELETE FROM public.luminor_messages m WHERE m.conversation_id = OLD.conversation_id AND m.reply_to = OLD.id;
    DELETE FROM public.reports r WHERE r.message_id = OLD.id;
    UPDATE public.luminor_memories m SET source_message_id = NULL WHERE m.source_message_id = OLD.id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION message_deleted() IS
    'a deleted message is no longer counted, where its conversation stays; answers and reports go with it';

CREATE FUNCTION message_exists() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    message uuid := (to_jsonb(NEW) ->> TG_ARGV[0])::uuid;
BEGIN
    PERFORM FROM public.luminor_messages m WHERE m.id = message FOR KEY SHARE;
    -- To a person, row level security says it first: of others' messages it tells nothing.
    IF NOT FOUND AND NOT public.is_user_request() THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
            CONSTRAINT = TG_TABLE_NAME || '_' || TG_ARGV[0] || '_fkey', MESSAGE = 'there is no such message';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION message_exists() IS 'what refers to a message refers to one that is there, and keeps it until the commit';
REVOKE ALL ON FUNCTION message_exists() FROM PUBLIC;
CREATE TRIGGER luminor_memories_source_exists BEFORE INSERT OR UPDATE OF source_message_id ON luminor_memories
    FOR EACH ROW WHEN (NEW.source_message_id IS NOT NULL) EXECUTE FUNCTION message_exists('source_message_id');
CREATE TRIGGER reports_message_exists BEFORE INSERT OR UPDATE OF message_id ON reports
    FOR EACH ROW WHEN (NEW.message_id IS NOT NULL) EXECUTE FUNCTION message_exists('message_id');

-- ------------------------------------------------------------------ notifications

ALTER TABLE notifications RENAME TO notifications_whole;
ALTER TABLE notifications_whole DROP CONSTRAINT notifications_pkey;
DROP INDEX idx_notifications_user_id, idx_notifications_unread, idx_notifications_created_at,
    notifications_inbox_idx, notifications_seq_idx, notifications_once_idx, notifications_expires_at_idx,
    notifications_actor_idx, notifications_creation_idx, notifications_comment_idx,
    notifications_unnumbered_idx, notifications_group_idx;

CREATE TABLE notifications (
    LIKE notifications_whole INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS,
    PRIMARY KEY (id, created_at),
    FOREIGN KEY (user_id) REFERENCES profiles ON DELETE CASCADE,
    FOREIGN KEY (actor_id) REFERENCES profiles ON DELETE CASCADE,
    FOREIGN KEY (creation_id) REFERENCES creations ON DELETE CASCADE,
    FOREIGN KEY (comment_id) REFERENCES comments ON DELETE CASCADE
) PARTITION BY RANGE (created_at);
CREATE INDEX idx_notifications_user_id ON notifications (user_id);
CREATE INDEX idx_notifications_unread ON notifications (user_id, is_read) WHERE is_read = FALSE;
CREATE INDEX idx_notifications_created_at ON notifications (created_at DESC);
CREATE INDEX notifications_inbox_idx ON notifications (user_id, created_at DESC, id DESC);
-- Unique because all numbers are drawn from one sequence.
CREATE INDEX notifications_seq_idx ON notifications (user_id, seq);
CREATE INDEX notifications_expires_at_idx ON notifications (expires_at);
CREATE INDEX notifications_actor_idx ON notifications (actor_id) WHERE actor_id IS NOT NULL;
CREATE INDEX notifications_creation_idx ON notifications (creation_id) WHERE creation_id IS NOT NULL;
CREATE INDEX notifications_comment_idx ON notifications (comment_id) WHERE comment_id IS NOT NULL;
CREATE INDEX notifications_unnumbered_idx ON notifications (created_at, id) WHERE seq IS NULL;
CREATE INDEX notifications_group_idx ON notifications (user_id, group_key, created_at DESC, id DESC)
    WHERE group_key IS NOT NULL;
COMMENT ON TABLE notifications IS 'what a person is told; a partition for each month';
ALTER SEQUENCE notification_numbers OWNED BY notifications.seq;

CREATE TABLE months.notifications_other PARTITION OF notifications DEFAULT;
COMMENT ON TABLE months.notifications_other IS 'notifications of months that have no partition';
SELECT playhall_auth.secure('months.notifications_other');
REVOKE ALL ON months.notifications_other FROM service_role;

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

-- A person is told the same thing once, also across months.
CREATE TABLE notification_keys (
    user_id    uuid NOT NULL REFERENCES profiles ON DELETE CASCADE,
    dedupe_key text NOT NULL,
    PRIMARY KEY (user_id, dedupe_key)
);
COMMENT ON TABLE notification_keys IS
    'the dedupe keys of notifications of all months; kept by a trigger, for as long as the notification';
SELECT playhall_auth.secure('notification_keys');
REVOKE INSERT, UPDATE, DELETE ON notification_keys FROM service_role;
GRANT SELECT ON notification_keys TO playhall_server;

CREATE FUNCTION notification_keyed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM public.notification_keys k WHERE k.user_id = OLD.user_id AND k.dedupe_key = OLD.dedupe_key;
        RETURN NULL;
    ELSIF TG_OP = 'UPDATE' AND OLD.dedupe_key IS NOT NULL AND NEW.dedupe_key IS NOT NULL THEN
        UPDATE public.notification_keys k SET user_id = NEW.user_id, dedupe_key = NEW.dedupe_key
        WHERE k.user_id = OLD.user_id AND k.dedupe_key = OLD.dedupe_key;
        RETURN NEW;
    ELSIF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', CONSTRAINT = 'notifications_key_stays',
            MESSAGE = 'a notification has a dedupe key from the beginning, or never';
    END IF;
    INSERT INTO public.notification_keys (user_id, dedupe_key) VALUES (NEW.user_id, NEW.dedupe_key)
    ON CONFLICT DO NOTHING;
    -- Left out without an error, as ON CONFLICT DO NOTHING would.
    RETURN CASE WHEN FOUND THEN NEW END;
END
$$;
COMMENT ON FUNCTION notification_keyed() IS 'leaves out a notification whose key the person has already; keeps the keys';
REVOKE ALL ON FUNCTION notification_keyed() FROM PUBLIC;

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
$$;

-- ------------------------------------------------------------------ making and dropping months

-- Attaching locks the default partition and the tables that foreign keys name. Whoever waits for that
-- holds up others behind it, so the job sets a short lock_timeout: it gives way long before a deadlock is
-- looked for, and tries again.
CREATE FUNCTION months_make(first date, last date) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
DECLARE
    parent text;
    month date;
    part text;
    key text;
    lower text;
    upper text;
    is_late boolean;
    made int := 0;
BEGIN
    IF last - first > 1200 THEN
        RAISE EXCEPTION 'too many months: % to %', first, last;
    END IF;
    FOR parent, month IN
        SELECT p, m::date FROM pg_catalog.unnest(ARRAY['luminor_messages', 'notifications']) p,
            pg_catalog.generate_series(pg_catalog.date_trunc('month', first::timestamp), last::timestamp, interval '1 month') m
    LOOP
        part := parent || '_' || pg_catalog.to_char(month, 'YYYYMM');
        CONTINUE WHEN pg_catalog.to_regclass('months.' || part) IS NOT NULL;
        PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('playhall: months'));
        -- By a query, which sees what others have committed meanwhile; names are looked up in a cache.
        PERFORM FROM pg_catalog.pg_class c WHERE c.relnamespace = 'months'::regnamespace AND c.relname = part;
        CONTINUE WHEN FOUND;
        IF parent = 'notifications' THEN
            key := 'created_at';
            lower := pg_catalog.to_char(month, 'YYYY-MM-DD') || ' 00:00:00+00';
            upper := pg_catalog.to_char(month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00';
        ELSE
            key := 'conversation_id';
            lower := public.telemetry_day_start(month)::text;
            upper := public.telemetry_day_start((month + interval '1 month')::date)::text;
        END IF;
        EXECUTE pg_catalog.format(
            'CREATE TABLE months.%I (LIKE public.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part, parent);
        EXECUTE pg_catalog.format('COMMENT ON TABLE months.%I IS %L', part, 'part of ' || parent);
        PERFORM playhall_auth.secure(('months.' || part)::regclass);
        EXECUTE pg_catalog.format('REVOKE ALL ON months.%I FROM service_role', part);
        -- What came before the partition is in the default one. Nothing is added or deleted by moving it.
        EXECUTE pg_catalog.format('SELECT EXISTS (SELECT FROM months.%I WHERE %I >= %L AND %I < %L)',
            parent || '_other', key, lower, key, upper) INTO is_late;
        IF is_late THEN
            EXECUTE pg_catalog.format('LOCK TABLE months.%I IN ACCESS EXCLUSIVE MODE', parent || '_other');
            EXECUTE pg_catalog.format('ALTER TABLE months.%I DISABLE TRIGGER USER', parent || '_other');
            EXECUTE pg_catalog.format(
                'WITH moved AS (DELETE FROM months.%I WHERE %I >= %L AND %I < %L RETURNING *)
                 INSERT INTO months.%I SELECT * FROM moved', parent || '_other', key, lower, key, upper, part);
            EXECUTE pg_catalog.format('ALTER TABLE months.%I ENABLE TRIGGER USER', parent || '_other');
        END IF;
        EXECUTE pg_catalog.format('ALTER TABLE public.%I ATTACH PARTITION months.%I FOR VALUES FROM (%L) TO (%L)',
            parent, part, lower, upper);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
COMMENT ON FUNCTION months_make(date, date) IS
    'makes the partitions of some months, and moves into them what came before them; says how many were missing';

CREATE FUNCTION months_drop_empty(before date) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
DECLARE
    part text;
    month date;
    is_used boolean;
    dropped int := 0;
    -- A month may still be written to for as long as its transactions last.
    newest CONSTANT date := least(before, (pg_catalog.now() AT TIME ZONE 'UTC' - interval '2 months')::date);
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('playhall: months'));
    FOR part, month IN
        SELECT c.relname, pg_catalog.to_date(pg_catalog.right(c.relname::text, 6), 'YYYYMM') FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'months'::regnamespace AND c.relkind = 'r' AND c.relname ~ '_[0-9]{6}$' ORDER BY 1
    LOOP
        CONTINUE WHEN month + interval '1 month' > newest;
        EXECUTE pg_catalog.format('SELECT EXISTS (SELECT FROM months.%I)', part) INTO is_used;
        CONTINUE WHEN is_used;
        -- Somebody may yet write into a conversation that has no messages.
        CONTINUE WHEN part LIKE 'luminor\_messages%' AND EXISTS (
            SELECT FROM public.luminor_conversations c WHERE c.id >= public.telemetry_day_start(month)
                AND c.id < public.telemetry_day_start((month + interval '1 month')::date));
        EXECUTE pg_catalog.format('LOCK TABLE months.%I IN ACCESS EXCLUSIVE MODE', part);
        EXECUTE pg_catalog.format('SELECT EXISTS (SELECT FROM months.%I)', part) INTO is_used;
        CONTINUE WHEN is_used;
        EXECUTE pg_catalog.format('DROP TABLE months.%I', part);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
COMMENT ON FUNCTION months_drop_empty(date) IS
    'drops the partitions of months that ended before a day and hold nothing; says how many';

CREATE FUNCTION months_late() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT (SELECT count(*) FROM (SELECT FROM months.notifications_other LIMIT 10000) few)
        + (SELECT count(*) FROM (SELECT FROM months.luminor_messages_other
            WHERE get_byte(uuid_send(conversation_id), 6) >> 4 = 7 LIMIT 10000) few);
END;
COMMENT ON FUNCTION months_late() IS 'rows that wait for the partition of their month, up to 10000 of each table';

REVOKE ALL ON FUNCTION months_make(date, date), months_drop_empty(date), months_late() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION months_make(date, date), months_drop_empty(date), months_late() TO playhall_server;

-- ------------------------------------------------------------------ what was there

SELECT months_make(
    least((SELECT min(created_at) FROM notifications_whole), now() - interval '1 month')::date,
    (now() + interval '2 months')::date);

INSERT INTO luminor_messages SELECT * FROM luminor_messages_whole;
INSERT INTO notifications SELECT * FROM notifications_whole;
INSERT INTO notification_keys SELECT user_id, dedupe_key FROM notifications_whole WHERE dedupe_key IS NOT NULL;
DROP TABLE luminor_messages_whole, notifications_whole;

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
CREATE TRIGGER notifications_key_added BEFORE INSERT ON notifications
    FOR EACH ROW WHEN (NEW.dedupe_key IS NOT NULL) EXECUTE FUNCTION notification_keyed();
CREATE TRIGGER notifications_key_moved BEFORE UPDATE OF user_id, dedupe_key ON notifications
    FOR EACH ROW WHEN ((NEW.user_id, NEW.dedupe_key) IS DISTINCT FROM (OLD.user_id, OLD.dedupe_key)
        AND coalesce(NEW.dedupe_key, OLD.dedupe_key) IS NOT NULL) EXECUTE FUNCTION notification_keyed();
CREATE TRIGGER notifications_key_gone AFTER DELETE ON notifications
    FOR EACH ROW WHEN (OLD.dedupe_key IS NOT NULL) EXECUTE FUNCTION notification_keyed();
