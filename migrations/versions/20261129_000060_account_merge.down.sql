-- What was merged stays merged, as far as rows were moved; the accounts are two again.
DROP FUNCTION playhall_auth.erase_person(uuid);
ALTER FUNCTION playhall_auth.erase_account(uuid) RENAME TO erase_person;
GRANT EXECUTE ON FUNCTION playhall_auth.erase_person(uuid) TO playhall_server;
COMMENT ON FUNCTION playhall_auth.erase_person(uuid) IS
    'erases whoever has this account; returns the player that is left, nameless';

CREATE OR REPLACE FUNCTION may_see_match(match uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = ''
BEGIN ATOMIC
    SELECT EXISTS (
        SELECT FROM public.matches m
        LEFT JOIN public.games g ON g.id = m.game_id
        LEFT JOIN public.lobbies l ON l.id = m.lobby_id
        WHERE m.id = match AND (
            coalesce(g.is_public, l.is_public, false)
            OR EXISTS (
                SELECT FROM public.match_players mp JOIN public.players p ON p.id = mp.player_id
                WHERE mp.match_id = m.id AND p.user_id = (SELECT auth.uid())::text)));
END;

CREATE OR REPLACE FUNCTION may_see_private_game(game uuid, lobby uuid) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT EXISTS (
        SELECT FROM public.players p
        WHERE p.user_id = (SELECT auth.uid())::text AND (
            EXISTS (SELECT FROM public.lobbies l WHERE l.id = lobby AND l.players ? p.id::text)
            OR EXISTS (
                SELECT FROM public.matches m JOIN public.match_players mp ON mp.match_id = m.id
                WHERE m.game_id = game AND mp.player_id = p.id)));
END;

CREATE OR REPLACE FUNCTION blueprint_unchanged() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    -- Only `parent_id` may go, with the parent.
    IF (NEW.id, NEW.owner_id, NEW.name, NEW.version, NEW.data, NEW.assets, NEW.description,
        NEW.parent_name, NEW.created_at, coalesce(NEW.parent_id, OLD.parent_id)) IS DISTINCT FROM
       (OLD.id, OLD.owner_id, OLD.name, OLD.version, OLD.data, OLD.assets, OLD.description,
        OLD.parent_name, OLD.created_at, OLD.parent_id) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'integrity_constraint_violation',
            MESSAGE = 'a blueprint never changes; make a new version';
    END IF;
    RETURN NEW;
END
$$;

DROP FUNCTION total_xp(uuid);
DROP FUNCTION playhall_auth.names_account(text, text, uuid);
DROP FUNCTION playhall_auth.move_rows(uuid, text, text);
DROP FUNCTION playhall_auth.move_rows_back(uuid);
DROP FUNCTION playhall_auth.person_columns();
DROP TABLE playhall_auth.merge_moves;
DROP TABLE account_merges;
ALTER TABLE profiles DROP COLUMN merged_into;

DROP TRIGGER methods_mirrored ON playhall_auth.methods;
DROP FUNCTION playhall_auth.mirror_platform_links();
COMMENT ON COLUMN players.platform_links IS 'platform name to the player''s id there; encrypted';
UPDATE players SET platform_links = '{}' WHERE platform_links <> '{}';

DELETE FROM playhall_auth.methods WHERE kind NOT IN ('email', 'discord');
DELETE FROM playhall_auth.sessions WHERE method NOT IN ('guest', 'email', 'discord');
DELETE FROM playhall_auth.codes WHERE purpose = 'redirect';
ALTER TABLE playhall_auth.methods
    DROP CONSTRAINT methods_kind_check,
    ADD CONSTRAINT methods_kind_check CHECK (kind IN ('email', 'discord'));
ALTER TABLE playhall_auth.sessions
    DROP CONSTRAINT sessions_method_check,
    ADD CONSTRAINT sessions_method_check CHECK (method IN ('guest', 'email', 'discord'));
ALTER TABLE playhall_auth.codes
    DROP CONSTRAINT codes_purpose_check,
    ADD CONSTRAINT codes_purpose_check CHECK (purpose IN ('email', 'discord'));
