DROP TRIGGER epoch_events_numbered ON epoch_events;
DROP FUNCTION number_epoch_event();
DROP TRIGGER bot_identities_player ON bot_identities;
DROP FUNCTION give_bot_a_player();
ALTER TABLE lobbies ALTER COLUMN seats DROP DEFAULT;
