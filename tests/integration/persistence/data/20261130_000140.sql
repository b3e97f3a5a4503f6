-- Two people at two tables, and the lobby of the game that is played at the second.
INSERT INTO lobbies (id, name, seats, tables) VALUES ('14000000-0000-4000-8000-00000000000a', 'Club', 4, 2)
ON CONFLICT (id) DO UPDATE SET tables = excluded.tables;
INSERT INTO lobby_members (lobby_id, player_id, table_no, seat)
SELECT '14000000-0000-4000-8000-00000000000a', id, row_number() OVER (ORDER BY id) - 1, 0
FROM (SELECT id FROM players ORDER BY id LIMIT 2) AS two
ON CONFLICT (lobby_id, player_id) DO UPDATE SET role = 'player', table_no = excluded.table_no, seat = excluded.seat;
INSERT INTO lobbies (id, name, seats, table_of, table_no)
VALUES ('14000000-0000-4000-8000-00000000000b', 'Table', 2, '14000000-0000-4000-8000-00000000000a', 1)
ON CONFLICT (id) DO UPDATE SET table_of = excluded.table_of, table_no = excluded.table_no;
