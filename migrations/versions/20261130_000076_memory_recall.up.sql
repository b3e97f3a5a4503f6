COMMENT ON COLUMN luminor_memories.embedding IS 'of the content, of length 1; null until it is made, and again when the content changes';
COMMENT ON COLUMN luminor_memories.embedding_model IS 'name and version of the model that made the embedding; those of another one are made again';
ALTER TABLE luminor_memories ADD CONSTRAINT luminor_memories_embedded
    CHECK ((embedding IS NULL) = (embedding_model IS NULL));
ALTER TABLE luminor_memories ADD COLUMN words tsvector
    GENERATED ALWAYS AS (to_tsvector('english', fold_text(content))) STORED;
COMMENT ON COLUMN luminor_memories.words IS 'of the content, for recall by words: making them takes longer than comparing them';
-- What is to be embedded, whatever the model is by then.
CREATE INDEX luminor_memories_model_idx ON luminor_memories (embedding_model, id) WHERE superseded_at IS NULL;

CREATE FUNCTION memory_changed() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    NEW.embedding := NULL;
    NEW.embedding_model := NULL;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION memory_changed() IS 'an embedding belongs to the content that it was made of';
CREATE TRIGGER luminor_memories_changed BEFORE UPDATE OF content ON luminor_memories
    FOR EACH ROW WHEN (NEW.content IS DISTINCT FROM OLD.content) EXECUTE FUNCTION memory_changed();

-- Made in one of two ways. Similarities are rounded, so that both give the same order: pgvector calculates with
-- less precision. An operator decides about the extension, as only superusers can add it: a backup with it could
-- not be restored into most databases. It may be installed later: `playhall migrate` calls this again.
CREATE FUNCTION playhall_auth.choose_memory_search(use_pgvector boolean DEFAULT true) RETURNS text LANGUAGE plpgsql
SET search_path = '' AS $$
DECLARE
    place text;
    similarity text := '(SELECT sum(pair.own::float8 * pair.asked::float8)
        FROM unnest(m.embedding, p_embedding) AS pair (own, asked))';
BEGIN
    IF use_pgvector THEN
        SELECT n.nspname INTO place FROM pg_catalog.pg_extension e
        JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector';
    END IF;
    IF place IS NULL THEN
        ALTER TABLE public.luminor_memories DROP COLUMN IF EXISTS embedding_vector;
    ELSE
        EXECUTE format('ALTER TABLE public.luminor_memories ADD COLUMN IF NOT EXISTS embedding_vector %I.vector
            GENERATED ALWAYS AS (embedding::%1$I.vector) STORED', place);
        similarity := format('1 - (m.embedding_vector OPERATOR(%I.<=>) p_embedding::%1$I.vector)', place);
    END IF;
    EXECUTE format($sql$
        CREATE OR REPLACE FUNCTION public.memory_similarities(p_luminor_id uuid, p_embedding real[], p_model text)
        RETURNS TABLE (memory_id uuid, similarity double precision) LANGUAGE sql STABLE SET search_path = '' AS $body$
            SELECT m.id, round((%s)::numeric, 5)::float8 FROM public.luminor_memories m
            WHERE m.user_id = (SELECT auth.uid()) AND m.luminor_id = p_luminor_id AND m.superseded_at IS NULL
                AND m.embedding_model = p_model AND cardinality(m.embedding) = cardinality(p_embedding)
        $body$
    $sql$, similarity);
    RETURN CASE WHEN place IS NULL THEN 'plain' ELSE 'pgvector' END;
END
$$;
COMMENT ON FUNCTION playhall_auth.choose_memory_search(boolean) IS 'has memories compared by pgvector where it is installed: pgvector, plain, or refused to this login';
REVOKE ALL ON FUNCTION playhall_auth.choose_memory_search(boolean) FROM PUBLIC;
SELECT playhall_auth.choose_memory_search();
COMMENT ON FUNCTION memory_similarities(uuid, real[], text) IS 'how similar the memories of whoever asks are to an embedding of length 1, by the cosine';
REVOKE ALL ON FUNCTION memory_similarities(uuid, real[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION memory_similarities(uuid, real[], text) TO authenticated;

-- Preferences are learned from the rated answers of a person.
CREATE INDEX luminor_messages_opinions_idx ON luminor_messages (user_id, created_at DESC)
    WHERE user_rating IS NOT NULL OR was_helpful IS NOT NULL;

-- ------------------------------------------------------------------ locks in one order

-- Whoever rates an answer holds the message and waits for the companion. So whoever deletes a
-- conversation, or a person, takes the messages before the companion, too.
CREATE OR REPLACE FUNCTION conversation_unrated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
DECLARE
    ratings record;
BEGIN
    PERFORM FROM public.luminor_messages m WHERE m.conversation_id = OLD.id AND m.role = 'assistant'
    ORDER BY m.id FOR UPDATE;
    SELECT count(m.user_rating)::int AS count, coalesce(sum(m.user_rating), 0)::int AS points INTO ratings
    FROM public.luminor_messages m WHERE m.conversation_id = OLD.id;
    IF ratings.count > 0 THEN
        PERFORM public.change_rating(OLD.luminor_id, -ratings.count, -ratings.points);
    END IF;
    RETURN OLD;
END
$$;

CREATE OR REPLACE FUNCTION lock_counters_of(person uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
BEGIN
    PERFORM FROM public.profiles WHERE id = person OR id IN (
        SELECT following_id FROM public.follows WHERE follower_id = person
        UNION SELECT follower_id FROM public.follows WHERE following_id = person)
    ORDER BY id FOR NO KEY UPDATE;
    PERFORM FROM public.profiles WHERE id = person FOR UPDATE;
    -- Some of these are deleted, so likes must not get hold of them meanwhile.
    PERFORM FROM public.creations WHERE id IN (
        SELECT creation_id FROM public.likes WHERE user_id = person
        UNION SELECT creation_id FROM public.comments WHERE user_id = person
        UNION SELECT id FROM public.creations WHERE user_id = person
        UNION SELECT remix_of FROM public.creations WHERE user_id = person
        UNION SELECT c.id FROM public.creations c JOIN public.creations o ON o.id = c.remix_of WHERE o.user_id = person)
    ORDER BY id FOR UPDATE;
    PERFORM FROM public.luminor_conversations WHERE user_id = person ORDER BY id FOR UPDATE;
    PERFORM FROM public.luminor_messages WHERE user_id = person AND role = 'assistant' ORDER BY id FOR UPDATE;
    PERFORM FROM public.luminor_relationships WHERE user_id = person ORDER BY id FOR UPDATE;
    PERFORM FROM public.luminors WHERE id IN (
        SELECT luminor_id FROM public.luminor_relationships WHERE user_id = person
        UNION SELECT luminor_id FROM public.luminor_conversations WHERE user_id = person)
    ORDER BY id FOR NO KEY UPDATE;
END
$$;
