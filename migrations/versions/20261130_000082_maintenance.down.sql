-- Views without an account are no longer counted; those that were stay counted.

REVOKE USAGE ON SCHEMA months FROM playhall_server;
DROP FUNCTION count_anonymous_view(uuid, text), analyse_table(text), maintained_tables(), table_sizes();
DROP TABLE view_salts, maintenance_jobs;
DROP INDEX luminor_conversations_last_message_idx, notification_fanouts_parked_idx, notification_fanouts_open_idx;
ALTER TABLE notification_fanouts DROP COLUMN attempts, DROP COLUMN next_attempt_at, DROP COLUMN last_error,
    DROP COLUMN parked_at;
CREATE INDEX notification_fanouts_open_idx ON notification_fanouts (created_at, id) WHERE finished_at IS NULL;

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
