-- A game's score is a 32-bit integer, so the sum over a player's games can exceed one.
ALTER TABLE player_lifetime_stats
    ALTER COLUMN total_points TYPE bigint, ALTER COLUMN total_tricks_won TYPE bigint;
ALTER TABLE player_ruleset_stats
    ALTER COLUMN total_points TYPE bigint, ALTER COLUMN total_tricks_won TYPE bigint;
