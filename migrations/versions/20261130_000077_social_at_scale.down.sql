-- Functions as they were before, and what was added goes.
DROP FUNCTION set_likes(uuid, uuid[], uuid[]);
DROP FUNCTION count_inbox_unread(uuid, int);
DROP FUNCTION list_inbox(uuid, timestamptz, uuid, boolean, boolean, text, int, int, int);
DROP FUNCTION list_inbox_actors(uuid, uuid[], text[], uuid[], boolean, boolean);
DROP FUNCTION find_inbox_end(uuid, timestamptz, uuid, boolean, boolean, text, int);
DROP FUNCTION hidden_from(uuid);
DROP INDEX profiles_hidden_idx;
DROP FUNCTION search_creations_page(text, text, int, timestamptz, uuid);

CREATE OR REPLACE FUNCTION search_creations(p_query text, p_type text DEFAULT NULL, p_limit int DEFAULT 20, p_offset int DEFAULT 0)
RETURNS SETOF creation_card LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    viewer CONSTANT uuid := auth.uid();
    folded CONSTANT text := btrim(public.fold_text(left(regexp_replace(p_query, '\s+', ' ', 'g'), 200)));
    row_limit CONSTANT int := least(greatest(p_limit, 1), 100);
    row_offset CONSTANT int := least(greatest(p_offset, 0), 1000);
    conditions text := '';
    grams text[] := public.cjk_pairs(folded);
    patterns text[];
    words tsquery;
    ids uuid[] := '{}';
BEGIN
    IF p_type IS NOT NULL THEN
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
    IF coalesce(folded, '') = '' THEN
        RETURN;
    END IF;
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
        -- planner does not know how rare a word is, and would read everything from the newest on.
        EXECUTE 'SELECT ARRAY(SELECT c.creation_id FROM (SELECT * FROM public.published_creations '
            || CASE WHEN p_type IS NULL THEN '' ELSE 'WHERE type = $2 ' END
            || 'ORDER BY published_at DESC, creation_id DESC LIMIT 2000) c WHERE c.words @@ $1' || conditions
            || ' ORDER BY c.published_at DESC, c.creation_id DESC LIMIT $4 OFFSET $5)'
        INTO ids USING words, p_type, viewer, row_limit, row_offset, patterns;
        IF cardinality(ids) < row_limit THEN
            EXECUTE 'WITH hit AS MATERIALIZED (SELECT * FROM public.published_creations WHERE words @@ $1)
                SELECT ARRAY(SELECT c.creation_id FROM hit c WHERE true' || conditions
                || ' ORDER BY c.published_at DESC, c.creation_id DESC LIMIT $4 OFFSET $5)'
            INTO ids USING words, p_type, viewer, row_limit, row_offset, patterns;
        END IF;
    END IF;
    -- Whoever excludes words or quotes some means exactly that.
    IF ids = '{}' AND row_offset = 0 AND cardinality(grams) = 0 AND char_length(folded) >= 3
        AND folded !~ '(^| )-|"'
    THEN
        EXECUTE 'SELECT ARRAY(SELECT c.creation_id FROM public.similar_titles($1, 200) WITH ORDINALITY s (id, place)
            JOIN public.published_creations c ON c.creation_id = s.id WHERE true' || conditions
            || ' ORDER BY s.place LIMIT $4)'
        INTO ids USING folded, p_type, viewer, row_limit;
    END IF;
    RETURN QUERY SELECT * FROM public.creation_cards(ids, viewer);
END
$$;
COMMENT ON FUNCTION search_creations(text, text, int, int) IS
    'published creations with all words of a query, newest first; if there are none, those with a similar title';
DROP FUNCTION find_creations(uuid, text, text, int, int, timestamptz, uuid);

DROP FUNCTION list_feed(uuid, int, int, timestamptz, uuid);
ALTER INDEX published_creations_tags_idx RESET (gin_pending_list_limit);
ALTER INDEX published_creations_words_idx RESET (gin_pending_list_limit);
DROP INDEX published_creations_newest_idx;
CREATE INDEX published_creations_newest_idx ON published_creations (published_at DESC, creation_id DESC);
CREATE FUNCTION list_feed(person uuid, row_limit int, row_offset int, before timestamptz, before_id uuid)
RETURNS uuid[] LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT ARRAY(
        SELECT x.creation_id
        FROM public.follows f
        CROSS JOIN LATERAL (
            SELECT c.creation_id, c.published_at FROM public.published_creations c
            WHERE c.user_id = f.following_id AND (c.published_at, c.creation_id) < (before, before_id)
                AND (NOT c.is_nsfw OR (SELECT public.shows_nsfw(person)))
            ORDER BY c.published_at DESC, c.creation_id DESC LIMIT row_limit + row_offset
        ) x
        WHERE f.follower_id = person
            AND NOT EXISTS (SELECT FROM public.mutes m WHERE m.muter_id = person AND m.muted_id = f.following_id)
        ORDER BY x.published_at DESC, x.creation_id DESC LIMIT row_limit OFFSET row_offset);
END;
COMMENT ON FUNCTION list_feed(uuid, int, int, timestamptz, uuid) IS 'the newest creations of whom a person follows, before one of them';
REVOKE ALL ON FUNCTION list_feed(uuid, int, int, timestamptz, uuid) FROM PUBLIC;

CREATE OR REPLACE FUNCTION player_names_account() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
BEGIN
    NEW.account_id := (SELECT f.id FROM public.profiles f WHERE f.id::text = NEW.user_id);
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION list_creation(creation uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    INSERT INTO public.published_creations AS p
    SELECT c.id, c.user_id, c.type, c.is_nsfw, c.is_featured, c.tags, f.title, f.document,
        setweight(to_tsvector('simple', f.title), 'A') || to_tsvector('simple', f.document)
            || to_tsvector('english', f.document) || array_to_tsvector(public.cjk_pairs(f.document)),
        c.published_at
    FROM public.creations c
    JOIN public.profiles o ON o.id = c.user_id AND o.is_active,
    LATERAL (SELECT public.fold_text(c.title) AS title, public.fold_text(
        concat_ws(E'\n', c.title, left(c.description, 2000), array_to_string(c.tags, ' '))) AS document) f
    WHERE c.id = creation AND c.status = 'published' AND c.is_public AND c.removed_at IS NULL
    ON CONFLICT (creation_id) DO UPDATE SET user_id = excluded.user_id, type = excluded.type,
        is_nsfw = excluded.is_nsfw, is_featured = excluded.is_featured, tags = excluded.tags,
        title = excluded.title, document = excluded.document, words = excluded.words,
        published_at = excluded.published_at;
    IF NOT FOUND THEN
        DELETE FROM public.published_creations WHERE creation_id = creation;
    END IF;
END
$$;
DROP FUNCTION listings_of(uuid[]);

CREATE OR REPLACE FUNCTION cjk_pairs(folded text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = ''
BEGIN ATOMIC
    SELECT coalesce(array_agg(DISTINCT gram), '{}') FROM (
        SELECT letter, lead(letter) OVER (ORDER BY place) AS next
        FROM string_to_table(folded, NULL) WITH ORDINALITY AS t (letter, place)
    ) letters, LATERAL (VALUES (letter), (CASE WHEN next ~ '[\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]' THEN letter || next END)) AS g (gram)
    WHERE letter ~ '[\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]' AND gram IS NOT NULL;
END;
