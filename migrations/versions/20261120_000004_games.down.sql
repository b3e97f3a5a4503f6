DROP TABLE room_directory, game_events, games, nodes;
DROP FUNCTION refuse_change();
