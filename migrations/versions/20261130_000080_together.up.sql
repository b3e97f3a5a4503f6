-- ------------------------------------------------------------------ collaborators

CREATE TABLE creation_collaborators (
    creation_id uuid NOT NULL REFERENCES creations ON DELETE CASCADE,
    user_id     uuid NOT NULL REFERENCES profiles ON DELETE CASCADE,
    role        text NOT NULL CHECK (role IN ('editor', 'viewer')),
    accepted_at timestamptz,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (creation_id, user_id)
);
CREATE INDEX creation_collaborators_person_idx ON creation_collaborators (user_id, created_at DESC, creation_id DESC);
COMMENT ON TABLE creation_collaborators IS 'who is invited to a creation of somebody else, and who accepted';
COMMENT ON COLUMN creation_collaborators.role IS 'editors change the fields of the draft, viewers read it';
COMMENT ON COLUMN creation_collaborators.accepted_at IS 'null while it is an invitation, which allows nothing';

-- The policies of creations ask who collaborates, and those of collaborators whose creation it is. Functions
-- that run as their owner keep one from asking the other for ever.
CREATE FUNCTION shared_creations(p_role text DEFAULT NULL) RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = ''
BEGIN ATOMIC
    SELECT k.creation_id FROM public.creation_collaborators k
    JOIN public.creations c ON c.id = k.creation_id
    JOIN public.profiles o ON o.id = c.user_id AND o.is_active
    WHERE k.user_id = auth.uid() AND k.accepted_at IS NOT NULL AND (p_role IS NULL OR k.role = p_role)
        AND c.removed_at IS NULL AND NOT public.has_block(c.user_id, k.user_id);
END;
COMMENT ON FUNCTION shared_creations(text) IS 'the creations of others that whoever asks collaborates on, in a role or any';

