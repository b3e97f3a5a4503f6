INSERT INTO game_totals (shard, games, events) VALUES (3, 1, 5)
ON CONFLICT (shard) DO UPDATE SET games = game_totals.games + 1, events = game_totals.events + 5;
