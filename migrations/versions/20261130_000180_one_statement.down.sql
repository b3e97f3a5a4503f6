DROP FUNCTION change_lobby;
DROP FUNCTION open_lobby;
DROP FUNCTION complete_game;