CREATE FUNCTION owns_creation(p_creation_id uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
RETURN EXISTS (SELECT FROM public.creations c WHERE c.id = p_creation_id AND c.user_id = auth.uid());
COMMENT ON FUNCTION owns_creation(uuid) IS 'whether a creation is one''s own';

CREATE FUNCTION inviter_of(p_creation_id uuid) RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT c.user_id FROM public.creations c JOIN public.creation_collaborators k ON k.creation_id = c.id
    WHERE c.id = p_creation_id AND k.user_id = auth.uid() AND c.removed_at IS NULL;
END;
COMMENT ON FUNCTION inviter_of(uuid) IS 'who invited whoever asks to a creation, which they may not see yet';

CREATE FUNCTION collaborator_allowed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    owner uuid;
BEGIN
    SELECT c.user_id INTO owner FROM public.creations c WHERE c.id = NEW.creation_id FOR NO KEY UPDATE;
    IF owner = NEW.user_id OR public.has_block(owner, NEW.user_id)
        OR NOT (SELECT p.is_active FROM public.profiles p WHERE p.id = NEW.user_id)
    THEN
        PERFORM public.refuse_social('creation_collaborators_person', 'this person cannot be invited');
    END IF;
    IF (SELECT count(*) FROM public.creation_collaborators k WHERE k.creation_id = NEW.creation_id) >= 20
        OR (SELECT count(*) FROM public.creation_collaborators k WHERE k.user_id = NEW.user_id) >= 500
    THEN
        PERFORM public.refuse_social('creation_collaborators_count', 'there are too many collaborators');
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION collaborator_allowed() IS 'keeps blocked people from being invited, and the number of invitations within bounds';
CREATE TRIGGER creation_collaborators_allowed BEFORE INSERT ON creation_collaborators
    FOR EACH ROW EXECUTE FUNCTION collaborator_allowed();

-- Who is invited accepts; only the owner decides about roles.
CREATE FUNCTION collaboration_kept() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    is_owner CONSTANT boolean := public.owns_creation(OLD.creation_id);
BEGIN
    IF public.is_user_request() AND (
        NOT is_owner AND NEW.role IS DISTINCT FROM OLD.role
        OR is_owner AND NEW.accepted_at IS DISTINCT FROM OLD.accepted_at)
    THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'the owner decides about the role, and who is invited about accepting';
    END IF;
    IF NEW.accepted_at IS DISTINCT FROM OLD.accepted_at THEN
        NEW.accepted_at := coalesce(OLD.accepted_at, clock_timestamp());
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION collaboration_kept() IS 'lets the owner change roles, and who is invited accept, once';
CREATE TRIGGER creation_collaborators_kept BEFORE UPDATE ON creation_collaborators
    FOR EACH ROW EXECUTE FUNCTION collaboration_kept();

CREATE FUNCTION block_ends_collaborations() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    DELETE FROM public.creation_collaborators k USING public.creations c
    WHERE c.id = k.creation_id AND (c.user_id = NEW.blocker_id AND k.user_id = NEW.blocked_id
        OR c.user_id = NEW.blocked_id AND k.user_id = NEW.blocker_id);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION block_ends_collaborations() IS 'a block ends collaborations and invitations both ways';
CREATE TRIGGER blocks_end_collaborations AFTER INSERT ON blocks
    FOR EACH ROW EXECUTE FUNCTION block_ends_collaborations();

-- An editor changes what the draft says, not what becomes of it.
CREATE FUNCTION creation_edited() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    IF public.is_user_request() AND OLD.user_id IS DISTINCT FROM auth.uid() AND (
        (NEW.user_id, NEW.type, NEW.file_url, NEW.thumbnail_url, NEW.file_size, NEW.file_format, NEW.status, NEW.is_public,
            NEW.is_nsfw, NEW.license, NEW.allow_remix, NEW.allow_commercial)
        IS DISTINCT FROM
        (OLD.user_id, OLD.type, OLD.file_url, OLD.thumbnail_url, OLD.file_size, OLD.file_format, OLD.status, OLD.is_public,
            OLD.is_nsfw, OLD.license, OLD.allow_remix, OLD.allow_commercial))
    THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'only the owner changes the files, the licence and who sees a creation';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION creation_edited() IS 'keeps editors to the texts, tags and parameters of a draft';
CREATE TRIGGER creations_edited
    BEFORE UPDATE OF user_id, type, file_url, thumbnail_url, file_size, file_format, status, is_public, is_nsfw, license,
        allow_remix, allow_commercial
    ON creations FOR EACH ROW EXECUTE FUNCTION creation_edited();

REVOKE ALL ON FUNCTION shared_creations(text), owns_creation(uuid), inviter_of(uuid), collaborator_allowed(), collaboration_kept(),
    block_ends_collaborations(), creation_edited() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shared_creations(text), owns_creation(uuid), inviter_of(uuid) TO authenticated, service_role, playhall_server;

SELECT playhall_auth.secure('creation_collaborators');
CREATE POLICY own_readable ON creation_collaborators FOR SELECT TO authenticated
    USING (user_id = (SELECT auth.uid()) OR owns_creation(creation_id)
        OR accepted_at IS NOT NULL AND creation_id IN (SELECT shared_creations()));
CREATE POLICY own_makeable ON creation_collaborators FOR INSERT TO authenticated
    WITH CHECK (owns_creation(creation_id));
CREATE POLICY own_changeable ON creation_collaborators FOR UPDATE TO authenticated
    USING (user_id = (SELECT auth.uid()) OR owns_creation(creation_id))
    WITH CHECK (user_id = (SELECT auth.uid()) OR owns_creation(creation_id));
CREATE POLICY own_deletable ON creation_collaborators FOR DELETE TO authenticated
    USING (user_id = (SELECT auth.uid()) OR owns_creation(creation_id));
GRANT SELECT, DELETE ON creation_collaborators TO authenticated;
GRANT INSERT (creation_id, user_id, role) ON creation_collaborators TO authenticated;
GRANT UPDATE (role, accepted_at) ON creation_collaborators TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON creation_collaborators TO playhall_server;

-- Policies are tried in the order of their names: this one last, since it looks up more.
CREATE POLICY shared_readable ON creations FOR SELECT TO authenticated USING (id IN (SELECT shared_creations()));
CREATE POLICY shared_changeable ON creations FOR UPDATE TO authenticated
    USING (status IN ('draft', 'processing') AND id IN (SELECT shared_creations('editor')))
    WITH CHECK (status IN ('draft', 'processing') AND id IN (SELECT shared_creations('editor')));

-- ------------------------------------------------------------------ days of creations

ALTER TABLE creation_days
    ADD COLUMN like_count int NOT NULL DEFAULT 0 CHECK (like_count >= 0),
    ADD COLUMN comment_count int NOT NULL DEFAULT 0 CHECK (comment_count >= 0),
    ADD COLUMN remix_count int NOT NULL DEFAULT 0 CHECK (remix_count >= 0);
COMMENT ON TABLE creation_days IS 'a creation by day (UTC): each counter of creations is the sum of its days';
COMMENT ON COLUMN creation_days.like_count IS 'likes that were given that day and still are';
COMMENT ON COLUMN creation_days.comment_count IS 'comments of that day that were neither deleted nor removed';
COMMENT ON COLUMN creation_days.remix_count IS 'published remixes that were first published that day';

CREATE FUNCTION count_creation_days(ids uuid[]) RETURNS TABLE (
    creation_id uuid, day date, like_count int, comment_count int, remix_count int
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT x.creation_id, (x.at AT TIME ZONE 'UTC')::date, count(*) FILTER (WHERE x.kind = 1)::int,
        count(*) FILTER (WHERE x.kind = 2)::int, count(*) FILTER (WHERE x.kind = 3)::int
    FROM (
        SELECT l.creation_id, 1 AS kind, l.created_at AS at FROM public.likes l WHERE l.creation_id = ANY (ids)
        UNION ALL
        SELECT k.creation_id, 2, k.created_at FROM public.comments k
        WHERE k.creation_id = ANY (ids) AND k.deleted_at IS NULL AND k.removed_at IS NULL
        UNION ALL
        SELECT r.remix_of, 3, r.published_at FROM public.creations r
        WHERE r.remix_of = ANY (ids) AND r.status = 'published') x
    GROUP BY 1, 2;
END;
COMMENT ON FUNCTION count_creation_days(uuid[]) IS 'counts the days of creations from the rows themselves';

INSERT INTO creation_days AS d (creation_id, day, like_count, comment_count, remix_count)
SELECT n.* FROM count_creation_days((SELECT coalesce(array_agg(id), '{}') FROM creations)) n
ON CONFLICT (creation_id, day) DO UPDATE SET like_count = excluded.like_count,
    comment_count = excluded.comment_count, remix_count = excluded.remix_count;

-- Triggers fire in the order of their names. Those that count days come after those that count for the creation,
-- which have locked it then: so no two transactions wait for each other, and days need no order of their own.
CREATE FUNCTION add_to_creation_day(creation uuid, at timestamptz, likes int, comments int, remixes int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    IF likes + comments + remixes > 0 THEN
        INSERT INTO public.creation_days AS d (creation_id, day, like_count, comment_count, remix_count)
        VALUES (creation, (at AT TIME ZONE 'UTC')::date, likes, comments, remixes)
        ON CONFLICT (creation_id, day) DO UPDATE SET like_count = d.like_count + excluded.like_count,
            comment_count = d.comment_count + excluded.comment_count,
            remix_count = d.remix_count + excluded.remix_count;
    ELSE  -- the creation may be gone, and its days with it
        UPDATE public.creation_days d SET like_count = greatest(0, d.like_count + likes),
            comment_count = greatest(0, d.comment_count + comments),
            remix_count = greatest(0, d.remix_count + remixes)
        WHERE d.creation_id = creation AND d.day = (at AT TIME ZONE 'UTC')::date;
    END IF;
END
$$;
COMMENT ON FUNCTION add_to_creation_day IS 'adds to the counters of a creation on a day, or takes from them';

CREATE FUNCTION like_dated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    PERFORM public.add_to_creation_day(n.creation_id, n.at, CASE TG_OP WHEN 'INSERT' THEN n.count ELSE -n.count END, 0, 0)
    FROM (SELECT r.creation_id, min(r.created_at) AS at, count(*)::int AS count FROM changed r
        GROUP BY r.creation_id, (r.created_at AT TIME ZONE 'UTC')::date ORDER BY 1, 2) n;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION like_dated() IS 'counts likes by day';
CREATE TRIGGER likes_in_days_added AFTER INSERT ON likes REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION like_dated();
CREATE TRIGGER likes_in_days_deleted AFTER DELETE ON likes REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION like_dated();

CREATE FUNCTION comment_dated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    PERFORM public.add_to_creation_day(n.creation_id, n.at, 0, CASE TG_OP WHEN 'INSERT' THEN n.count ELSE -n.count END, 0)
    FROM (SELECT r.creation_id, min(r.created_at) AS at, count(*)::int AS count FROM changed r
        WHERE r.deleted_at IS NULL AND r.removed_at IS NULL
        GROUP BY r.creation_id, (r.created_at AT TIME ZONE 'UTC')::date ORDER BY 1, 2) n;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION comment_dated() IS 'counts comments by day';
CREATE TRIGGER comments_in_days_added AFTER INSERT ON comments REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION comment_dated();
CREATE TRIGGER comments_in_days_deleted AFTER DELETE ON comments REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION comment_dated();

CREATE FUNCTION comment_redated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    PERFORM public.add_to_creation_day(NEW.creation_id, NEW.created_at, 0,
        (NEW.deleted_at IS NULL AND NEW.removed_at IS NULL)::int
        - (OLD.deleted_at IS NULL AND OLD.removed_at IS NULL)::int, 0);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION comment_redated() IS 'counts by day comments that become tombstones, are removed, or come back';
CREATE TRIGGER comments_redated AFTER UPDATE OF deleted_at, removed_at ON comments
    FOR EACH ROW WHEN ((NEW.deleted_at IS NULL AND NEW.removed_at IS NULL)
        <> (OLD.deleted_at IS NULL AND OLD.removed_at IS NULL))
    EXECUTE FUNCTION comment_redated();

CREATE FUNCTION remix_dated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.status = 'published' AND OLD.remix_of IS NOT NULL THEN
        PERFORM public.add_to_creation_day(OLD.remix_of, OLD.published_at, 0, 0, -1);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.status = 'published' AND NEW.remix_of IS NOT NULL THEN
        PERFORM public.add_to_creation_day(NEW.remix_of, NEW.published_at, 0, 0, 1);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION remix_dated() IS 'counts published remixes by day';
CREATE TRIGGER creations_dated AFTER INSERT OR DELETE OR UPDATE OF status, remix_of, published_at ON creations
    FOR EACH ROW EXECUTE FUNCTION remix_dated();

REVOKE ALL ON FUNCTION count_creation_days(uuid[]), add_to_creation_day, like_dated(), comment_dated(), comment_redated(),
    remix_dated() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_creation_days(uuid[]) TO playhall_server, service_role;
GRANT INSERT, UPDATE, DELETE ON creation_days TO playhall_server;  -- repairs by `playhall social verify`

-- ------------------------------------------------------------------ recommendations

CREATE INDEX likes_newest_of_person_idx ON likes (user_id, created_at DESC, creation_id);

-- What is common is looked at in part: an index scan gives about so many at most, so that the cost is bounded
-- whatever people tag and like. A tag that is rarer than that is counted exactly.
CREATE FUNCTION recommend_creations(
    p_sources uuid[], p_viewer uuid, p_limit int, p_except_owner uuid DEFAULT NULL
) RETURNS TABLE (creation_id uuid, score double precision, tag text, source_id uuid, also_liked int)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' SET enable_seqscan = off SET gin_fuzzy_search_limit = 300
AS $$
DECLARE
    each record;
    with_tag uuid[];
    shows_nsfw CONSTANT boolean := public.shows_nsfw(p_viewer);
    ids uuid[] := '{}';
    weights double precision[] := '{}';
    tags text[] := '{}';
    sources uuid[] := '{}';
BEGIN
    FOR each IN
        SELECT t.tag AS name, count(*) AS times, (array_agg(c.id ORDER BY c.id))[1] AS source
        FROM public.creations c, unnest(c.tags) AS t (tag)
        WHERE c.id = ANY (p_sources) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 12
    LOOP
        with_tag := ARRAY(SELECT p.creation_id FROM public.published_creations p
            WHERE p.tags @> ARRAY[each.name] LIMIT 300);
        ids := ids || with_tag;
        weights := weights || array_fill(each.times / ln(2.7 + cardinality(with_tag)), ARRAY[cardinality(with_tag)]);
        tags := tags || array_fill(each.name, ARRAY[cardinality(with_tag)]);
        sources := sources || array_fill(each.source, ARRAY[cardinality(with_tag)]);
    END LOOP;
    RETURN QUERY
        WITH liker AS (
            SELECT s.source, l.user_id FROM unnest(p_sources) AS s (source)
            CROSS JOIN LATERAL (SELECT k.user_id FROM public.likes k WHERE k.creation_id = s.source LIMIT 25) l
            WHERE l.user_id IS DISTINCT FROM p_viewer LIMIT 100
        ), found AS (
            SELECT x.id, x.weight, x.name, x.source, 0 AS liked
            FROM unnest(ids, weights, tags, sources) AS x (id, weight, name, source)
            UNION ALL
            SELECT l.creation_id, 1.0, NULL, k.source, 1
            FROM liker k CROSS JOIN LATERAL (
                SELECT m.creation_id FROM public.likes m WHERE m.user_id = k.user_id
                ORDER BY m.created_at DESC LIMIT 30) l
        ), scored AS (
            SELECT f.id, sum(f.weight) AS score, sum(f.liked)::int AS liked,
                (array_agg(f.name ORDER BY f.weight DESC, f.name) FILTER (WHERE f.name IS NOT NULL))[1] AS name,
                (array_agg(f.source ORDER BY f.weight DESC, f.source))[1] AS source
            FROM found f WHERE f.id <> ALL (p_sources) GROUP BY f.id ORDER BY 2 DESC, 1 LIMIT 300
        )
        SELECT s.id, s.score, s.name, s.source, s.liked
        FROM scored s JOIN public.published_creations p ON p.creation_id = s.id
        WHERE p.user_id IS DISTINCT FROM p_viewer AND p.user_id IS DISTINCT FROM p_except_owner
            AND (NOT p.is_nsfw OR shows_nsfw)
            AND (p_viewer IS NULL
                OR NOT EXISTS (SELECT FROM public.blocks b WHERE b.blocker_id = p_viewer AND b.blocked_id = p.user_id)
                AND NOT EXISTS (SELECT FROM public.blocks b WHERE b.blocker_id = p.user_id AND b.blocked_id = p_viewer)
                AND NOT EXISTS (SELECT FROM public.mutes m WHERE m.muter_id = p_viewer AND m.muted_id = p.user_id)
                AND NOT EXISTS (SELECT FROM public.likes l WHERE l.user_id = p_viewer AND l.creation_id = s.id))
        ORDER BY s.score DESC, p.published_at DESC, s.id LIMIT p_limit;
END
$$;
COMMENT ON FUNCTION recommend_creations IS
    'creations with the tags of some, or liked by the same people, best first; what the viewer does not see is left out';
REVOKE ALL ON FUNCTION recommend_creations FROM PUBLIC;

CREATE TYPE creation_recommendation AS (card creation_card, tag text, source_id uuid, source_title text, also_liked int);
COMMENT ON TYPE creation_recommendation IS 'a creation that is recommended, and why';

CREATE FUNCTION explain_recommendations(p_sources uuid[], p_viewer uuid, p_limit int, p_except_owner uuid)
RETURNS SETOF creation_recommendation LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    WITH best AS MATERIALIZED (
        SELECT r.*, row_number() OVER () AS place
        FROM public.recommend_creations(p_sources, p_viewer, p_limit, p_except_owner) r)
    SELECT ROW(k.*)::public.creation_card, b.tag, b.source_id, s.title, b.also_liked
    FROM best b
    CROSS JOIN LATERAL public.creation_cards(ARRAY[b.creation_id], p_viewer) k
    JOIN public.creations s ON s.id = b.source_id
    ORDER BY b.place;
END;
COMMENT ON FUNCTION explain_recommendations IS 'recommended creations as lists show them';
REVOKE ALL ON FUNCTION explain_recommendations FROM PUBLIC;

CREATE FUNCTION similar_creations(p_creation_id uuid, p_limit int DEFAULT 20, p_other_people boolean DEFAULT false)
RETURNS SETOF creation_recommendation LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    owner uuid;
BEGIN
    SELECT p.user_id INTO owner FROM public.published_creations p
    WHERE p.creation_id = p_creation_id AND public.may_see_person(p.user_id);
    IF FOUND THEN
        RETURN QUERY SELECT * FROM public.explain_recommendations(ARRAY[p_creation_id], auth.uid(),
            least(greatest(p_limit, 1), 50), CASE WHEN p_other_people THEN owner END);
    END IF;
END
$$;
COMMENT ON FUNCTION similar_creations IS 'published creations that are similar to one; of other people only, if wanted';

CREATE FUNCTION recommended_creations(p_user_id uuid, p_limit int DEFAULT 20)
RETURNS SETOF creation_recommendation LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    PERFORM public.require_self(p_user_id);
    RETURN QUERY SELECT * FROM public.explain_recommendations(
        ARRAY(SELECT l.creation_id FROM (
                SELECT k.creation_id, k.created_at FROM public.likes k WHERE k.user_id = p_user_id
                ORDER BY k.created_at DESC LIMIT 20) l
            JOIN public.published_creations p ON p.creation_id = l.creation_id
            WHERE NOT public.has_block(p.user_id, p_user_id)),
        p_user_id, least(greatest(p_limit, 1), 50), NULL);
END
$$;
COMMENT ON FUNCTION recommended_creations IS 'published creations that are similar to what a person liked last';
REVOKE ALL ON FUNCTION similar_creations, recommended_creations FROM PUBLIC;
GRANT EXECUTE ON FUNCTION similar_creations TO anon, authenticated, service_role, playhall_server;
GRANT EXECUTE ON FUNCTION recommended_creations TO authenticated, service_role, playhall_server;
