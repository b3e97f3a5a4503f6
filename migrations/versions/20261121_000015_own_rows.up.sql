-- Where people reach the database themselves, as on Supabase, their own rows are held here to what
-- the server's doors ask of names: not too long, and nothing that hides or turns around what is read.
-- What does not fit yet is made to first: a row that breaks a rule could not even gain XP.

CREATE FUNCTION pg_temp.fitting(name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT left(regexp_replace(name, '[\x01-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]', '', 'g'), 64) $$;

UPDATE profiles SET display_name = coalesce(nullif(pg_temp.fitting(display_name), ''), username)
WHERE display_name <> pg_temp.fitting(display_name) OR display_name = '';
UPDATE players SET display_name = coalesce(nullif(pg_temp.fitting(display_name), ''), 'Somebody')
WHERE display_name <> pg_temp.fitting(display_name) OR display_name = '';
UPDATE players SET avatar_seed = pg_temp.fitting(avatar_seed)
WHERE avatar_seed <> pg_temp.fitting(avatar_seed);
UPDATE players SET color = '#888888' WHERE color !~ '^[#A-Za-z0-9(),.% -]{0,32}$';
DROP FUNCTION pg_temp.fitting;

ALTER TABLE profiles ADD CONSTRAINT profiles_display_name_is_a_name CHECK (
    char_length(display_name) BETWEEN 1 AND 64
    AND display_name !~ '[\x01-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]');
ALTER TABLE players ADD CONSTRAINT players_display_name_is_a_name CHECK (
    char_length(display_name) BETWEEN 1 AND 64
    AND display_name !~ '[\x01-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]');
ALTER TABLE players ADD CONSTRAINT players_look_is_short CHECK (
    char_length(avatar_seed) <= 64 AND avatar_seed !~ '[\x01-\x1f\x7f-\x9f]'
    AND color ~ '^[#A-Za-z0-9(),.% -]{0,32}$');  -- as style sheets write colours

-- A host closes a lobby, and changes nothing of one that stays open: all else is the server's.
ALTER POLICY host_closes ON lobbies
    WITH CHECK (host_user_id = (SELECT auth.uid()) AND status = 'CLOSED');
