-- Of a player who is connected to two nodes, both connections stay.

DROP TABLE player_connections;
