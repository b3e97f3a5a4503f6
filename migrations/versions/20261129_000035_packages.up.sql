-- Content: packages with their deltas, and the signed metadata that vouches for them.
CREATE TABLE content_packages (
    package_id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name                    text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    version                 text NOT NULL CHECK (
        char_length(version) <= 64 AND version ~ '^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$'),
    kind                    text NOT NULL DEFAULT 'content' CHECK (kind IN ('content', 'mod')),
    channel                 text NOT NULL DEFAULT 'stable' CHECK (channel ~ '^[a-z0-9][a-z0-9_-]{0,31}$'),
    locale                  text NOT NULL DEFAULT 'und' CHECK (
        locale ~ '^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$'),
    release_notes           text NOT NULL DEFAULT '' CHECK (char_length(release_notes) <= 4000),
    checksum                text NOT NULL CHECK (checksum ~ '^sha256:[0-9a-f]{64}$'),
    required_client_version text NOT NULL DEFAULT '0.0.0' CHECK (
        char_length(required_client_version) <= 64
        AND required_client_version ~ '^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$'),
    rollout_percent         int NOT NULL DEFAULT 100 CHECK (rollout_percent BETWEEN 0 AND 100),
    size                    bigint NOT NULL CHECK (size > 0),
    metadata                jsonb NOT NULL DEFAULT '{}' CHECK (
        jsonb_typeof(metadata) = 'object' AND octet_length(metadata::text) <= 32768),
    parent_id               uuid REFERENCES content_packages (package_id) ON DELETE SET NULL,
    status                  text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'released', 'withdrawn')),
    key                     text UNIQUE,
    uploaded_at             timestamptz,
    created_at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_at             timestamptz,
    withdrawn_at            timestamptz,
    withdrawn_reason        text CHECK (char_length(withdrawn_reason) BETWEEN 1 AND 500),
    CONSTRAINT content_packages_once UNIQUE (name, channel, locale, version),
    CHECK (uploaded_at IS NULL OR key IS NOT NULL),
    CHECK ((released_at IS NOT NULL) = (status <> 'draft')),
    CHECK ((withdrawn_at IS NOT NULL) = (status = 'withdrawn')),
    CHECK ((withdrawn_reason IS NOT NULL) = (status = 'withdrawn')),
    CHECK (status = 'draft' OR uploaded_at IS NOT NULL)
);
CREATE INDEX content_packages_parent_id_idx ON content_packages (parent_id);
CREATE INDEX content_packages_listed_idx ON content_packages (created_at DESC, package_id);
COMMENT ON TABLE content_packages IS 'versions of content that clients fetch';
COMMENT ON COLUMN content_packages.version IS 'semantic, without build metadata; higher than what is released before it';
COMMENT ON COLUMN content_packages.locale IS 'a language tag; und is for every language';
COMMENT ON COLUMN content_packages.checksum IS 'sha256: and the hash of the bytes, as announced and verified';
COMMENT ON COLUMN content_packages.required_client_version IS 'the lowest version of a client that can use it';
COMMENT ON COLUMN content_packages.rollout_percent IS 'which share of the accounts gets it';
COMMENT ON COLUMN content_packages.metadata IS 'what a mod may see, and which saves load under it';
COMMENT ON COLUMN content_packages.parent_id IS 'the version before it, which its delta starts from';
COMMENT ON COLUMN content_packages.key IS 'where the object lies in the store; never written twice';
COMMENT ON COLUMN content_packages.uploaded_at IS 'when the bytes were verified; null while they are not there';

