-- Totals that no longer fit become the largest that do.
ALTER TABLE player_lifetime_stats
    ALTER COLUMN total_points TYPE int
        USING least(greatest(total_points, -2147483647), 2147483647)::int,
    ALTER COLUMN total_tricks_won TYPE int
        USING least(greatest(total_tricks_won, -2147483647), 2147483647)::int;
ALTER TABLE player_ruleset_stats
    ALTER COLUMN total_points TYPE int
        USING least(greatest(total_points, -2147483647), 2147483647)::int,
    ALTER COLUMN total_tricks_won TYPE int
        USING least(greatest(total_tricks_won, -2147483647), 2147483647)::int;
