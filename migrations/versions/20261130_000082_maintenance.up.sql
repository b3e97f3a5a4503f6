-- Fan-outs that fail, replies while comments are deleted, maintenance that nodes share, and views of
-- people without an account.

-- ------------------------------------------------------------------ fan-outs

ALTER TABLE notification_fanouts
    ADD COLUMN attempts int NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    ADD COLUMN next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ADD COLUMN last_error text CHECK (char_length(last_error) <= 1000),
    ADD COLUMN parked_at timestamptz;
UPDATE notification_fanouts SET next_attempt_at = created_at WHERE finished_at IS NULL;
COMMENT ON COLUMN notification_fanouts.attempts IS 'batches that failed since the last one that did not';
COMMENT ON COLUMN notification_fanouts.next_attempt_at IS 'until then it is passed over';
COMMENT ON COLUMN notification_fanouts.parked_at IS 'when it was given up, until an operator has it tried again';
DROP INDEX notification_fanouts_open_idx;
CREATE INDEX notification_fanouts_open_idx ON notification_fanouts (created_at, id)
    WHERE finished_at IS NULL AND parked_at IS NULL;
CREATE INDEX notification_fanouts_parked_idx ON notification_fanouts (parked_at, id) WHERE parked_at IS NOT NULL;

-- ------------------------------------------------------------------ replies

CREATE OR REPLACE FUNCTION comment_allowed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    parent public.comments;
BEGIN
    IF public.is_user_request() AND NEW.user_id IS DISTINCT FROM auth.uid() THEN
        RETURN NEW;  -- row level security refuses it
    END IF;
    PERFORM public.require_open_creation(NEW.creation_id, NEW.user_id);
    NEW.depth := 0;
    IF NEW.parent_comment_id IS NOT NULL THEN
        -- Whoever deletes a comment locks the creation first, so a reply does as well: its count would
        -- otherwise wait for the deletion, which waits for the lock on the parent.
        PERFORM public.lock_creation(NEW.creation_id);
        -- Locked, so that it is not deleted meanwhile without becoming a tombstone.
        SELECT * INTO parent FROM public.comments c WHERE c.id = NEW.parent_comment_id FOR KEY SHARE;
        IF parent.id IS NULL OR parent.creation_id <> NEW.creation_id OR parent.deleted_at IS NOT NULL
            OR parent.removed_at IS NOT NULL OR public.has_block(parent.user_id, NEW.user_id)
        THEN
            RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'comments_parent_is_open',
                MESSAGE = 'there is no such comment to reply to';
        END IF;
        NEW.depth := parent.depth + 1;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION comment_allowed() IS 'comments are for what a person may see, whoever writes the row';

-- ------------------------------------------------------------------ maintenance

CREATE TABLE maintenance_jobs (
    job          text PRIMARY KEY CHECK (job ~ '^[a-z][a-z_]{0,63}$'),
    due_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    leased_until timestamptz,
    started_at   timestamptz,
    ended_at     timestamptz,
    duration_s   double precision CHECK (duration_s >= 0),
    row_count    bigint CHECK (row_count >= 0),
    last_error   text CHECK (char_length(last_error) <= 1000)
);
COMMENT ON TABLE maintenance_jobs IS 'periodic work on the database, each done by one node at a time, and how it went last';
COMMENT ON COLUMN maintenance_jobs.leased_until IS 'until when a node alone does it; null once it has ended';
COMMENT ON COLUMN maintenance_jobs.started_at IS 'of the last run';
COMMENT ON COLUMN maintenance_jobs.ended_at IS 'of the last run that ended, well or not';
COMMENT ON COLUMN maintenance_jobs.row_count IS 'what the last run changed; tables, where it is about tables';
COMMENT ON COLUMN maintenance_jobs.last_error IS 'why the last run failed; null if it did not';
SELECT playhall_auth.secure('maintenance_jobs');
REVOKE ALL ON maintenance_jobs FROM service_role;
GRANT SELECT, INSERT, UPDATE ON maintenance_jobs TO playhall_server;

CREATE INDEX luminor_conversations_last_message_idx ON luminor_conversations ((coalesce(last_message_at, created_at)))
    WHERE NOT is_archived;

