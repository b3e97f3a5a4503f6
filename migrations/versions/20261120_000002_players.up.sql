CREATE TABLE players (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id        text UNIQUE,
    display_name   text NOT NULL,
    avatar_seed    text NOT NULL,
    color          text NOT NULL,
    is_bot         boolean NOT NULL DEFAULT false,
    platform_links jsonb NOT NULL DEFAULT '{}',
    last_seen      timestamptz,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX players_user_id_idx ON players (user_id);
COMMENT ON TABLE players IS 'identities in games: people, guests and bots';
COMMENT ON COLUMN players.user_id IS 'the profile''s id as text; null for a bot or a one-off player';
COMMENT ON COLUMN players.avatar_seed IS 'what the client draws the avatar from';
COMMENT ON COLUMN players.color IS 'the player''s colour at the table';
COMMENT ON COLUMN players.platform_links IS 'platform name to the player''s id there; encrypted';
COMMENT ON COLUMN players.last_seen IS 'when a socket of this player was last open';

REVOKE ALL ON players FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE ON players TO playhall_server;
