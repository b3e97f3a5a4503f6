-- Whoever is invited to a creation is told so, once for each invitation; it is taken back with it.
ALTER TABLE notifications DROP CONSTRAINT notifications_type_check, ADD CONSTRAINT notifications_type_check
    CHECK (type IN ('creation_liked', 'creation_commented', 'new_follower', 'comment_reply', 'mention',
        'system_announcement', 'bond_level_up', 'comment_liked', 'creation_remixed', 'creation_published',
        'moderation_decision', 'collaboration_invited'));

CREATE FUNCTION collaboration_notified() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    owner uuid := (SELECT c.user_id FROM public.creations c WHERE c.id = coalesce(NEW.creation_id, OLD.creation_id));
BEGIN
    IF TG_OP = 'INSERT' THEN
        -- Its title is for those who have accepted.
        PERFORM public.notify_person(NEW.user_id, 'collaboration_invited',
            public.shown_name(owner) || ' invited you to a creation', '', '/creations/' || NEW.creation_id,
            jsonb_build_object('role', NEW.role), owner, NEW.creation_id, NULL, 'collaboration_invited',
            'collaboration_invited:' || NEW.creation_id || ':' || extract(epoch FROM NEW.created_at));
    ELSE
        DELETE FROM public.notifications
        WHERE user_id = OLD.user_id AND type = 'collaboration_invited' AND creation_id = OLD.creation_id;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION collaboration_notified() IS 'tells people about invitations, and takes that back with them';
REVOKE ALL ON FUNCTION collaboration_notified() FROM PUBLIC;
CREATE TRIGGER creation_collaborators_notified AFTER INSERT OR DELETE ON creation_collaborators
    FOR EACH ROW EXECUTE FUNCTION collaboration_notified();
