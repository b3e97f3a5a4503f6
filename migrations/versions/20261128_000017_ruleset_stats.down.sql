DROP TABLE player_ruleset_stats;
ALTER TABLE match_players DROP COLUMN forfeited;
ALTER TABLE matches DROP COLUMN uncounted;