CREATE FUNCTION maintained_tables() RETURNS TABLE (name text, relation regclass, is_parent boolean) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = '' AS $$
    SELECT c.oid::regclass::text, c.oid::regclass, c.relkind = 'p'
    FROM pg_catalog.pg_class c
    WHERE c.relkind IN ('r', 'p') AND (c.relnamespace = 'months'::regnamespace
        OR c.relnamespace = 'public'::regnamespace AND c.relname IN ('profiles', 'luminors', 'luminor_conversations',
            'luminor_messages', 'luminor_relationships', 'luminor_memories', 'creations', 'published_creations',
            'likes', 'comments', 'follows', 'notifications', 'notification_keys', 'creation_views', 'creation_days'))
    ORDER BY 1
$$;
COMMENT ON FUNCTION maintained_tables() IS 'the tables of the social platform that are analysed and vacuumed, with their partitions';

CREATE FUNCTION analyse_table(p_name text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    found regclass;
BEGIN
    SELECT t.relation INTO found FROM public.maintained_tables() t WHERE t.name = p_name;
    IF found IS NULL THEN
        RETURN false;  -- a partition that was dropped meanwhile
    END IF;
    EXECUTE pg_catalog.format('ANALYZE %s', found);
    RETURN true;
END
$$;
COMMENT ON FUNCTION analyse_table(text) IS 'has the planner know a table of the social platform anew; the server does not own it';

CREATE FUNCTION table_sizes() RETURNS TABLE (name text, bytes bigint) LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = '' AS $$
    SELECT pg_catalog.regexp_replace(coalesce(p.inhparent, c.oid)::regclass::text, '^public\.', ''),
        sum(pg_catalog.pg_total_relation_size(c.oid))::bigint
    FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_inherits p ON p.inhrelid = c.oid
    WHERE c.relkind = 'r' AND c.relnamespace IN ('public'::regnamespace, 'playhall_auth'::regnamespace,
        'months'::regnamespace, 'telemetry_days'::regnamespace)
    GROUP BY 1 ORDER BY 2 DESC, 1
$$;
COMMENT ON FUNCTION table_sizes() IS 'how much each table takes with its indexes, the largest first; partitions count for their table';
REVOKE ALL ON FUNCTION maintained_tables(), analyse_table(text), table_sizes() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION maintained_tables(), analyse_table(text), table_sizes() TO playhall_server;

-- ------------------------------------------------------------------ views without an account

CREATE TABLE view_salts (
    day  date PRIMARY KEY,
    salt bytea NOT NULL CHECK (octet_length(salt) = 32)
);
COMMENT ON TABLE view_salts IS 'the secret of a day, with which addresses of viewers are hashed; deleted when the day is over';
COMMENT ON COLUMN view_salts.salt IS 'secret: without it a hash says nothing about an address';
SELECT playhall_auth.secure('view_salts');
REVOKE ALL ON view_salts FROM service_role;
GRANT SELECT, DELETE ON view_salts TO playhall_server;

CREATE FUNCTION count_anonymous_view(p_creation_id uuid, p_network text) RETURNS boolean LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    today CONSTANT date := (now() AT TIME ZONE 'UTC')::date;
    secret bytea;
BEGIN
    SELECT s.salt INTO secret FROM public.view_salts s WHERE s.day = today;
    IF secret IS NULL THEN
        INSERT INTO public.view_salts (day, salt)
        VALUES (today, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) ON CONFLICT DO NOTHING;
        SELECT s.salt INTO secret FROM public.view_salts s WHERE s.day = today;
    END IF;
    INSERT INTO public.creation_views (creation_id, day, viewer_hash)
    SELECT p.creation_id, today,
        -- The creation is hashed too, so that nobody can read which creations one network viewed.
        substring(sha256(secret || uuid_send(p.creation_id) || convert_to(p_network, 'UTF8')) FOR 16)
    FROM public.published_creations p WHERE p.creation_id = p_creation_id
    ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION count_anonymous_view(uuid, text) IS
    'counts a view of somebody without an account, once per network and day; false if it does not count';
REVOKE ALL ON FUNCTION count_anonymous_view(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_anonymous_view(uuid, text) TO playhall_server;

-- ------------------------------------------------------------------ who may vacuum

-- The right to vacuum is not granted here: a dump with MAINTAIN could not be restored into a PostgreSQL before
-- 17. Operators grant the role pg_maintain; the bundled database has done so.
GRANT USAGE ON SCHEMA months TO playhall_server;
