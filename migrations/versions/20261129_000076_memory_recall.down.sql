DROP INDEX luminor_messages_opinions_idx;
DROP FUNCTION playhall_auth.choose_memory_search(boolean);
DROP FUNCTION memory_similarities(uuid, real[], text);
ALTER TABLE luminor_memories DROP COLUMN IF EXISTS embedding_vector;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'vector'
        AND obj_description(oid, 'pg_extension') = 'Playhall: recall of memories')
    THEN
        DROP EXTENSION vector;  -- without CASCADE: whoever else uses it keeps it
    END IF;
EXCEPTION WHEN dependent_objects_still_exist THEN
    RAISE NOTICE 'the extension vector stays, since it is in use';
END
$$;
DROP TRIGGER luminor_memories_changed ON luminor_memories;
DROP FUNCTION memory_changed();
DROP INDEX luminor_memories_model_idx;
ALTER TABLE luminor_memories DROP CONSTRAINT luminor_memories_embedded;
COMMENT ON COLUMN luminor_memories.embedding IS 'of the content, for recall by meaning; can be cast to vector';
COMMENT ON COLUMN luminor_memories.embedding_model IS NULL;
