INSERT INTO player_achievements (player_id, ruleset, key, progress, granted_at, game_id)
VALUES ('00000000-0000-4000-8000-000000000003', 'four_in_a_row', 'first_win', 1, now(),
        '00000000-0000-4000-8000-000000000006');
INSERT INTO achievement_games (player_id, game_id)
VALUES ('00000000-0000-4000-8000-000000000003', '00000000-0000-4000-8000-000000000006');
