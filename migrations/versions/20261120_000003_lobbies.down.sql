DROP TABLE lobby_bans, lobby_members, lobbies;
DROP FUNCTION mirror_lobby_players();
DROP TYPE lobby_status;
