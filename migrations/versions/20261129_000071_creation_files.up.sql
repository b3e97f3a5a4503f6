-- Whoever may see a creation may read its file: the policies of creations decide about both.
CREATE INDEX creations_file_url_idx ON creations (file_url) WHERE file_url IS NOT NULL;
CREATE POLICY creation_readable ON files FOR SELECT TO anon, authenticated
    USING (bucket = 'creations' AND EXISTS (
        SELECT FROM creations c WHERE c.file_url = '/files/creations/' || path AND c.user_id = owner_id));

-- `playhall social verify` puts creations on the lists, or takes them off.
GRANT EXECUTE ON FUNCTION list_creation(uuid) TO playhall_server;

CREATE FUNCTION remix_kept() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    IF EXISTS (SELECT FROM public.creations o
        WHERE o.id = NEW.remix_of AND o.user_id <> NEW.user_id AND NOT o.allow_commercial)
    THEN
        PERFORM public.refuse_social('creations_remix_commercial',
            'the original does not allow commercial use, so its remix cannot');
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION remix_kept() IS 'keeps a remix to what its original allows when the remix changes later';
REVOKE ALL ON FUNCTION remix_kept() FROM PUBLIC;
CREATE TRIGGER creations_remix_kept BEFORE UPDATE OF allow_commercial ON creations
    FOR EACH ROW WHEN (NEW.allow_commercial AND NOT OLD.allow_commercial AND NEW.remix_of IS NOT NULL)
    EXECUTE FUNCTION remix_kept();
