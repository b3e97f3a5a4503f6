-- What everybody sees stays whole: a file is kept as long as a published creation shows it.
CREATE FUNCTION is_shown_by_a_creation(p_owner_id uuid, p_url text) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT EXISTS (SELECT FROM public.creations c
        WHERE c.user_id = p_owner_id AND c.status = 'published' AND p_url IN (c.file_url, c.thumbnail_url));
END;
COMMENT ON FUNCTION is_shown_by_a_creation(uuid, text) IS 'whether a published creation of a person shows a file';
REVOKE ALL ON FUNCTION is_shown_by_a_creation(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_shown_by_a_creation(uuid, text) TO authenticated, service_role, playhall_server;
CREATE POLICY not_in_use ON files AS RESTRICTIVE FOR DELETE TO authenticated
    USING (CURRENT_USER NOT IN ('anon', 'authenticated')
        OR NOT is_shown_by_a_creation(owner_id, '/files/' || bucket || '/' || path));

-- A profile does not name an avatar that is gone.
CREATE FUNCTION avatar_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    UPDATE public.profiles SET avatar_url = NULL
    WHERE id = OLD.owner_id AND split_part(avatar_url, '?', 1) = '/files/avatars/' || OLD.path;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION avatar_deleted() IS 'has a profile forget an avatar that was deleted';
REVOKE ALL ON FUNCTION avatar_deleted() FROM PUBLIC;
CREATE TRIGGER files_avatar_deleted AFTER DELETE ON files
    FOR EACH ROW WHEN (OLD.bucket = 'avatars') EXECUTE FUNCTION avatar_deleted();