CREATE TABLE content_deltas (
    package_id uuid NOT NULL REFERENCES content_packages (package_id) ON DELETE CASCADE,
    parent_id  uuid NOT NULL REFERENCES content_packages (package_id) ON DELETE CASCADE,
    state      text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'made', 'useless', 'failed')),
    key        text UNIQUE,
    size       bigint CHECK (size > 0),
    checksum   text CHECK (checksum ~ '^sha256:[0-9a-f]{64}$'),
    attempts   int NOT NULL DEFAULT 0,
    due_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (package_id, parent_id),
    CHECK (state <> 'made' OR (key IS NOT NULL AND size IS NOT NULL AND checksum IS NOT NULL))
);
CREATE INDEX content_deltas_parent_id_idx ON content_deltas (parent_id);
CREATE INDEX content_deltas_due_at_idx ON content_deltas (due_at) WHERE state = 'due';
COMMENT ON TABLE content_deltas IS 'what turns one version of a package into another';
COMMENT ON COLUMN content_deltas.state IS 'useless: not much smaller than the package';
COMMENT ON COLUMN content_deltas.due_at IS 'when it is to be made; while a node makes it, when it would be due again';

CREATE TABLE content_metadata (
    role       text NOT NULL CHECK (role IN ('root', 'targets', 'snapshot', 'timestamp')),
    version    int NOT NULL CHECK (version > 0),
    body       bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (role, version)
);
COMMENT ON TABLE content_metadata IS 'signed metadata of The Update Framework, as it is served';

CREATE TABLE playhall_auth.content_keys (
    key_id     text PRIMARY KEY,
    role       text NOT NULL CHECK (role IN ('root', 'targets', 'snapshot', 'timestamp')),
    sealed     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    retired_at timestamptz
);
CREATE UNIQUE INDEX content_keys_one_a_role ON playhall_auth.content_keys (role) WHERE retired_at IS NULL;
COMMENT ON TABLE playhall_auth.content_keys IS 'what signs the metadata of content, one key for each role';
COMMENT ON COLUMN playhall_auth.content_keys.sealed IS 'secret: the private half; AES-GCM, names its key';

