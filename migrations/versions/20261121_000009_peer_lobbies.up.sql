-- Lobbies whose games run between peers, and their results.
ALTER TABLE lobbies
    ADD COLUMN region       text CHECK (region ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(region) <= 16),
    ADD COLUMN host_seen_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN match_id     uuid,
    ADD COLUMN started_at   timestamptz,
    ADD COLUMN lineup       uuid[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT lobbies_peer_id_of_peers CHECK (host_peer_id IS NULL OR mode = 'peer');
COMMENT ON COLUMN lobbies.region IS 'where the host is, a short code; null if it does not matter';
COMMENT ON COLUMN lobbies.host_seen_at IS 'when a peer lobby''s host last showed life; one who falls silent leaves';
COMMENT ON COLUMN lobbies.match_id IS 'the session between peers, or the last one; in matches once it is reported';
COMMENT ON COLUMN lobbies.started_at IS 'when that session started';
COMMENT ON COLUMN lobbies.lineup IS 'who played in it when it started, by seat';

CREATE INDEX lobbies_host_seen_at_idx ON lobbies (host_seen_at) WHERE mode = 'peer' AND status <> 'CLOSED';
CREATE INDEX lobbies_closed_at_idx ON lobbies (closed_at) WHERE status = 'CLOSED';
CREATE INDEX lobbies_region_idx ON lobbies (region, created_at DESC, id) WHERE status = 'OPEN' AND is_public;
DROP INDEX lobbies_last_heartbeat_idx;
CREATE INDEX lobbies_last_heartbeat_idx ON lobbies (last_heartbeat)
    WHERE status = 'OPEN' OR status = 'PLAYING' AND mode = 'peer';

ALTER TABLE matches ADD COLUMN reported_by uuid REFERENCES players (id) ON DELETE SET NULL;
CREATE INDEX matches_reported_by_idx ON matches (reported_by) WHERE reported_by IS NOT NULL;
COMMENT ON COLUMN matches.reported_by IS 'the host who said how a match between peers ended; null for the server''s own';

GRANT DELETE ON lobbies TO playhall_server;
GRANT SELECT (region, match_id, started_at, lineup) ON lobbies TO anon, authenticated;
