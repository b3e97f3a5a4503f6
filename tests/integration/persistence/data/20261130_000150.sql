INSERT INTO player_connections (player_id, node_id) SELECT id, 'a node' FROM players LIMIT 1;
