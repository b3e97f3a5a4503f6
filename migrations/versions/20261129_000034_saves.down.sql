DROP TABLE progress_changes, progress_streams, save_conflicts, save_revisions, save_slots, save_schemas;
DROP TRIGGER profiles_find_player ON profiles;
DROP TRIGGER players_name_account ON players;
DROP FUNCTION account_finds_player(), player_names_account();
ALTER TABLE players DROP COLUMN account_id;
