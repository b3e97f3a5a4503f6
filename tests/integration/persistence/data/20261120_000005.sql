INSERT INTO game_summaries (game_id, players, rounds, final_scores)
VALUES ('00000000-0000-4000-8000-000000000006', '[]', '[]', '{}');
UPDATE games SET status = 'completed', completed_at = now()
WHERE id = '00000000-0000-4000-8000-000000000006';
INSERT INTO player_lifetime_stats (player_id, games_played, games_won)
VALUES ('00000000-0000-4000-8000-000000000003', 3, 2);
INSERT INTO matches (id, game_id, lobby_id, started_at, ended_at, winner_id)
VALUES ('00000000-0000-4000-8000-000000000007', '00000000-0000-4000-8000-000000000006',
        '00000000-0000-4000-8000-000000000005', now(), now(), '00000000-0000-4000-8000-000000000003');
INSERT INTO match_players (match_id, player_id, seat, score, is_winner, ended_at)
VALUES ('00000000-0000-4000-8000-000000000007', '00000000-0000-4000-8000-000000000003', 0, 7, true, now());
