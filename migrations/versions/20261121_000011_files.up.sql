-- Files: what was uploaded, by whom, and where it lies.
CREATE TABLE files (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    owner_id     uuid REFERENCES profiles (id) ON DELETE CASCADE,
    match_id     uuid REFERENCES matches (id) ON DELETE CASCADE,
    bucket       text NOT NULL,
    path         text NOT NULL,
    key          text NOT NULL UNIQUE,
    size         bigint NOT NULL CHECK (size >= 0),
    content_type text NOT NULL,
    sha256       bytea NOT NULL CHECK (octet_length(sha256) = 32),
    is_public    bool NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    checked_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    lost_at      timestamptz,
    CONSTRAINT files_once_a_path UNIQUE (bucket, path)
);
CREATE INDEX files_owner_id_idx ON files (owner_id, created_at DESC, id) WHERE owner_id IS NOT NULL;
CREATE INDEX files_match_id_idx ON files (match_id) WHERE match_id IS NOT NULL;
CREATE INDEX files_checked_at_idx ON files (checked_at);
COMMENT ON TABLE files IS 'stored objects: whose they are and how they are served';
COMMENT ON COLUMN files.owner_id IS 'whose it is, and goes with; null for what belongs to a match';
COMMENT ON COLUMN files.match_id IS 'the match that it is the replay of';
COMMENT ON COLUMN files.path IS 'where it is served, below /files/<bucket>/';
COMMENT ON COLUMN files.key IS 'where the object lies in the store; never written twice';
COMMENT ON COLUMN files.is_public IS 'whether everybody may read it';
COMMENT ON COLUMN files.checked_at IS 'when the object was last seen to be there';
COMMENT ON COLUMN files.lost_at IS 'when the object was found to be gone; the row is kept';

CREATE TABLE file_uploads (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    owner_id     uuid REFERENCES profiles (id) ON DELETE CASCADE,
    match_id     uuid REFERENCES matches (id) ON DELETE CASCADE,
    bucket       text NOT NULL,
    path         text NOT NULL,
    size         bigint NOT NULL CHECK (size > 0),
    content_type text NOT NULL,
    expires_at   timestamptz NOT NULL,
    claimed_at   timestamptz,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT file_uploads_once_a_path UNIQUE (bucket, path)
);
CREATE INDEX file_uploads_owner_id_idx ON file_uploads (owner_id) WHERE owner_id IS NOT NULL;
CREATE INDEX file_uploads_match_id_idx ON file_uploads (match_id) WHERE match_id IS NOT NULL;
CREATE INDEX file_uploads_expires_at_idx ON file_uploads (expires_at);
COMMENT ON TABLE file_uploads IS 'uploads that are allowed and not done; each bound to one path, size and type';
COMMENT ON COLUMN file_uploads.claimed_at IS 'when its URL was used; it is good once';

CREATE TABLE file_trash (
    key        text PRIMARY KEY,
    thrown_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX file_trash_thrown_at_idx ON file_trash (thrown_at);
COMMENT ON TABLE file_trash IS 'objects whose row is gone, to be deleted from the store';

-- ------------------------------------------------------------------ no object is forgotten

CREATE FUNCTION file_object_thrown_away() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
BEGIN
    INSERT INTO public.file_trash (key) VALUES (OLD.key) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION file_object_thrown_away() IS 'an object goes when its row goes, whoever deletes it';
CREATE TRIGGER files_object_thrown_away AFTER DELETE ON files
    FOR EACH ROW EXECUTE FUNCTION file_object_thrown_away();
CREATE TRIGGER files_object_replaced AFTER UPDATE OF key ON files
    FOR EACH ROW WHEN (OLD.key <> NEW.key) EXECUTE FUNCTION file_object_thrown_away();

-- What was uploaded may lie there although nobody came back to say so.
CREATE FUNCTION file_upload_given_up() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
DECLARE
    object text := OLD.bucket || '/' || OLD.path || '/' || OLD.id;
BEGIN
    IF OLD.claimed_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM public.files WHERE key = object) THEN
        INSERT INTO public.file_trash (key) VALUES (object) ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION file_upload_given_up() IS 'what an upload may have left behind is thrown away';
CREATE TRIGGER file_uploads_given_up AFTER DELETE ON file_uploads
    FOR EACH ROW EXECUTE FUNCTION file_upload_given_up();
REVOKE ALL ON FUNCTION file_object_thrown_away(), file_upload_given_up() FROM PUBLIC;

-- ------------------------------------------------------------------ who may do what

SELECT playhall_auth.secure('files', 'file_uploads', 'file_trash');
CREATE POLICY readable ON files FOR SELECT TO anon, authenticated
    USING (is_public OR owner_id = (SELECT auth.uid())
        OR match_id IS NOT NULL AND may_see_match(match_id));
CREATE POLICY own_deletable ON files FOR DELETE TO authenticated
    USING (owner_id = (SELECT auth.uid()));
GRANT SELECT ON files TO anon, authenticated;
GRANT DELETE ON files TO authenticated;

-- A person writes into the folder that has their id as its name.
CREATE POLICY own_readable ON file_uploads FOR SELECT TO authenticated
    USING (owner_id = (SELECT auth.uid()));
CREATE POLICY own_makeable ON file_uploads FOR INSERT TO authenticated
    WITH CHECK (owner_id = (SELECT auth.uid()) AND match_id IS NULL AND bucket <> 'replays'
        AND split_part(path, '/', 1) = (SELECT auth.uid())::text);
CREATE POLICY own_deletable ON file_uploads FOR DELETE TO authenticated
    USING (owner_id = (SELECT auth.uid()));
GRANT SELECT, DELETE ON file_uploads TO authenticated;
GRANT INSERT (id, owner_id, bucket, path, size, content_type, expires_at)
    ON file_uploads TO authenticated;

GRANT SELECT, INSERT, UPDATE, DELETE ON files, file_uploads TO playhall_server;
GRANT SELECT, UPDATE, DELETE ON file_trash TO playhall_server;  -- locking counts as UPDATE

-- ------------------------------------------------------------------ replays

ALTER TABLE matches ADD COLUMN replay_due_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN matches.replay_due_at IS 'when the replay of a game on the server is to be built, or tried again';
CREATE INDEX matches_replay_due_at_idx ON matches (replay_due_at)
    WHERE replay_url IS NULL AND game_id IS NOT NULL;