CREATE TABLE content_state (
    is_only    bool PRIMARY KEY DEFAULT true CHECK (is_only),
    generation bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE content_state IS 'one row, made when it is first needed, locked by whoever releases or signs';
COMMENT ON COLUMN content_state.generation IS 'rises with every change that clients may see';

-- ------------------------------------------------------------------ what may become of a package

CREATE FUNCTION content_package_moves() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    IF (NEW.package_id, NEW.name, NEW.version, NEW.kind, NEW.channel, NEW.locale, NEW.checksum, NEW.size,
        NEW.metadata, NEW.required_client_version, NEW.created_at) IS DISTINCT FROM
       (OLD.package_id, OLD.name, OLD.version, OLD.kind, OLD.channel, OLD.locale, OLD.checksum, OLD.size,
        OLD.metadata, OLD.required_client_version, OLD.created_at)
        OR OLD.status <> 'draft' AND (NEW.key, NEW.uploaded_at, NEW.released_at) IS DISTINCT FROM
           (OLD.key, OLD.uploaded_at, OLD.released_at) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'integrity_constraint_violation',
            MESSAGE = 'what a package is never changes; make a new version';
    END IF;
    IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN
        (('draft', 'released'), ('released', 'withdrawn')) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'integrity_constraint_violation',
            MESSAGE = format('a package that is %s cannot become %s', OLD.status, NEW.status);
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION content_package_moves() IS 'draft, released, withdrawn: no other way, whoever asks';
CREATE TRIGGER content_packages_move BEFORE UPDATE ON content_packages
    FOR EACH ROW EXECUTE FUNCTION content_package_moves();
ALTER TABLE content_packages ENABLE ALWAYS TRIGGER content_packages_move;

CREATE FUNCTION content_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    INSERT INTO public.content_state AS s (generation) VALUES (1)
    ON CONFLICT (is_only) DO UPDATE SET generation = s.generation + 1;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION content_changed() IS 'has every node read again what it serves';
CREATE TRIGGER content_packages_changed AFTER INSERT OR UPDATE OR DELETE ON content_packages
    FOR EACH STATEMENT EXECUTE FUNCTION content_changed();
CREATE TRIGGER content_deltas_changed AFTER UPDATE OR DELETE ON content_deltas
    FOR EACH STATEMENT EXECUTE FUNCTION content_changed();

-- No object is forgotten: the sweep of files deletes what is in the trash.
CREATE TRIGGER content_packages_object_thrown_away AFTER DELETE ON content_packages
    FOR EACH ROW WHEN (OLD.key IS NOT NULL) EXECUTE FUNCTION file_object_thrown_away();
CREATE TRIGGER content_packages_object_replaced AFTER UPDATE OF key ON content_packages
    FOR EACH ROW WHEN (OLD.key IS NOT NULL AND OLD.key IS DISTINCT FROM NEW.key)
    EXECUTE FUNCTION file_object_thrown_away();
CREATE TRIGGER content_deltas_object_thrown_away AFTER DELETE ON content_deltas
    FOR EACH ROW WHEN (OLD.key IS NOT NULL) EXECUTE FUNCTION file_object_thrown_away();
CREATE TRIGGER content_deltas_object_replaced AFTER UPDATE OF key ON content_deltas
    FOR EACH ROW WHEN (OLD.key IS NOT NULL AND OLD.key IS DISTINCT FROM NEW.key)
    EXECUTE FUNCTION file_object_thrown_away();

-- What editors do is on record, in the transaction that does it; what the server does, it records.
CREATE FUNCTION content_edited() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    edited public.content_packages := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    before jsonb := CASE WHEN TG_OP <> 'INSERT' THEN
        jsonb_build_object('release_notes', OLD.release_notes, 'rollout_percent', OLD.rollout_percent) END;
    after  jsonb := CASE WHEN TG_OP <> 'DELETE' THEN
        jsonb_build_object('release_notes', NEW.release_notes, 'rollout_percent', NEW.rollout_percent) END;
BEGIN
    IF auth.uid() IS NOT NULL THEN
        INSERT INTO public.audit_log (actor, action, target, before, after)
        VALUES (auth.uid()::text, 'content_' || CASE TG_OP WHEN 'INSERT' THEN 'draft'
            WHEN 'UPDATE' THEN 'change' ELSE 'delete' END, edited.package_id::text, before, after);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION content_edited() IS 'puts on record what an editor does to a package';
CREATE TRIGGER content_packages_edited AFTER INSERT OR UPDATE OR DELETE ON content_packages
    FOR EACH ROW EXECUTE FUNCTION content_edited();
REVOKE ALL ON FUNCTION content_changed(), content_edited() FROM PUBLIC;

-- ------------------------------------------------------------------ who may do what

SELECT playhall_auth.secure('content_packages', 'content_deltas', 'content_metadata', 'content_state',
    'playhall_auth.content_keys');
REVOKE ALL ON content_metadata, content_state, playhall_auth.content_keys FROM service_role;
CREATE POLICY released_readable ON content_packages FOR SELECT TO anon, authenticated
    USING (status = 'released');
CREATE POLICY readable_for_editors ON content_packages FOR SELECT TO authenticated
    USING ((SELECT has_role('editor', 'admin')));
CREATE POLICY makeable_for_editors ON content_packages FOR INSERT TO authenticated
    WITH CHECK (status = 'draft' AND (SELECT has_role('editor', 'admin')));
CREATE POLICY changeable_for_editors ON content_packages FOR UPDATE TO authenticated
    USING ((SELECT has_role('editor', 'admin'))) WITH CHECK ((SELECT has_role('editor', 'admin')));
CREATE POLICY deletable_for_editors ON content_packages FOR DELETE TO authenticated
    USING (status = 'draft' AND (SELECT has_role('editor', 'admin')));
GRANT SELECT ON content_packages TO anon, authenticated;
GRANT INSERT (package_id, name, version, kind, channel, locale, release_notes, checksum,
    required_client_version, rollout_percent, size, metadata) ON content_packages TO authenticated;
GRANT UPDATE (release_notes, rollout_percent) ON content_packages TO authenticated;
GRANT DELETE ON content_packages TO authenticated;

-- Releasing is the server's: what is released and what is signed change together.
GRANT SELECT, UPDATE ON content_packages TO playhall_server;
GRANT SELECT, INSERT, UPDATE ON content_deltas, content_state, playhall_auth.content_keys TO playhall_server;
GRANT SELECT, INSERT, DELETE ON content_metadata TO playhall_server;
