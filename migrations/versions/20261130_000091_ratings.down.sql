-- Ratings go; they can be computed again from the logs.

DROP TABLE rating_changes, rated_games, player_ratings;
