DROP TRIGGER games_inserted_finished_are_counted ON games;
DROP TRIGGER games_finished_are_counted ON games;
DROP FUNCTION count_finished_game();
DROP FUNCTION game_shard(uuid);
DROP TABLE game_totals;
