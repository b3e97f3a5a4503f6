CREATE OR REPLACE FUNCTION conversation_unrated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    ratings record;
BEGIN
    SELECT count(m.user_rating)::int AS count, coalesce(sum(m.user_rating), 0)::int AS points INTO ratings
    FROM public.luminor_messages m WHERE m.conversation_id = OLD.id;
    IF ratings.count > 0 THEN
        PERFORM public.change_rating(OLD.luminor_id, -ratings.count, -ratings.points);
    END IF;
    RETURN OLD;
END
$$;
CREATE OR REPLACE FUNCTION lock_counters_of(person uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
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
    PERFORM FROM public.luminors WHERE id IN (
        SELECT luminor_id FROM public.luminor_relationships WHERE user_id = person
        UNION SELECT luminor_id FROM public.luminor_conversations WHERE user_id = person)
    ORDER BY id FOR NO KEY UPDATE;
END
$$;
DROP INDEX luminor_messages_opinions_idx;
DROP FUNCTION playhall_auth.choose_memory_search(boolean);
DROP FUNCTION memory_similarities(uuid, real[], text);
ALTER TABLE luminor_memories DROP COLUMN IF EXISTS embedding_vector;
DROP TRIGGER luminor_memories_changed ON luminor_memories;
DROP FUNCTION memory_changed();
DROP INDEX luminor_memories_model_idx;
ALTER TABLE luminor_memories DROP COLUMN words;
ALTER TABLE luminor_memories DROP CONSTRAINT luminor_memories_embedded;
COMMENT ON COLUMN luminor_memories.embedding IS 'of the content, for recall by meaning; can be cast to vector';
COMMENT ON COLUMN luminor_memories.embedding_model IS NULL;
