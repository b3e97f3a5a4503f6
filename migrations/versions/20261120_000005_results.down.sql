DROP TRIGGER games_completed_has_summary ON games;
DROP TABLE match_players, matches, player_lifetime_stats, game_summaries;
DROP FUNCTION require_summary();
