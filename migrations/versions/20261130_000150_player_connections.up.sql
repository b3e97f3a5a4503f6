-- Which node a player is connected to, so that the newest connection wins on any node.

CREATE SEQUENCE player_connection_numbers;
CREATE TABLE player_connections (
    player_id uuid PRIMARY KEY REFERENCES players ON DELETE CASCADE,
    node_id   text NOT NULL,
    number    bigint NOT NULL DEFAULT nextval('player_connection_numbers')
);
ALTER SEQUENCE player_connection_numbers OWNED BY player_connections.number;
CREATE INDEX player_connections_node_idx ON player_connections (node_id);
COMMENT ON TABLE player_connections IS 'the node that a player connected to last';
COMMENT ON COLUMN player_connections.number IS 'of two connections of a player, the newer one has the higher number';

SELECT playhall_auth.secure('player_connections');
REVOKE ALL ON player_connections FROM service_role;
REVOKE ALL ON SEQUENCE player_connection_numbers FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON player_connections TO playhall_server;
GRANT USAGE ON SEQUENCE player_connection_numbers TO playhall_server;
