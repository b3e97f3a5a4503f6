-- Images: which files are to be processed, and what came of it.

-- ------------------------------------------------------------------ files

ALTER TABLE files
    ADD COLUMN is_withheld boolean NOT NULL DEFAULT false,
    ADD COLUMN made_from uuid REFERENCES files ON DELETE CASCADE;
CREATE INDEX files_made_from_idx ON files (made_from) WHERE made_from IS NOT NULL;
COMMENT ON COLUMN files.is_withheld IS 'whether only its owner may read it: it still has its metadata';
COMMENT ON COLUMN files.made_from IS 'the image that this thumbnail was made of, and goes with';

CREATE TABLE images (
    file_id   uuid PRIMARY KEY REFERENCES files ON DELETE CASCADE,
    state     text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'ready', 'failed')),
    due_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts  int NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    error     text CHECK (error IN ('not_an_image', 'too_large', 'too_many_frames', 'processing_failed')),
    width     int CHECK (width > 0),
    height    int CHECK (height > 0),
    blurhash  text CHECK (char_length(blurhash) <= 128),
    CONSTRAINT images_ready CHECK (state <> 'ready' OR (width, height, blurhash) IS NOT NULL),
    CONSTRAINT images_failed CHECK ((state = 'failed') = (error IS NOT NULL))
);
CREATE INDEX images_waiting_idx ON images (due_at) WHERE state = 'waiting';
COMMENT ON TABLE images IS 'files that are images: whether they are processed, and what they show';
COMMENT ON COLUMN images.due_at IS 'when it is to be processed; later while a node is at it';
COMMENT ON COLUMN images.attempts IS 'how often it was begun';

SELECT playhall_auth.secure('images');
CREATE POLICY own_readable ON images FOR SELECT TO authenticated
    USING (EXISTS (SELECT FROM files f WHERE f.id = file_id AND f.owner_id = (SELECT auth.uid())));
GRANT SELECT ON images TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON images TO playhall_server;
GRANT INSERT ON file_trash TO playhall_server;

-- What still says where it was taken is for nobody but its owner.
-- The owner of the tables may take both roles, and a restrictive policy of theirs would hold for it as well: a
-- backup would leave rows out.
CREATE POLICY not_withheld ON files AS RESTRICTIVE FOR SELECT TO anon, authenticated
    USING (CURRENT_USER NOT IN ('anon', 'authenticated') OR NOT is_withheld OR owner_id = (SELECT auth.uid()));

-- Thumbnails follow their creations, like files: what becomes private is not shown any more.
UPDATE files SET is_public = false WHERE bucket = 'thumbnails';
CREATE INDEX creations_thumbnail_url_idx ON creations (thumbnail_url) WHERE thumbnail_url IS NOT NULL;
CREATE POLICY thumbnail_readable ON files FOR SELECT TO anon, authenticated
    USING (bucket = 'thumbnails' AND EXISTS (
        SELECT FROM creations c WHERE c.thumbnail_url = '/files/thumbnails/' || path AND c.user_id = owner_id));

-- ------------------------------------------------------------------ creations

ALTER TABLE creations
    ADD COLUMN width int CHECK (width > 0),
    ADD COLUMN height int CHECK (height > 0),
    ADD COLUMN file_state text CHECK (file_state IN ('waiting', 'ready', 'failed')),
    ADD COLUMN file_error text,
    ADD COLUMN publish_when_ready boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN creations.width IS 'of its image, in pixels';
COMMENT ON COLUMN creations.file_state IS 'of its image: images.state; null if it has none';
COMMENT ON COLUMN creations.file_error IS 'why its image failed: images.error';
COMMENT ON COLUMN creations.publish_when_ready IS 'it is published as soon as its image is processed';

-- One place decides how a creation follows its image, whoever changes which first: the server that
-- is done with the image, or the owner who links or publishes it, by whatever way. Its name has it
-- run before `creations_checked`, which dates what is published.
CREATE FUNCTION creation_awaits_image() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    file uuid;
    image public.images;
    made text;
    was_published CONSTANT boolean := TG_OP = 'UPDATE' AND OLD.status = 'published';
BEGIN
    IF NEW.file_url LIKE '/files/creations/%' THEN
        SELECT f.id INTO file FROM public.files f
        WHERE f.bucket = 'creations' AND f.path = substr(NEW.file_url, 18) AND f.owner_id = NEW.user_id;
        -- Held until we are committed: whoever is done with the image finds this creation as it is then.
        SELECT * INTO image FROM public.images p WHERE p.file_id = file FOR SHARE;
        SELECT '/files/thumbnails/' || t.path INTO made FROM public.files t WHERE t.made_from = file;
    END IF;
    NEW.file_state := image.state;
    NEW.file_error := image.error;
    NEW.width := image.width;
    NEW.height := image.height;
    NEW.blurhash := image.blurhash;
    IF made IS NOT NULL AND (NEW.thumbnail_url IS NULL OR EXISTS (
        SELECT FROM public.files t WHERE t.bucket = 'thumbnails' AND t.path = substr(NEW.thumbnail_url, 19)
            AND t.owner_id = NEW.user_id AND t.made_from IS NOT NULL))
    THEN
        NEW.thumbnail_url := made;
    END IF;
    IF NEW.status = 'published' AND NOT was_published THEN
        IF NEW.file_state = 'failed' THEN
            PERFORM public.refuse_social('creations_image_failed', 'the image could not be processed; upload another');
        ELSIF NEW.file_state = 'waiting' THEN
            NEW.status := 'processing';
            NEW.publish_when_ready := true;
        END IF;
    ELSIF NEW.status IN ('draft', 'processing') AND NEW.file_state = 'waiting' THEN
        NEW.status := 'processing';
    ELSIF NEW.status = 'processing' AND TG_OP = 'UPDATE' AND OLD.file_state = 'waiting' THEN
        NEW.status := CASE WHEN NEW.publish_when_ready AND NEW.file_state = 'ready' THEN 'published' ELSE 'draft' END;
    END IF;
    IF NEW.status <> 'processing' THEN
        NEW.publish_when_ready := false;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION creation_awaits_image() IS
    'has a creation know its image, and wait for it before it is published';
REVOKE ALL ON FUNCTION creation_awaits_image() FROM PUBLIC;
CREATE TRIGGER creations_await_image BEFORE INSERT OR UPDATE OF file_url, thumbnail_url, status ON creations
    FOR EACH ROW EXECUTE FUNCTION creation_awaits_image();
