INSERT INTO nodes (id, lease_until) VALUES ('n1', now());
INSERT INTO games (id, session_seed, config, status, ruleset, ruleset_version, lobby_id, owner_node)
VALUES ('00000000-0000-4000-8000-000000000006', 's', '{}', 'in_progress', 'relay', 1,
        '00000000-0000-4000-8000-000000000005', 'n1');
INSERT INTO game_events (game_id, event_index, type, payload, hash)
SELECT '00000000-0000-4000-8000-000000000006', n, 'played', '{}', decode(repeat('00', 16), 'hex')
FROM generate_series(0, 9) AS n;
INSERT INTO room_directory (game_id, lobby_id, join_code, max_players, current_players)
VALUES ('00000000-0000-4000-8000-000000000006', '00000000-0000-4000-8000-000000000005', 'ABC234', 2, 1);
