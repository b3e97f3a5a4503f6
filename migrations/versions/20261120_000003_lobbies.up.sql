CREATE TYPE lobby_status AS ENUM ('OPEN', 'PLAYING', 'CLOSED');

CREATE TABLE lobbies (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    host_user_id   uuid REFERENCES profiles (id) ON DELETE SET NULL,
    host_player_id uuid REFERENCES players (id),
    host_peer_id   text,
    name           text NOT NULL DEFAULT '',
    status         lobby_status NOT NULL DEFAULT 'OPEN',
    mode           text NOT NULL DEFAULT 'server' CHECK (mode IN ('server', 'peer')),
    ruleset        text,
    config         jsonb NOT NULL DEFAULT '{}',
    seats          int NOT NULL CHECK (seats BETWEEN 1 AND 64),
    spectators_max int NOT NULL DEFAULT 0 CHECK (spectators_max >= 0),
    is_public      boolean NOT NULL DEFAULT true,
    join_code      text CHECK (join_code ~ '^[2-9A-HJ-NP-Z]{6}$'),
    password_hash  text,
    players        jsonb NOT NULL DEFAULT '[]',
    version        bigint NOT NULL DEFAULT 1,
    game_id        uuid,
    quick_play     boolean NOT NULL DEFAULT false,
    fill_at        timestamptz,
    last_heartbeat timestamptz NOT NULL DEFAULT now(),
    created_at     timestamptz NOT NULL DEFAULT now(),
    closed_at      timestamptz
);
CREATE UNIQUE INDEX lobbies_join_code_live_idx ON lobbies (join_code) WHERE status <> 'CLOSED';
-- The sweep for silent lobbies must not read the closed ones.
CREATE INDEX lobbies_last_heartbeat_idx ON lobbies (last_heartbeat) WHERE status = 'OPEN';
CREATE INDEX lobbies_playing_idx ON lobbies (created_at DESC, id) WHERE status = 'PLAYING' AND is_public;
CREATE INDEX lobbies_open_public_idx ON lobbies (created_at DESC, id) WHERE status = 'OPEN' AND is_public;
CREATE INDEX lobbies_fill_at_idx ON lobbies (fill_at) WHERE status = 'OPEN' AND fill_at IS NOT NULL;
CREATE INDEX lobbies_host_user_id_idx ON lobbies (host_user_id);
CREATE INDEX lobbies_host_player_id_idx ON lobbies (host_player_id);
COMMENT ON TABLE lobbies IS 'where players gather before, between and after games';
COMMENT ON COLUMN lobbies.host_user_id IS 'the host''s profile; null if the host has no account';
COMMENT ON COLUMN lobbies.host_player_id IS 'the member who may start, kick and configure';
COMMENT ON COLUMN lobbies.host_peer_id IS 'PeerJS id of a peer lobby''s host; null until it has one';
COMMENT ON COLUMN lobbies.mode IS 'server: the game runs here; peer: on the host''s machine';
COMMENT ON COLUMN lobbies.config IS 'what the ruleset is started with';
COMMENT ON COLUMN lobbies.join_code IS 'what people type to join: unique among lobbies that are not closed';
COMMENT ON COLUMN lobbies.password_hash IS 'argon2id; null means no password';
COMMENT ON COLUMN lobbies.players IS 'player ids by seat, then spectators by arrival: a mirror of lobby_members';
COMMENT ON COLUMN lobbies.version IS 'grows with every change that members are told of';
COMMENT ON COLUMN lobbies.game_id IS 'the game being played, or the last one';
COMMENT ON COLUMN lobbies.quick_play IS 'made by the server for whoever comes next';
COMMENT ON COLUMN lobbies.fill_at IS 'when empty seats are given to bots';
COMMENT ON COLUMN lobbies.last_heartbeat IS 'a lobby that falls silent is closed by a sweep';

CREATE TABLE lobby_members (
    lobby_id  uuid NOT NULL REFERENCES lobbies (id) ON DELETE CASCADE,
    player_id uuid NOT NULL REFERENCES players (id),
    role      text NOT NULL DEFAULT 'player' CHECK (role IN ('player', 'spectator')),
    seat      smallint CHECK (seat >= 0),
    ready     boolean NOT NULL DEFAULT false,
    bot       text,
    joined_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (lobby_id, player_id),
    CONSTRAINT lobby_members_seat_taken_once UNIQUE (lobby_id, seat),
    CONSTRAINT lobby_members_players_sit CHECK ((role = 'player') = (seat IS NOT NULL))
);
CREATE INDEX lobby_members_player_id_idx ON lobby_members (player_id);
COMMENT ON TABLE lobby_members IS 'who is in a lobby, on which seat; its constraints keep seats single';
COMMENT ON COLUMN lobby_members.seat IS 'counted from 0; null for a spectator';
COMMENT ON COLUMN lobby_members.bot IS 'the ruleset''s name for the bot; null for a person';

CREATE TABLE lobby_bans (
    lobby_id   uuid NOT NULL REFERENCES lobbies (id) ON DELETE CASCADE,
    player_id  uuid NOT NULL REFERENCES players (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (lobby_id, player_id)
);
CREATE INDEX lobby_bans_player_id_idx ON lobby_bans (player_id);
COMMENT ON TABLE lobby_bans IS 'who was removed from a lobby and may not come back';

-- The lobby's row is locked by a statement of its own: the next one then sees the members
-- that a concurrent join has just committed, which one UPDATE alone would miss.
CREATE FUNCTION mirror_lobby_players() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    PERFORM FROM public.lobbies WHERE id IN (OLD.lobby_id, NEW.lobby_id) ORDER BY id FOR NO KEY UPDATE;
    UPDATE public.lobbies AS lobby
    SET players = (
        SELECT coalesce(jsonb_agg(player_id ORDER BY seat NULLS LAST, joined_at, player_id), '[]')
        FROM public.lobby_members
        WHERE lobby_id = lobby.id
    )
    WHERE id IN (OLD.lobby_id, NEW.lobby_id);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION mirror_lobby_players() IS 'keeps lobbies.players equal to lobby_members';

CREATE TRIGGER lobby_members_mirror
    AFTER INSERT OR DELETE OR UPDATE OF lobby_id, player_id, seat, joined_at ON lobby_members
    FOR EACH ROW EXECUTE FUNCTION mirror_lobby_players();

REVOKE ALL ON lobbies, lobby_members, lobby_bans FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE ON lobbies TO playhall_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON lobby_members, lobby_bans TO playhall_server;
