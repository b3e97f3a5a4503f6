-- Every rule of the form "this never happens" is a trigger whose WHEN states it and whose
-- argument says it in words; they hold for everybody, superusers and replicas included.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'restrict_violation',
        MESSAGE = format('%s of %s refused: %s', TG_OP, TG_TABLE_NAME, TG_ARGV[0]);
END
$$;
COMMENT ON FUNCTION refuse_change() IS 'refuses what its trigger guards; the argument says why';

CREATE TABLE nodes (
    id          text PRIMARY KEY,
    address     text NOT NULL DEFAULT '',
    started_at  timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz NOT NULL
);
COMMENT ON TABLE nodes IS 'server processes and their leases; renewing one never locks a game';
COMMENT ON COLUMN nodes.address IS 'where clients reach this node; empty if there is only one';
COMMENT ON COLUMN nodes.lease_until IS 'after this, others may take the node''s games';

-- Half of each page stays free, so that the head moves within its page (HOT) and no index
-- is touched: never index next_event_index.
CREATE TABLE games (
    id                uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    session_seed      text NOT NULL,
    config            jsonb NOT NULL,
    status            text NOT NULL CHECK (status IN ('created', 'in_progress', 'completed')),
    ruleset           text NOT NULL,
    ruleset_version   int NOT NULL,
    lobby_id          uuid REFERENCES lobbies (id),
    is_public         boolean NOT NULL DEFAULT true,
    owner_node        text,
    owner_epoch       bigint NOT NULL DEFAULT 1,
    next_event_index  int NOT NULL DEFAULT 0,
    quarantined_at    timestamptz,
    quarantine_reason text,
    started_at        timestamptz,
    completed_at      timestamptz,
    created_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT games_completed_has_time CHECK ((status = 'completed') = (completed_at IS NOT NULL)),
    CONSTRAINT games_quarantine_has_reason CHECK ((quarantined_at IS NULL) = (quarantine_reason IS NULL))
) WITH (fillfactor = 50);
CREATE INDEX games_status_idx ON games (status);
CREATE INDEX games_created_at_idx ON games (created_at);
CREATE INDEX games_lobby_id_idx ON games (lobby_id);
CREATE INDEX games_owned_idx ON games (owner_node) WHERE status = 'in_progress';
COMMENT ON TABLE games IS 'one row a session of a ruleset on the server; never deleted';
COMMENT ON COLUMN games.session_seed IS 'all chance of the game comes from it; secret until the end';
COMMENT ON COLUMN games.config IS 'what the ruleset was started with';
COMMENT ON COLUMN games.ruleset_version IS 'the version of the rules that its log is folded with';
COMMENT ON COLUMN games.owner_node IS 'nodes.id of the only process that may append; null if nobody';
COMMENT ON COLUMN games.owner_epoch IS 'grows with every take-over; an append with an older one is fenced';
COMMENT ON COLUMN games.next_event_index IS 'the head: the index that the next event gets';
COMMENT ON COLUMN games.quarantined_at IS 'a check of the log failed; no commands until somebody has looked';

CREATE TRIGGER games_kept BEFORE DELETE ON games
    FOR EACH ROW EXECUTE FUNCTION refuse_change('games are kept for ever');
CREATE TRIGGER games_kept_whole BEFORE TRUNCATE ON games
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('games are kept for ever');
CREATE TRIGGER games_origin_fixed
    BEFORE UPDATE OF id, session_seed, config, ruleset, ruleset_version ON games
    FOR EACH ROW WHEN (
        (OLD.id, OLD.session_seed, OLD.config, OLD.ruleset, OLD.ruleset_version)
        IS DISTINCT FROM (NEW.id, NEW.session_seed, NEW.config, NEW.ruleset, NEW.ruleset_version)
    ) EXECUTE FUNCTION refuse_change('what a game began with is fixed');
CREATE TRIGGER games_status_forward BEFORE UPDATE OF status ON games
    FOR EACH ROW WHEN (
        array_position(ARRAY['created', 'in_progress', 'completed'], NEW.status)
        < array_position(ARRAY['created', 'in_progress', 'completed'], OLD.status)
    ) EXECUTE FUNCTION refuse_change('status moves only forward');
CREATE TRIGGER games_epoch_grows BEFORE UPDATE OF owner_epoch ON games
    FOR EACH ROW WHEN (NEW.owner_epoch < OLD.owner_epoch)
    EXECUTE FUNCTION refuse_change('owner_epoch never decreases');
