DROP FUNCTION playhall_auth.erase_person(uuid), playhall_auth.let_go(regclass, uuid),
    playhall_auth.person_rows(uuid, text), playhall_auth.person_tables(),
    playhall_auth.column_list(oid, int2[]);
COMMENT ON COLUMN playhall_auth.refresh_tokens.successor
    IS 'a random salt: with the token itself, which is not stored, it gives the successor again';

ALTER TABLE players DROP COLUMN erased_at;
ALTER TABLE match_players DROP COLUMN xp;

REVOKE UPDATE (username) ON profiles FROM authenticated;
DROP TRIGGER profiles_stamped ON profiles;
DROP TRIGGER players_stamped ON players;
DROP TRIGGER profiles_username_seldom ON profiles;
DROP FUNCTION stamp_update(), username_changes_seldom();
ALTER TABLE profiles
    DROP CONSTRAINT profiles_username_plain,
    DROP COLUMN preferences,
    DROP COLUMN username_changed_at;
COMMENT ON COLUMN profiles.username IS 'unique and lowercase; null until one is chosen';
