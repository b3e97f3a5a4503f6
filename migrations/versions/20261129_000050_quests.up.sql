-- Quests of single-player titles: what they are, how far each slot is, which rewards were claimed;
-- timed events and seasons, which open and close in a time zone of their own.

-- ------------------------------------------------------------------ when something is open

CREATE TABLE seasons (
    season_id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    save_title  text NOT NULL CHECK (save_title ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    name        text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,63}$'),
    title       text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 200),
    description text NOT NULL DEFAULT '' CHECK (char_length(description) <= 2000),
    starts_at   timestamp NOT NULL,
    zone        text NOT NULL CHECK (char_length(zone) BETWEEN 1 AND 64),
    duration_s  int NOT NULL CHECK (duration_s BETWEEN 60 AND 34560000),
    recurrence  text CHECK (char_length(recurrence) <= 200),
    is_withdrawn bool NOT NULL DEFAULT false,
    version     int NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT seasons_name UNIQUE (save_title, name)
);
COMMENT ON TABLE seasons IS 'longer times of a title, in which timed events happen';
COMMENT ON COLUMN seasons.starts_at IS 'the first opening, as a clock in the zone shows it';
COMMENT ON COLUMN seasons.duration_s IS 'how long it stays open after each opening, in seconds that pass';
COMMENT ON COLUMN seasons.recurrence IS 'RRULE (RFC 5545) of the openings, by the clock of the zone; null: once';

CREATE TABLE timed_events (
    event_id    uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    save_title  text NOT NULL CHECK (save_title ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    name        text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,63}$'),
    season      text,
    title       text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 200),
    description text NOT NULL DEFAULT '' CHECK (char_length(description) <= 2000),
    starts_at   timestamp NOT NULL,
    zone        text NOT NULL CHECK (char_length(zone) BETWEEN 1 AND 64),
    duration_s  int NOT NULL CHECK (duration_s BETWEEN 60 AND 34560000),
    recurrence  text CHECK (char_length(recurrence) <= 200),
    is_withdrawn bool NOT NULL DEFAULT false,
    version     int NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT timed_events_name UNIQUE (save_title, name),
    FOREIGN KEY (save_title, season) REFERENCES seasons (save_title, name)
);
CREATE INDEX timed_events_season_idx ON timed_events (save_title, season);
COMMENT ON TABLE timed_events IS 'what a title opens and closes by the server''s clock';
COMMENT ON COLUMN timed_events.season IS 'the season outside of which it stays closed';

-- ------------------------------------------------------------------ quests

CREATE TABLE quests (
    quest_id       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    title          text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 200),
    description    text NOT NULL DEFAULT '' CHECK (char_length(description) <= 2000),
    required_flags text NOT NULL DEFAULT '' CHECK (char_length(required_flags) <= 1000),
    reward_bundle  jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(reward_bundle) = 'object'),
    save_title     text NOT NULL CHECK (save_title ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    name           text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,63}$'),
    fails_when     text NOT NULL DEFAULT '' CHECK (char_length(fails_when) <= 1000),
    steps          jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(steps) = 'array'),
    event          text,
    hidden         bool NOT NULL DEFAULT false,
    is_withdrawn   bool NOT NULL DEFAULT false,
    package        text CHECK (char_length(package) <= 100),
    version        int NOT NULL DEFAULT 1 CHECK (version > 0),
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT quests_name UNIQUE (save_title, name),
    FOREIGN KEY (save_title, event) REFERENCES timed_events (save_title, name)
);
CREATE INDEX quests_event_idx ON quests (save_title, event);
COMMENT ON TABLE quests IS 'what can be done in a title, and what is given for it';
COMMENT ON COLUMN quests.required_flags IS 'the condition (CEL) under which it is available; empty: always';
COMMENT ON COLUMN quests.reward_bundle IS '{items, currencies, flags, lore, cosmetics}';
COMMENT ON COLUMN quests.save_title IS 'whose saves it belongs to';
COMMENT ON COLUMN quests.name IS 'what conditions and addresses call it';
COMMENT ON COLUMN quests.fails_when IS 'the condition under which it fails once it was accepted';
COMMENT ON COLUMN quests.steps IS '[{name, description, kind: report, condition or games, …}], in their order';
COMMENT ON COLUMN quests.event IS 'the timed event outside of which it cannot be done';
COMMENT ON COLUMN quests.hidden IS 'nobody is told of it before it is available';

CREATE TYPE quest_status AS ENUM
    ('locked', 'available', 'active', 'completed', 'claimed', 'failed', 'expired');

