INSERT INTO ruleset_seasons (ruleset, name, starts_at, ends_at) VALUES ('relay', 'spring', '2026-03-01', '2026-06-01');
INSERT INTO board_games (game_id, ruleset, completed_at) SELECT id, ruleset, now() FROM games LIMIT 1;
INSERT INTO board_entries (ruleset, statistic, period, player_id, value, rank_value, games, achieved_at, game_id)
SELECT 'relay', 'score', 'all', id, 3, 3, 1, now(), gen_random_uuid() FROM players LIMIT 1;
INSERT INTO board_hidden_players (player_id) SELECT id FROM players LIMIT 1;
