ALTER TABLE playhall_auth.refresh_tokens DROP COLUMN family;
DROP TRIGGER players_display_name_not_reserved ON players;
DROP TRIGGER profiles_display_name_not_reserved ON profiles;
DROP TRIGGER profiles_username_not_reserved ON profiles;
DROP FUNCTION refuse_reserved_name();
DROP FUNCTION is_reserved_name(text);
ALTER TABLE players DROP CONSTRAINT players_display_name_shows;
ALTER TABLE profiles DROP CONSTRAINT profiles_display_name_shows;
