-- Saves of single-player titles: slots, every revision of each, conflicts between devices, the
-- schemas that say how a title's saves are checked and merged, and what devices are told.

-- ------------------------------------------------------------------ whose player it is

-- `user_id` is the profile's id as text where there is one. A column of the right type can refer to
-- it; a trigger keeps it, whichever of the two rows is made first.
ALTER TABLE players ADD COLUMN account_id uuid UNIQUE REFERENCES profiles (id) ON DELETE SET NULL;
COMMENT ON COLUMN players.account_id IS 'the profile that user_id names, if there is one; kept by triggers';
UPDATE players p SET account_id = f.id FROM profiles f WHERE p.user_id = f.id::text;

CREATE FUNCTION player_names_account() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
BEGIN
    NEW.account_id := (SELECT f.id FROM public.profiles f WHERE f.id::text = NEW.user_id);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION player_names_account() IS 'sets account_id from user_id';
CREATE FUNCTION account_finds_player() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = '' AS $$
BEGIN
    UPDATE public.players SET account_id = NEW.id
    WHERE user_id = NEW.id::text AND account_id IS DISTINCT FROM NEW.id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION account_finds_player() IS 'sets account_id of a player that was made before its profile';
REVOKE ALL ON FUNCTION player_names_account(), account_finds_player() FROM PUBLIC;
CREATE TRIGGER players_name_account BEFORE INSERT OR UPDATE OF user_id, account_id ON players
    FOR EACH ROW EXECUTE FUNCTION player_names_account();
CREATE TRIGGER profiles_find_player AFTER INSERT ON profiles
    FOR EACH ROW EXECUTE FUNCTION account_finds_player();

-- ------------------------------------------------------------------ schemas

CREATE TABLE save_schemas (
    title      text NOT NULL CHECK (title ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    version    int NOT NULL CHECK (version > 0),
    schema     jsonb NOT NULL CHECK (jsonb_typeof(schema) IN ('object', 'boolean')),
    merge      jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(merge) = 'object'),
    otherwise  text NOT NULL DEFAULT 'ask' CHECK (otherwise IN ('ask', 'newest')),
    upgrade    jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(upgrade) = 'array'),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (title, version)
);
COMMENT ON TABLE save_schemas IS 'how saves of a title are checked, merged and brought up to date; a version never changes';
COMMENT ON COLUMN save_schemas.schema IS 'JSON Schema of narrative_state, without mods';
COMMENT ON COLUMN save_schemas.merge IS '{JSON Pointer, with * for any key: rule}';
COMMENT ON COLUMN save_schemas.otherwise IS 'the rule of what merge does not name';
COMMENT ON COLUMN save_schemas.upgrade IS 'JSON Patch (RFC 6902) that makes a state of the version before fit';

-- ------------------------------------------------------------------ slots

CREATE TABLE save_slots (
    slot_id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id          uuid NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    narrative_state     jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(narrative_state) = 'object'),
    progression_version bigint NOT NULL DEFAULT 1 CHECK (progression_version > 0),
    last_revision       bigint NOT NULL DEFAULT 1,
    title               text NOT NULL DEFAULT '' CHECK (title ~ '^([a-z0-9][a-z0-9_-]{0,63})?$'),
    schema_version      int NOT NULL DEFAULT 1 CHECK (schema_version > 0),
    package             text CHECK (char_length(package) <= 100),
    name                text NOT NULL DEFAULT '' CHECK (char_length(name) <= 64),
    thumbnail           text CHECK (char_length(thumbnail) <= 300),
    device              text NOT NULL DEFAULT '' CHECK (char_length(device) <= 64),
    play_time_s         bigint NOT NULL DEFAULT 0 CHECK (play_time_s >= 0),
    size                int NOT NULL DEFAULT 2 CHECK (size > 0),
    checksum            text NOT NULL
        DEFAULT 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'
        CHECK (checksum ~ '^sha256:[0-9a-f]{64}$'),
    is_modded           bool NOT NULL DEFAULT false,
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT save_slots_owner UNIQUE (slot_id, account_id),
    CONSTRAINT save_slots_revision_given_out CHECK (progression_version <= last_revision)
);
CREATE INDEX save_slots_account_id_idx ON save_slots (account_id, created_at, slot_id);
CREATE INDEX save_slots_class_idx ON save_slots (title, schema_version, slot_id);
COMMENT ON TABLE save_slots IS 'where a person plays on: the current state of each of their saves';
COMMENT ON COLUMN save_slots.narrative_state IS 'the current state; mods.{mod_id} is kept and never interpreted';
COMMENT ON COLUMN save_slots.progression_version IS 'the current revision, and the ETag of the slot';
COMMENT ON COLUMN save_slots.last_revision IS 'the highest revision so far, on whichever branch';
COMMENT ON COLUMN save_slots.title IS 'which title''s saves these are; names its schemas in save_schemas';
COMMENT ON COLUMN save_slots.package IS 'the content package that the client played with';
COMMENT ON COLUMN save_slots.device IS 'which device wrote the current state, as it calls itself';
COMMENT ON COLUMN save_slots.checksum IS 'SHA-256 of the state as canonical JSON';
COMMENT ON COLUMN save_slots.is_modded IS 'a modded client wrote here once; such a slot is in no ranking';