CREATE TRIGGER games_head_grows BEFORE UPDATE OF next_event_index ON games
    FOR EACH ROW WHEN (NEW.next_event_index < OLD.next_event_index)
    EXECUTE FUNCTION refuse_change('next_event_index never decreases');

ALTER TABLE games ENABLE ALWAYS TRIGGER games_kept;
ALTER TABLE games ENABLE ALWAYS TRIGGER games_kept_whole;
ALTER TABLE games ENABLE ALWAYS TRIGGER games_origin_fixed;
ALTER TABLE games ENABLE ALWAYS TRIGGER games_status_forward;
ALTER TABLE games ENABLE ALWAYS TRIGGER games_epoch_grows;
ALTER TABLE games ENABLE ALWAYS TRIGGER games_head_grows;

-- The id is derived, not random, and has no index: a second random index doubles the cost
-- of an insert, and indexes on a prefix of the key add nothing.
CREATE TABLE game_events (
    game_id     uuid NOT NULL REFERENCES games (id),
    event_index int NOT NULL CHECK (event_index >= 0),
    type        text NOT NULL,
    payload     jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    hash        bytea NOT NULL CHECK (octet_length(hash) = 16),
    id          uuid NOT NULL GENERATED ALWAYS AS (md5(game_id::text || ':' || event_index::text)::uuid) STORED,
    PRIMARY KEY (game_id, event_index)
) PARTITION BY HASH (game_id);
COMMENT ON TABLE game_events IS 'the log: what happened in each game, in order; never changed, never deleted';
COMMENT ON COLUMN game_events.event_index IS '0, 1, 2, ... without a gap, within its game';
COMMENT ON COLUMN game_events.type IS 'lowercase, the ruleset''s own word: card_played';
COMMENT ON COLUMN game_events.payload IS 'as the ruleset wrote it; _v inside is its version';
COMMENT ON COLUMN game_events.hash IS 'blake2b of the previous hash, index, type and payload, 16 bytes';
COMMENT ON COLUMN game_events.id IS 'md5 of game_id:event_index; follows from the key, so not indexed';

CREATE TRIGGER game_events_immutable BEFORE UPDATE OR DELETE ON game_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change('events are never changed and never deleted');
CREATE TRIGGER game_events_kept_whole BEFORE TRUNCATE ON game_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('events are never changed and never deleted');
ALTER TABLE game_events ENABLE ALWAYS TRIGGER game_events_kept_whole;

-- Row triggers are copied to partitions, statement triggers are not.
DO $$
DECLARE
    part text;
BEGIN
    FOR i IN 0..7 LOOP
        part := 'game_events_' || i;
        EXECUTE format('CREATE TABLE %I PARTITION OF game_events FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, i);
        EXECUTE format('COMMENT ON TABLE %I IS %L', part, 'part of game_events');
        EXECUTE format(
            'CREATE TRIGGER game_events_kept_whole BEFORE TRUNCATE ON %I FOR EACH STATEMENT'
            ' EXECUTE FUNCTION refuse_change(%L)', part, 'events are never changed and never deleted');
        EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER game_events_kept_whole', part);
        EXECUTE format('REVOKE ALL ON %I FROM PUBLIC, anon, authenticated, service_role', part);
    END LOOP;
END
$$;
ALTER TABLE game_events ENABLE ALWAYS TRIGGER game_events_immutable;

CREATE TABLE room_directory (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    game_id         uuid NOT NULL UNIQUE REFERENCES games (id) ON DELETE CASCADE,
    lobby_id        uuid REFERENCES lobbies (id),
    join_code       text NOT NULL UNIQUE CHECK (join_code ~ '^[2-9A-HJ-NP-Z]{6}$'),
    is_public       boolean NOT NULL DEFAULT true,
    max_players     int NOT NULL CHECK (max_players >= 0),
    current_players int NOT NULL CHECK (current_players >= 0),
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX room_directory_lobby_id_idx ON room_directory (lobby_id);
COMMENT ON TABLE room_directory IS 'games that people can find and join or watch';
COMMENT ON COLUMN room_directory.join_code IS '6 of 23456789ABCDEFGHJKLMNPQRSTUVWXYZ: nothing to mistake for another';

REVOKE ALL ON nodes, games, game_events, room_directory FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT ON game_events TO playhall_server;
GRANT SELECT, INSERT, UPDATE ON games TO playhall_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON nodes, room_directory TO playhall_server;
