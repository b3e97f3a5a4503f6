UPDATE matches SET uncounted = 'solo' WHERE id = '00000000-0000-4000-8000-000000000007';
UPDATE match_players SET forfeited = false;
INSERT INTO player_ruleset_stats (player_id, ruleset, games_played, games_won)
VALUES ('00000000-0000-4000-8000-000000000003', 'relay', 3, 2);
