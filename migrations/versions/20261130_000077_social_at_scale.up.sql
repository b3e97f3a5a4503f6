-- ------------------------------------------------------------------ lists

-- Most texts have no such letters, and need not be taken apart.
CREATE OR REPLACE FUNCTION cjk_pairs(folded text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = '' AS $$
BEGIN
    IF folded !~ '[\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]' THEN
        RETURN '{}';
    END IF;
    RETURN (SELECT coalesce(array_agg(DISTINCT gram), '{}') FROM (
            SELECT letter, lead(letter) OVER (ORDER BY place) AS next
            FROM string_to_table(folded, NULL) WITH ORDINALITY AS t (letter, place)
        ) letters, LATERAL (VALUES (letter), (CASE WHEN next ~ '[\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]' THEN letter || next END)) AS g (gram)
        WHERE letter ~ '[\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]' AND gram IS NOT NULL);
END
$$;

CREATE FUNCTION listings_of(creations uuid[]) RETURNS SETOF published_creations LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT c.id, c.user_id, c.type, c.is_nsfw, c.is_featured, c.tags, f.title, f.document,
        setweight(to_tsvector('simple', f.title), 'A') || to_tsvector('simple', f.document)
            || to_tsvector('english', f.document) || array_to_tsvector(public.cjk_pairs(f.document)),
        c.published_at
    FROM public.creations c
    JOIN public.profiles o ON o.id = c.user_id AND o.is_active,
    LATERAL (SELECT public.fold_text(c.title) AS title, public.fold_text(
        concat_ws(E'\n', c.title, left(c.description, 2000), array_to_string(c.tags, ' '))) AS document OFFSET 0) f
    WHERE c.id = ANY (creations) AND c.status = 'published' AND c.is_public AND c.removed_at IS NULL;
END;
COMMENT ON FUNCTION listings_of(uuid[]) IS 'the rows of published_creations that creations are to have';
REVOKE ALL ON FUNCTION listings_of(uuid[]) FROM PUBLIC;

CREATE OR REPLACE FUNCTION list_creation(creation uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
BEGIN
    INSERT INTO public.published_creations AS p SELECT l.* FROM public.listings_of(ARRAY[creation]) l
    ON CONFLICT (creation_id) DO UPDATE SET user_id = excluded.user_id, type = excluded.type,
        is_nsfw = excluded.is_nsfw, is_featured = excluded.is_featured, tags = excluded.tags,
        title = excluded.title, document = excluded.document, words = excluded.words,
        published_at = excluded.published_at;
    IF NOT FOUND THEN
        DELETE FROM public.published_creations WHERE creation_id = creation;
    END IF;
END
$$;

-- ------------------------------------------------------------------ accounts

-- Comparing ids as texts read all profiles for each new player.
CREATE OR REPLACE FUNCTION player_names_account() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
BEGIN
    NEW.account_id := (SELECT f.id FROM public.profiles f WHERE f.id = CASE
        WHEN NEW.user_id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' THEN NEW.user_id::uuid END);
    RETURN NEW;
END
$$;

-- ------------------------------------------------------------------ feed

-- With whose a creation is, so that it is read from the index alone.
DROP INDEX published_creations_newest_idx;
CREATE INDEX published_creations_newest_idx ON published_creations (published_at DESC, creation_id DESC)
    INCLUDE (user_id, is_nsfw);

-- What is waiting to be put into an index on words is read through by every search.
ALTER INDEX published_creations_words_idx SET (gin_pending_list_limit = 256);
ALTER INDEX published_creations_tags_idx SET (gin_pending_list_limit = 256);

DROP FUNCTION list_feed(uuid, int, int, timestamptz, uuid);
CREATE FUNCTION list_feed(person uuid, row_limit int, row_offset int, before timestamptz, before_id uuid)
RETURNS uuid[] LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    wanted CONSTANT int := row_limit + row_offset;
    shows_nsfw CONSTANT boolean := public.shows_nsfw(person);
    looked_at int := 500;
    found int;
    ids uuid[];
BEGIN
    -- Who follows people that publish much finds a page among everybody's newest creations. How many of
    -- the newest five hundred are for them says how many have to be read.
    LOOP
        WITH followed AS MATERIALIZED (
            SELECT f.following_id FROM public.follows f WHERE f.follower_id = person
                AND NOT EXISTS (SELECT FROM public.mutes m WHERE m.muter_id = person AND m.muted_id = f.following_id))
        SELECT array_agg(n.creation_id ORDER BY n.published_at DESC, n.creation_id DESC), count(*) INTO ids, found
        FROM (
            SELECT c.creation_id, c.user_id, c.published_at, c.is_nsfw FROM public.published_creations c
            WHERE (c.published_at, c.creation_id) < (before, before_id)
            ORDER BY c.published_at DESC, c.creation_id DESC LIMIT looked_at) n
        WHERE n.user_id IN (SELECT w.following_id FROM followed w) AND (shows_nsfw OR NOT n.is_nsfw);
        IF found >= wanted THEN
            RETURN ids[row_offset + 1:wanted];
        END IF;
        EXIT WHEN looked_at > 500 OR found = 0 OR wanted / found > 5;
        looked_at := 750 * wanted / found;
    END LOOP;
    -- For the others: a page of so many creations is by no more people than that, those whose newest ones
    -- are newest. So of everybody else, one entry of an index is read.
    RETURN ARRAY(
        SELECT x.creation_id
        FROM (
            SELECT f.following_id
            FROM public.follows f
            CROSS JOIN LATERAL (
                SELECT c.published_at, c.creation_id FROM public.published_creations c
                WHERE c.user_id = f.following_id AND (c.published_at, c.creation_id) < (before, before_id)
                    AND (shows_nsfw OR NOT c.is_nsfw)
                ORDER BY c.published_at DESC, c.creation_id DESC LIMIT 1
            ) newest
            WHERE f.follower_id = person
                AND NOT EXISTS (SELECT FROM public.mutes m WHERE m.muter_id = person AND m.muted_id = f.following_id)
            ORDER BY newest.published_at DESC, newest.creation_id DESC LIMIT wanted
        ) who
        CROSS JOIN LATERAL (
            SELECT c.creation_id, c.published_at FROM public.published_creations c
            WHERE c.user_id = who.following_id AND (c.published_at, c.creation_id) < (before, before_id)
                AND (shows_nsfw OR NOT c.is_nsfw)
            ORDER BY c.published_at DESC, c.creation_id DESC LIMIT wanted
        ) x
        ORDER BY x.published_at DESC, x.creation_id DESC LIMIT row_limit OFFSET row_offset);
END
$$;
COMMENT ON FUNCTION list_feed(uuid, int, int, timestamptz, uuid) IS 'the newest creations of whom a person follows, before one of them';
REVOKE ALL ON FUNCTION list_feed(uuid, int, int, timestamptz, uuid) FROM PUBLIC;

-- ------------------------------------------------------------------ search

-- What search finds, newest first, from an offset or before a creation.
CREATE FUNCTION find_creations(
    viewer uuid, query text, of_type text, row_limit int, row_offset int, before timestamptz, before_id uuid
) RETURNS uuid[] LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    folded CONSTANT text := btrim(public.fold_text(left(regexp_replace(query, '\s+', ' ', 'g'), 200)));
    wanted CONSTANT int := row_limit + row_offset;
    conditions text := '';
    grams text[];
    patterns text[];
    words tsquery;
    looked_at int := 200;
    found int := 0;
    ids uuid[] := '{}';
BEGIN
    IF coalesce(folded, '') = '' THEN
        RETURN '{}';
    END IF;
    IF before IS NOT NULL THEN
        conditions := conditions || ' AND (c.published_at, c.creation_id) < ($7, $8)';
    END IF;
    IF of_type IS NOT NULL THEN
        conditions := conditions || ' AND c.type = $2';
    END IF;
    IF NOT public.shows_nsfw(viewer) THEN
        conditions := conditions || ' AND (NOT c.is_nsfw OR c.user_id = $3)';
    END IF;
    IF viewer IS NOT NULL THEN
        conditions := conditions
            || ' AND NOT EXISTS (SELECT FROM public.blocks b WHERE b.blocker_id = $3 AND b.blocked_id = c.user_id)
                 AND NOT EXISTS (SELECT FROM public.blocks b WHERE b.blocker_id = c.user_id AND b.blocked_id = $3)';
    END IF;
    grams := public.cjk_pairs(folded);
    IF cardinality(grams) > 0 THEN
        -- Scripts without spaces: pairs of letters find candidates, LIKE decides.
        SELECT string_agg(quote_literal(g), ' & ')::tsquery INTO words FROM unnest(grams) g;
        SELECT array_agg('%' || public.escape_like(t) || '%') INTO patterns FROM string_to_table(folded, ' ') t;
        conditions := conditions || ' AND c.document LIKE ALL ($6)';
    ELSE
        words := websearch_to_tsquery('simple', folded) || websearch_to_tsquery('english', folded);
    END IF;
    IF numnode(words) > 0 THEN
        -- Common words are found among the newest. For others the index on words finds few rows, but the
        -- planner does not know how rare a word is, and would read everything from the newest on. How
        -- many of the newest two hundred have the words says how many more would have to be read.
        LOOP
            EXECUTE 'SELECT ARRAY(SELECT c.creation_id FROM (SELECT * FROM public.published_creations WHERE true '
                || CASE WHEN of_type IS NULL THEN '' ELSE 'AND type = $2 ' END
                || CASE WHEN before IS NULL THEN '' ELSE 'AND (published_at, creation_id) < ($7, $8) ' END
                || 'ORDER BY published_at DESC, creation_id DESC LIMIT $9) c WHERE c.words @@ $1' || conditions
                || ' ORDER BY c.published_at DESC, c.creation_id DESC LIMIT $4 OFFSET $5)'
            INTO ids USING words, of_type, viewer, wanted, 0, patterns, before, before_id, looked_at;
            found := cardinality(ids);
            EXIT WHEN found >= wanted OR looked_at > 200 OR found = 0 OR wanted / found > 20;
            looked_at := 400 * (wanted / found + 1);
        END LOOP;
        IF found >= wanted THEN
            ids := ids[row_offset + 1:];
        ELSE
            EXECUTE 'WITH hit AS MATERIALIZED (
                    SELECT c.* FROM public.published_creations c WHERE c.words @@ $1' || conditions || ')
                SELECT ARRAY(SELECT c.creation_id FROM hit c
                    ORDER BY c.published_at DESC, c.creation_id DESC LIMIT $4 OFFSET $5)'
            INTO ids USING words, of_type, viewer, row_limit, row_offset, patterns, before, before_id;
        END IF;
    END IF;
    -- Whoever excludes words or quotes some means exactly that.
    IF ids = '{}' AND row_offset = 0 AND before IS NULL AND cardinality(grams) = 0 AND char_length(folded) >= 3
        AND folded !~ '(^| )-|"'
    THEN
        EXECUTE 'SELECT ARRAY(SELECT c.creation_id FROM public.similar_titles($1, 200) WITH ORDINALITY s (id, place)
            JOIN public.published_creations c ON c.creation_id = s.id WHERE true' || conditions
            || ' ORDER BY s.place LIMIT $4)'
        INTO ids USING folded, of_type, viewer, row_limit;
    END IF;
    RETURN ids;
END
$$;
COMMENT ON FUNCTION find_creations(uuid, text, text, int, int, timestamptz, uuid) IS
    'what a viewer finds by words, newest first, or by a similar title if there is nothing';

CREATE OR REPLACE FUNCTION search_creations(
    p_query text, p_type text DEFAULT NULL, p_limit int DEFAULT 20, p_offset int DEFAULT 0
) RETURNS SETOF creation_card LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = '' AS $$
    SELECT * FROM public.creation_cards(public.find_creations(auth.uid(), p_query, p_type,
        least(greatest(p_limit, 1), 100), least(greatest(p_offset, 0), 1000), NULL, NULL), auth.uid())
$$;
COMMENT ON FUNCTION search_creations(text, text, int, int) IS
    'published creations with all words of a query, newest first; if there are none, those with a similar title; by offset, up to 1000: search_creations_page reads on without limit';

CREATE FUNCTION search_creations_page(
    p_query text, p_type text DEFAULT NULL, p_limit int DEFAULT 20, p_before timestamptz DEFAULT NULL,
    p_before_id uuid DEFAULT NULL
) RETURNS SETOF creation_card LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = '' AS $$
    SELECT * FROM public.creation_cards(public.find_creations(auth.uid(), p_query, p_type,
        least(greatest(p_limit, 1), 100), 0, p_before, coalesce(p_before_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff')),
        auth.uid())
$$;
COMMENT ON FUNCTION search_creations_page(text, text, int, timestamptz, uuid) IS
    'a page of what search finds: what was published before a creation, by its published_at and id';
REVOKE ALL ON FUNCTION find_creations(uuid, text, text, int, int, timestamptz, uuid),
    search_creations_page(text, text, int, timestamptz, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_creations_page(text, text, int, timestamptz, uuid)
    TO anon, authenticated, service_role, playhall_server;

-- ------------------------------------------------------------------ inbox

-- Row level security asks for each notification whether its actor may be seen, and a group counts up to
-- a thousand. Here those who may not be seen are read once. They are few, and listed to nobody.
CREATE INDEX profiles_hidden_idx ON profiles (id) WHERE NOT is_active;

CREATE FUNCTION hidden_from(viewer uuid) RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT b.blocked_id FROM public.blocks b WHERE b.blocker_id = viewer
    UNION ALL SELECT b.blocker_id FROM public.blocks b WHERE b.blocked_id = viewer
    UNION ALL SELECT p.id FROM public.profiles p WHERE NOT p.is_active AND p.id IS DISTINCT FROM viewer;
END;
COMMENT ON FUNCTION hidden_from(uuid) IS 'whom a viewer may not see; for functions alone, since nobody may learn who blocks them';
REVOKE ALL ON FUNCTION hidden_from(uuid) FROM PUBLIC;

CREATE FUNCTION list_inbox(
    p_user_id uuid, p_before timestamptz, p_before_id uuid, p_archived boolean, p_unread boolean, p_group text,
    p_looked_at int, p_limit int, p_counted int
) RETURNS TABLE (
    id uuid, seq bigint, user_id uuid, type text, title text, message text, action_url text, metadata jsonb,
    creation_id uuid, comment_id uuid, group_key text, is_read boolean, is_archived boolean, created_at timestamptz,
    actor_id uuid, notification_count int, unread_count int, actor_count int
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
#variable_conflict use_column
BEGIN
    PERFORM public.require_self(p_user_id);
    RETURN QUERY
    WITH hidden AS MATERIALIZED (SELECT h.id FROM public.hidden_from(p_user_id) AS h (id)), heads AS MATERIALIZED (
        SELECT n.* FROM (
            SELECT m.* FROM public.notifications m
            WHERE m.user_id = p_user_id AND (m.created_at, m.id) < (p_before, p_before_id)
                AND m.is_archived = p_archived AND (NOT p_unread OR m.is_read = FALSE)
                AND (p_group IS NULL OR m.group_key = p_group) AND m.expires_at > now()
                AND (m.actor_id IS NULL OR m.actor_id NOT IN (SELECT h.id FROM hidden h))
            ORDER BY m.created_at DESC, m.id DESC LIMIT p_looked_at
        ) n
        WHERE n.group_key IS NULL OR p_group IS NOT NULL OR NOT EXISTS (
            SELECT FROM public.notifications o
            WHERE o.user_id = p_user_id AND o.group_key = n.group_key
                AND (o.created_at, o.id) > (n.created_at, n.id) AND o.is_archived = p_archived
                AND (NOT p_unread OR o.is_read = FALSE) AND o.expires_at > now()
                AND (o.actor_id IS NULL OR o.actor_id NOT IN (SELECT h.id FROM hidden h)))
        ORDER BY n.created_at DESC, n.id DESC LIMIT p_limit
    )
    SELECT n.id, n.seq, n.user_id, n.type, n.title, n.message, n.action_url, n.metadata, n.creation_id, n.comment_id,
        n.group_key, n.is_read, n.is_archived, n.created_at, n.actor_id,
        greatest(g.notifications, 1),
        CASE g.notifications WHEN 0 THEN (NOT n.is_read)::int ELSE g.unread END,
        CASE g.notifications WHEN 0 THEN (n.actor_id IS NOT NULL)::int ELSE g.actors END
    FROM heads n
    CROSS JOIN LATERAL (
        SELECT count(*)::int AS notifications, count(*) FILTER (WHERE NOT few.is_read)::int AS unread,
            count(DISTINCT few.actor_id)::int AS actors
        FROM (
            SELECT o.is_read, o.actor_id FROM public.notifications o
            WHERE p_group IS NULL AND o.user_id = p_user_id AND o.group_key = n.group_key
                AND o.is_archived = p_archived AND (NOT p_unread OR o.is_read = FALSE) AND o.expires_at > now()
                AND (o.actor_id IS NULL OR o.actor_id NOT IN (SELECT h.id FROM hidden h))
            ORDER BY o.created_at DESC, o.id DESC LIMIT p_counted
        ) few
    ) g
    ORDER BY n.created_at DESC, n.id DESC;
END
$$;
COMMENT ON FUNCTION list_inbox IS
    'the newest notification of each group of a person''s, older than a place, with what the group has; looks at a bounded number of notifications';

CREATE FUNCTION find_inbox_end(
    p_user_id uuid, p_before timestamptz, p_before_id uuid, p_archived boolean, p_unread boolean, p_group text,
    p_looked_at int
) RETURNS TABLE (created_at timestamptz, id uuid) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
#variable_conflict use_column
BEGIN
    PERFORM public.require_self(p_user_id);
    RETURN QUERY
    WITH hidden AS MATERIALIZED (SELECT h.id FROM public.hidden_from(p_user_id) AS h (id))
    SELECT m.created_at, m.id FROM public.notifications m
    WHERE m.user_id = p_user_id AND (m.created_at, m.id) < (p_before, p_before_id)
        AND m.is_archived = p_archived AND (NOT p_unread OR m.is_read = FALSE)
        AND (p_group IS NULL OR m.group_key = p_group) AND m.expires_at > now()
        AND (m.actor_id IS NULL OR m.actor_id NOT IN (SELECT h.id FROM hidden h))
    ORDER BY m.created_at DESC, m.id DESC OFFSET p_looked_at - 1 LIMIT 1;
END
$$;
COMMENT ON FUNCTION find_inbox_end IS 'the last notification that a page of list_inbox looked at; none if it looked at all';

CREATE FUNCTION list_inbox_actors(
    p_user_id uuid, p_heads uuid[], p_groups text[], p_actors uuid[], p_archived boolean, p_unread boolean
) RETURNS TABLE (head_id uuid, id uuid, name text, avatar_url text) LANGUAGE plpgsql STABLE
SECURITY DEFINER SET search_path = '' AS $$
#variable_conflict use_column
BEGIN
    PERFORM public.require_self(p_user_id);
    RETURN QUERY
    WITH hidden AS MATERIALIZED (SELECT h.id FROM public.hidden_from(p_user_id) AS h (id))
    SELECT h.head_id, a.id, coalesce(a.display_name, a.username, a.arcanean_id), a.avatar_url
    FROM unnest(p_heads, p_groups, p_actors) AS h (head_id, group_key, actor_id)
    CROSS JOIN LATERAL (
        SELECT few.actor_id, max(few.created_at) AS newest FROM (
            SELECT h.actor_id, now() AS created_at WHERE h.actor_id IS NOT NULL
            UNION ALL
            (SELECT o.actor_id, o.created_at FROM public.notifications o
             WHERE h.group_key IS NOT NULL AND o.user_id = p_user_id AND o.group_key = h.group_key
               AND o.actor_id IS NOT NULL AND o.is_archived = p_archived AND (NOT p_unread OR o.is_read = FALSE)
               AND o.expires_at > now() AND o.actor_id NOT IN (SELECT x.id FROM hidden x)
             ORDER BY o.created_at DESC, o.id DESC LIMIT 20)
        ) few
        WHERE few.actor_id NOT IN (SELECT x.id FROM hidden x)
        GROUP BY few.actor_id ORDER BY newest DESC LIMIT 3
    ) found
    JOIN public.profiles a ON a.id = found.actor_id
    ORDER BY h.head_id, found.newest DESC;
END
$$;
COMMENT ON FUNCTION list_inbox_actors IS 'the newest people of some groups, three of each; a group without a key is one notification';

CREATE FUNCTION count_inbox_unread(p_user_id uuid, p_most int) RETURNS int LANGUAGE plpgsql STABLE
SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    PERFORM public.require_self(p_user_id);
    RETURN (
        WITH hidden AS MATERIALIZED (SELECT h.id FROM public.hidden_from(p_user_id) AS h (id))
        SELECT count(*)::int FROM (
            SELECT FROM public.notifications n
            WHERE n.user_id = p_user_id AND n.is_read = FALSE AND NOT n.is_archived AND n.expires_at > now()
                AND (n.actor_id IS NULL OR n.actor_id NOT IN (SELECT h.id FROM hidden h)) LIMIT p_most) few);
END
$$;
COMMENT ON FUNCTION count_inbox_unread(uuid, int) IS 'how many notifications a person has not read, up to a bound';
REVOKE ALL ON FUNCTION list_inbox, find_inbox_end, list_inbox_actors, count_inbox_unread(uuid, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION list_inbox, find_inbox_end, list_inbox_actors, count_inbox_unread(uuid, int)
    TO authenticated, service_role, playhall_server;

-- ------------------------------------------------------------------ likes of many at once

-- Many people who like one creation at the same time would wait for each other's commits. This does it
-- for all of them in one transaction; rules, counters and notifications stay those of the triggers.
CREATE FUNCTION set_likes(p_creation_id uuid, p_likers uuid[], p_unlikers uuid[])
RETURNS TABLE (user_id uuid, is_changed boolean, like_count int) LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = '' AS $$
#variable_conflict use_column
DECLARE
    found public.creations;
    is_open boolean;
    likers uuid[];
    changed uuid[];
BEGIN
    IF public.is_user_request() THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'only the service likes for several people';
    END IF;
    SELECT c.* INTO found FROM public.creations c WHERE c.id = p_creation_id FOR NO KEY UPDATE;
    is_open := found.status = 'published' AND found.is_public AND found.removed_at IS NULL
        AND EXISTS (SELECT FROM public.profiles o WHERE o.id = found.user_id AND o.is_active);
    likers := ARRAY(SELECT p.id FROM unnest(p_likers) AS p (id)
        WHERE found.status = 'published' AND (p.id = found.user_id
            OR is_open AND NOT public.has_block(found.user_id, p.id)) ORDER BY 1);
    WITH added AS (
        INSERT INTO public.likes (user_id, creation_id) SELECT l.id, p_creation_id FROM unnest(likers) AS l (id)
        ON CONFLICT DO NOTHING RETURNING user_id)
    SELECT array_agg(a.user_id) INTO changed FROM added a;
    WITH gone AS (
        DELETE FROM public.likes WHERE creation_id = p_creation_id AND user_id = ANY (p_unlikers) RETURNING user_id)
    SELECT changed || array_agg(g.user_id) INTO changed FROM gone g;
    -- Who may not see the creation has no row, or no count where a like of theirs was taken back.
    RETURN QUERY SELECT p.id, coalesce(p.id = ANY (changed), false),
        CASE WHEN p.id = found.user_id OR is_open AND NOT public.has_block(found.user_id, p.id) THEN c.like_count END
    FROM unnest(likers || p_unlikers) AS p (id) JOIN public.creations c ON c.id = p_creation_id;
END
$$;
COMMENT ON FUNCTION set_likes(uuid, uuid[], uuid[]) IS
    'likes a creation for several people and takes back the likes of others, as set_like does for one';
REVOKE ALL ON FUNCTION set_likes(uuid, uuid[], uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION set_likes(uuid, uuid[], uuid[]) TO playhall_server, service_role;