-- ------------------------------------------------------------------ revisions

CREATE TABLE save_revisions (
    slot_id        uuid NOT NULL,
    account_id     uuid NOT NULL,
    revision       bigint NOT NULL CHECK (revision > 0),
    parents        bigint[] NOT NULL DEFAULT '{}' CHECK (cardinality(parents) <= 2),
    reason         text NOT NULL CHECK (
        reason IN ('create', 'write', 'merge', 'restore', 'import', 'resolve', 'undo', 'server')),
    source         bigint,
    mutation_id    uuid,
    mutation_hash  text,
    outcome        text NOT NULL DEFAULT 'written' CHECK (outcome IN ('written', 'merged', 'conflict')),
    head           bigint,
    conflict_id    uuid,
    state          jsonb,
    schema_version int NOT NULL,
    device         text NOT NULL DEFAULT '',
    play_time_s    bigint NOT NULL DEFAULT 0,
    size           int NOT NULL,
    checksum       text NOT NULL,
    is_modded      bool NOT NULL DEFAULT false,
    is_pinned      bool NOT NULL DEFAULT false,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (slot_id, revision),
    FOREIGN KEY (slot_id, account_id) REFERENCES save_slots (slot_id, account_id)
        ON UPDATE CASCADE ON DELETE CASCADE,
    CONSTRAINT save_revisions_mutation_once UNIQUE (slot_id, mutation_id),
    CHECK ((mutation_id IS NULL) = (mutation_hash IS NULL)),
    CHECK (NOT (is_pinned AND state IS NULL))
);
CREATE INDEX save_revisions_account_id_idx ON save_revisions (account_id);
COMMENT ON TABLE save_revisions IS 'every revision of a slot, of all branches';
COMMENT ON COLUMN save_revisions.parents IS 'what it was made of: one revision, two after a merge, none for the first';
COMMENT ON COLUMN save_revisions.source IS 'the revision that was restored or brought back';
COMMENT ON COLUMN save_revisions.mutation_id IS 'chosen by the client, so that it may repeat a request whose answer was lost';
COMMENT ON COLUMN save_revisions.mutation_hash IS 'of what the request said, so that an id is not used twice';
COMMENT ON COLUMN save_revisions.outcome IS 'what was answered to the mutation, for repeats';
COMMENT ON COLUMN save_revisions.head IS 'the current revision after the mutation; null if it is this one';
COMMENT ON COLUMN save_revisions.conflict_id IS 'the conflict that the mutation led to, if it did';
COMMENT ON COLUMN save_revisions.state IS 'null once it was pruned; the row stays, for repeats and for the history of branches';

-- ------------------------------------------------------------------ conflicts

