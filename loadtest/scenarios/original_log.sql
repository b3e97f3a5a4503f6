-- The events of a game as the original server stored them.
SELECT event_index, type, payload FROM game_events WHERE game_id = %s ORDER BY event_index
