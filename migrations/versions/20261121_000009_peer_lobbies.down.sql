REVOKE DELETE ON lobbies FROM playhall_server;
ALTER TABLE matches DROP COLUMN reported_by;
DROP INDEX lobbies_last_heartbeat_idx, lobbies_region_idx, lobbies_closed_at_idx, lobbies_host_seen_at_idx;
CREATE INDEX lobbies_last_heartbeat_idx ON lobbies (last_heartbeat) WHERE status = 'OPEN';
ALTER TABLE lobbies
    DROP CONSTRAINT lobbies_peer_id_of_peers,
    DROP COLUMN region,
    DROP COLUMN host_seen_at,
    DROP COLUMN match_id,
    DROP COLUMN started_at,
    DROP COLUMN lineup;
