DROP TRIGGER lobbies_closed ON lobbies;
DROP FUNCTION tell_lobby_closed();
DROP TABLE event_outbox;
