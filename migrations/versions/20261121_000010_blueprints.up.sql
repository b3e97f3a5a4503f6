-- Blueprints: designs that people make, share and fork.
CREATE TABLE blueprints (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    owner_id    uuid NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    name        text NOT NULL CHECK (
        name ~ '^([BCDFGHJ-NP-TV-Z][AEIOU][BCDFGHJ-NP-TV-Z]){2}[1-9][0-9]{0,3}$'),
    version     int NOT NULL,
    data        jsonb NOT NULL CHECK (
        jsonb_typeof(data) = 'object' AND octet_length(data::text) <= 131072),
    assets      jsonb NOT NULL DEFAULT '{}' CHECK (
        jsonb_typeof(assets) = 'object' AND octet_length(assets::text) <= 8192
        AND NOT jsonb_path_exists(assets, '$.* ? (@.type() != "string"
            || !(@ like_regex "^user-assets/[0-9a-f-]{36}/[A-Za-z0-9._/-]+$"))')),
    description text NOT NULL DEFAULT '' CHECK (char_length(description) <= 500),
    is_public   bool NOT NULL DEFAULT false,
    parent_id   uuid REFERENCES blueprints (id) ON DELETE SET NULL,
    parent_name text,
    forks       int NOT NULL DEFAULT 0,
    search      tsvector NOT NULL
        GENERATED ALWAYS AS (to_tsvector('simple', name || ' ' || description)) STORED,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT blueprints_version_in_name CHECK (right(name, -6) = version::text),
    CONSTRAINT blueprints_once_an_owner UNIQUE (owner_id, name)
);
COMMENT ON TABLE blueprints IS 'designs of people; what one is never changes, only whether others see it';
COMMENT ON COLUMN blueprints.name IS 'two syllables and the version: MORDIG10 is MOR-DIG at version 10';
COMMENT ON COLUMN blueprints.version IS 'capacity / 10; the number in the name';
COMMENT ON COLUMN blueprints.data IS 'the specification: allocations, stats';
COMMENT ON COLUMN blueprints.assets IS '{name: bucket/path} of stored files';
COMMENT ON COLUMN blueprints.is_public IS 'whether it is on the market';
COMMENT ON COLUMN blueprints.parent_name IS 'what it was forked from; stays when that is deleted';
COMMENT ON COLUMN blueprints.forks IS 'how many forks of it there are';

CREATE UNIQUE INDEX blueprints_once_on_market ON blueprints (name) WHERE is_public;
CREATE INDEX blueprints_owner_idx ON blueprints (owner_id, created_at DESC, id);
CREATE INDEX blueprints_parent_id_idx ON blueprints (parent_id);
CREATE INDEX blueprints_newest_idx ON blueprints (created_at DESC, id) WHERE is_public;
CREATE INDEX blueprints_version_idx ON blueprints (version DESC, id) WHERE is_public;
CREATE INDEX blueprints_forks_idx ON blueprints (forks DESC, id) WHERE is_public;
CREATE INDEX blueprints_search_idx ON blueprints USING gin (search) WHERE is_public;

-- ------------------------------------------------------------------ what never changes

CREATE FUNCTION blueprint_unchanged() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    -- Only `parent_id` may go, with the parent.
    IF (NEW.id, NEW.owner_id, NEW.name, NEW.version, NEW.data, NEW.assets, NEW.description,
        NEW.parent_name, NEW.created_at, coalesce(NEW.parent_id, OLD.parent_id)) IS DISTINCT FROM
       (OLD.id, OLD.owner_id, OLD.name, OLD.version, OLD.data, OLD.assets, OLD.description,
        OLD.parent_name, OLD.created_at, OLD.parent_id) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'integrity_constraint_violation',
            MESSAGE = 'a blueprint never changes; make a new version';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION blueprint_unchanged() IS 'refuses to change what a blueprint is, to everybody';
CREATE TRIGGER blueprints_unchanged BEFORE UPDATE ON blueprints
    FOR EACH ROW EXECUTE FUNCTION blueprint_unchanged();
ALTER TABLE blueprints ENABLE ALWAYS TRIGGER blueprints_unchanged;

-- ------------------------------------------------------------------ forks

-- As whoever asks: one cannot fork what one cannot see.
CREATE FUNCTION blueprint_names_parent() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    SELECT b.name INTO NEW.parent_name FROM public.blueprints b WHERE b.id = NEW.parent_id;
    IF NEW.parent_name IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'foreign_key_violation',
            MESSAGE = format('there is no blueprint %s to fork', NEW.parent_id);
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION blueprint_names_parent() IS 'a fork keeps the name of what it was forked from';
CREATE TRIGGER blueprints_names_parent BEFORE INSERT ON blueprints
    FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION blueprint_names_parent();

CREATE FUNCTION blueprint_counts_forks() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE public.blueprints SET forks = forks + 1 WHERE id = NEW.parent_id;
    ELSE
        UPDATE public.blueprints SET forks = forks - 1 WHERE id = OLD.parent_id;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION blueprint_counts_forks() IS 'a blueprint counts its forks, whoever owns them';
REVOKE ALL ON FUNCTION blueprint_counts_forks() FROM PUBLIC;
CREATE TRIGGER blueprints_fork_made AFTER INSERT ON blueprints
    FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION blueprint_counts_forks();
CREATE TRIGGER blueprints_fork_gone AFTER DELETE ON blueprints
    FOR EACH ROW WHEN (OLD.parent_id IS NOT NULL) EXECUTE FUNCTION blueprint_counts_forks();

-- ------------------------------------------------------------------ who may do what

SELECT playhall_auth.secure('blueprints');
CREATE POLICY market_readable ON blueprints FOR SELECT TO anon, authenticated USING (is_public);
CREATE POLICY own_readable ON blueprints FOR SELECT TO authenticated
    USING (owner_id = (SELECT auth.uid()));
CREATE POLICY own_makeable ON blueprints FOR INSERT TO authenticated
    WITH CHECK (owner_id = (SELECT auth.uid()));
CREATE POLICY own_publishable ON blueprints FOR UPDATE TO authenticated
    USING (owner_id = (SELECT auth.uid())) WITH CHECK (owner_id = (SELECT auth.uid()));
CREATE POLICY own_deletable ON blueprints FOR DELETE TO authenticated
    USING (owner_id = (SELECT auth.uid()));
GRANT SELECT ON blueprints TO anon, authenticated;
GRANT INSERT (id, owner_id, name, version, data, assets, description, parent_id)
    ON blueprints TO authenticated;
GRANT UPDATE (is_public) ON blueprints TO authenticated;
GRANT DELETE ON blueprints TO authenticated;
GRANT SELECT ON blueprints TO playhall_server;

-- Under row level security an index on words is never used, since its operator might tell of
-- rows that are not to be seen. Here only what everybody sees is searched.
CREATE FUNCTION search_market(words tsquery) RETURNS SETOF uuid LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT b.id FROM public.blueprints b WHERE b.is_public AND b.search @@ words
    ORDER BY b.created_at DESC LIMIT 1000;
END;
COMMENT ON FUNCTION search_market(tsquery) IS 'the newest published blueprints with these words';
REVOKE ALL ON FUNCTION search_market(tsquery) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_market(tsquery) TO anon, authenticated;