CREATE TABLE quest_progress (
    entry_id     uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    slot_id      uuid NOT NULL,
    quest_id     uuid NOT NULL REFERENCES quests (quest_id) ON DELETE CASCADE,
    status       quest_status NOT NULL DEFAULT 'locked',
    last_updated timestamptz NOT NULL DEFAULT clock_timestamp(),
    account_id   uuid NOT NULL,
    step         int NOT NULL DEFAULT 0 CHECK (step BETWEEN 0 AND 100),
    step_count   int NOT NULL DEFAULT 0 CHECK (step_count >= 0),
    CONSTRAINT quest_progress_once UNIQUE (slot_id, quest_id),
    FOREIGN KEY (slot_id, account_id) REFERENCES save_slots (slot_id, account_id)
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE INDEX quest_progress_quest_id_idx ON quest_progress (quest_id);
CREATE INDEX quest_progress_active_idx ON quest_progress (account_id) WHERE status = 'active';
COMMENT ON TABLE quest_progress IS 'how far a slot is with a quest; no row: locked';
COMMENT ON COLUMN quest_progress.step IS 'how many steps are done';
COMMENT ON COLUMN quest_progress.step_count IS 'how many games of the present step are counted';

-- The same table as TRANSITIONS of server/domains/progression/quests/machine.py.
CREATE FUNCTION quest_progress_moves() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'locked' THEN
            RAISE check_violation USING MESSAGE = 'a quest begins as locked, not as ' || NEW.status;
        END IF;
    ELSIF NEW.status <> OLD.status AND (OLD.status::text, NEW.status::text) NOT IN (
        ('locked', 'available'), ('locked', 'expired'),
        ('available', 'locked'), ('available', 'active'), ('available', 'expired'),
        ('active', 'available'), ('active', 'completed'), ('active', 'failed'), ('active', 'expired'),
        ('completed', 'claimed'),
        ('expired', 'locked')
    ) THEN
        RAISE check_violation USING MESSAGE = 'a quest does not go from ' || OLD.status || ' to ' || NEW.status;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION quest_progress_moves() IS 'refuses transitions of a quest that its table does not have';
REVOKE ALL ON FUNCTION quest_progress_moves() FROM PUBLIC;
CREATE TRIGGER quest_progress_moves BEFORE INSERT OR UPDATE ON quest_progress
    FOR EACH ROW EXECUTE FUNCTION quest_progress_moves();

CREATE TABLE quest_events_seen (
    entry_id uuid NOT NULL REFERENCES quest_progress (entry_id) ON DELETE CASCADE,
    event_id uuid NOT NULL,
    PRIMARY KEY (entry_id, event_id)
);
COMMENT ON TABLE quest_events_seen IS 'which durable events a quest has counted, so that each counts once';

CREATE TABLE reward_claims (
    account_id uuid NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
    quest_id   uuid NOT NULL REFERENCES quests (quest_id),
    grant_key  text NOT NULL DEFAULT 'reward' CHECK (char_length(grant_key) BETWEEN 1 AND 100),
    slot_id    uuid NOT NULL,
    bundle     jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(bundle) = 'object'),
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (account_id, quest_id, grant_key)
);
CREATE INDEX reward_claims_quest_id_idx ON reward_claims (quest_id);
COMMENT ON TABLE reward_claims IS 'what an account was given; once for all its slots, copied and restored ones too';
COMMENT ON COLUMN reward_claims.slot_id IS 'with which slot, which may be gone';
COMMENT ON COLUMN reward_claims.bundle IS 'what was given, as the quest had it then';

-- ------------------------------------------------------------------ who may do what

SELECT playhall_auth.secure('seasons', 'timed_events', 'quests', 'quest_progress', 'quest_events_seen',
    'reward_claims');
REVOKE ALL ON quest_events_seen FROM service_role;

CREATE POLICY readable ON seasons FOR SELECT TO anon, authenticated USING (NOT is_withdrawn);
CREATE POLICY readable ON timed_events FOR SELECT TO anon, authenticated USING (NOT is_withdrawn);
GRANT SELECT ON seasons, timed_events TO anon, authenticated;
GRANT SELECT, INSERT, UPDATE ON seasons, timed_events, quests TO playhall_server;

-- Definitions say what is hidden and how it is found, so people get them from the server alone.
CREATE POLICY own_readable ON quest_progress FOR SELECT TO authenticated
    USING (account_id = (SELECT auth.uid()) AND status <> 'locked');
GRANT SELECT ON quest_progress TO authenticated;
GRANT SELECT, INSERT ON quest_progress TO playhall_server;
GRANT UPDATE (status, step, step_count, last_updated) ON quest_progress TO playhall_server;
GRANT SELECT, INSERT ON quest_events_seen TO playhall_server;

CREATE POLICY own_readable ON reward_claims FOR SELECT TO authenticated
    USING (account_id = (SELECT auth.uid()));
GRANT SELECT ON reward_claims TO authenticated;
GRANT SELECT, INSERT ON reward_claims TO playhall_server;
