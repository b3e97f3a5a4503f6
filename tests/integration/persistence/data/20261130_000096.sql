INSERT INTO tournaments (id, title, ruleset, format, starts_at, entrants_min, entrants_max, created_by)
VALUES ('00000000-0000-4000-8000-000000000960', 'Cup', 'four_in_a_row', 'swiss', now(), 2, 8,
        '00000000-0000-4000-8000-000000000001');
INSERT INTO tournament_entrants (tournament_id, number, player_id) VALUES
    ('00000000-0000-4000-8000-000000000960', 1, '00000000-0000-4000-8000-000000000003'),
    ('00000000-0000-4000-8000-000000000960', 2, '00000000-0000-4000-8000-000000000004');
INSERT INTO tournament_pairings (tournament_id, round, board, first, second, status)
VALUES ('00000000-0000-4000-8000-000000000960', 1, 1, 1, 2, 'ready');
