UPDATE player_ruleset_stats SET total_points = 2147483647;
