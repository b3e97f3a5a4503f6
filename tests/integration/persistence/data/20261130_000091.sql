INSERT INTO player_ratings (ruleset, player_id, rating, deviation, volatility, games, rated_at)
SELECT 'relay', id, 1510, 200, 0.06, 1, now() FROM players LIMIT 1;
INSERT INTO rated_games (game_id, ruleset, completed_at) SELECT id, ruleset, now() FROM games LIMIT 1;
INSERT INTO rating_changes (game_id, player_id, number, ruleset, place, before, rating, deviation, volatility)
SELECT g.game_id, p.player_id, g.number, 'relay', 1, 1500, 1510, 200, 0.06 FROM rated_games g, player_ratings p;
