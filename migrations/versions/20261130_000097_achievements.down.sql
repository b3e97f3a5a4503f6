-- Achievements go; they can be counted again from the logs.

DROP TABLE player_achievements, achievement_games;
