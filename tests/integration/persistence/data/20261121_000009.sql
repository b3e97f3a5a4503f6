INSERT INTO lobbies (mode, region, host_peer_id, host_player_id, match_id, started_at, lineup, seats)
VALUES ('peer', 'eu-west', 'ann-1', '00000000-0000-4000-8000-000000000003',
        '00000000-0000-4000-8000-000000000009', now(),
        '{00000000-0000-4000-8000-000000000003}', 2);
INSERT INTO matches (mode, started_at, ended_at, reported_by)
VALUES ('peer', now(), now(), '00000000-0000-4000-8000-000000000003');