CREATE TABLE save_conflicts (
    conflict_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    slot_id     uuid NOT NULL,
    account_id  uuid NOT NULL,
    base        bigint,
    branch      bigint NOT NULL,
    paths       text[] NOT NULL,
    status      text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'resolved')),
    resolution  bigint,
    opened_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    resolved_at timestamptz,
    FOREIGN KEY (slot_id, account_id) REFERENCES save_slots (slot_id, account_id)
        ON UPDATE CASCADE ON DELETE CASCADE,
    CHECK ((status = 'resolved') = (resolution IS NOT NULL)),
    CHECK ((status = 'resolved') = (resolved_at IS NOT NULL))
);
CREATE INDEX save_conflicts_slot_id_idx ON save_conflicts (slot_id, opened_at);
CREATE INDEX save_conflicts_account_id_idx ON save_conflicts (account_id);
COMMENT ON TABLE save_conflicts IS 'branches of a slot that could not be merged into its current state';
COMMENT ON COLUMN save_conflicts.base IS 'what both branches come from; null if it was pruned';
COMMENT ON COLUMN save_conflicts.branch IS 'the newest revision of the branch beside the current state';
COMMENT ON COLUMN save_conflicts.paths IS 'the fields that both changed, as JSON Pointers';
COMMENT ON COLUMN save_conflicts.resolution IS 'the revision that resolved it';

-- ------------------------------------------------------------------ what devices are told

CREATE TABLE progress_streams (
    account_id uuid PRIMARY KEY REFERENCES profiles (id) ON DELETE CASCADE,
    number     bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE progress_streams IS 'how many changes an account''s devices were told of; its row is locked by who adds one';

CREATE TABLE progress_changes (
    account_id uuid NOT NULL REFERENCES progress_streams (account_id) ON DELETE CASCADE ON UPDATE CASCADE,
    number     bigint NOT NULL,
    kind       text NOT NULL CHECK (kind ~ '^[a-z]+(\.[a-z_]+)+$'),
    slot_id    uuid,
    data       jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(data) = 'object'),
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, number)
);
COMMENT ON TABLE progress_changes IS 'the newest changes of an account''s saves, for devices that come back';
COMMENT ON COLUMN progress_changes.kind IS 'save.revision, save.conflict, save.deleted, and those of other domains';
COMMENT ON COLUMN progress_changes.slot_id IS 'the slot that it concerns, which may be gone';

-- ------------------------------------------------------------------ who may do what

SELECT playhall_auth.secure('save_schemas', 'save_slots', 'save_revisions', 'save_conflicts',
    'progress_streams', 'progress_changes');
REVOKE ALL ON progress_streams, progress_changes FROM service_role;

CREATE POLICY readable ON save_schemas FOR SELECT TO anon, authenticated USING (true);
GRANT SELECT ON save_schemas TO anon, authenticated;
GRANT SELECT, INSERT ON save_schemas TO playhall_server;

-- States are written by the server alone: merging, server-owned fields and the chain of revisions
-- are rules about the state, not about whose row it is.
CREATE POLICY own_readable ON save_slots FOR SELECT TO authenticated
    USING (account_id = (SELECT auth.uid()));
CREATE POLICY own_changeable ON save_slots FOR UPDATE TO authenticated
    USING (account_id = (SELECT auth.uid())) WITH CHECK (account_id = (SELECT auth.uid()));
GRANT SELECT ON save_slots TO authenticated;
GRANT UPDATE (name, thumbnail) ON save_slots TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON save_slots TO playhall_server;

CREATE POLICY own_readable ON save_revisions FOR SELECT TO authenticated
    USING (account_id = (SELECT auth.uid()));
CREATE POLICY own_changeable ON save_revisions FOR UPDATE TO authenticated
    USING (account_id = (SELECT auth.uid())) WITH CHECK (account_id = (SELECT auth.uid()));
GRANT SELECT ON save_revisions TO authenticated;
GRANT UPDATE (is_pinned) ON save_revisions TO authenticated;
GRANT SELECT, INSERT, DELETE ON save_revisions TO playhall_server;
GRANT UPDATE (state) ON save_revisions TO playhall_server;

CREATE POLICY own_readable ON save_conflicts FOR SELECT TO authenticated
    USING (account_id = (SELECT auth.uid()));
GRANT SELECT ON save_conflicts TO authenticated;
GRANT SELECT, INSERT, UPDATE ON save_conflicts TO playhall_server;

CREATE POLICY own_readable ON progress_streams FOR SELECT TO authenticated
    USING (account_id = (SELECT auth.uid()));
CREATE POLICY own_readable ON progress_changes FOR SELECT TO authenticated
    USING (account_id = (SELECT auth.uid()));
GRANT SELECT ON progress_streams, progress_changes TO authenticated;
GRANT SELECT, INSERT, UPDATE ON progress_streams TO playhall_server;
GRANT SELECT, INSERT, DELETE ON progress_changes TO playhall_server;
