-- The row outlives the step's way back, which takes its columns alone.
INSERT INTO nodes (id, lease_until, games, connections, load, is_draining, plays, version)
VALUES ('n131', now(), 3, 40, 0.5, true, 'abc', '0.1.0')
ON CONFLICT (id) DO UPDATE SET games = excluded.games;
