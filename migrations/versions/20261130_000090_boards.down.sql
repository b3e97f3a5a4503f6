-- Leaderboards go with their seasons and with who is hidden.

DROP TABLE board_hidden_players, board_entries, board_games, ruleset_seasons;
