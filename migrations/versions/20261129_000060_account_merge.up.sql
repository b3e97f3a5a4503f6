-- Accounts: OpenID providers, platform links, and the merge of two accounts.

-- ------------------------------------------------------------------ providers

-- A kind is email, discord, or the id of an OpenID provider in the settings.
ALTER TABLE playhall_auth.methods
    DROP CONSTRAINT methods_kind_check,
    ADD CONSTRAINT methods_kind_check CHECK (kind ~ '^[a-z][a-z0-9-]{0,31}$');
ALTER TABLE playhall_auth.sessions
    DROP CONSTRAINT sessions_method_check,
    ADD CONSTRAINT sessions_method_check CHECK (method ~ '^[a-z][a-z0-9-]{0,31}$');
-- A code of before was good for two minutes.
DELETE FROM playhall_auth.codes WHERE purpose = 'discord';
ALTER TABLE playhall_auth.codes
    DROP CONSTRAINT codes_purpose_check,
    ADD CONSTRAINT codes_purpose_check CHECK (purpose IN ('email', 'redirect'));

-- As the owner: whatever links, unlinks or seals a method anew has its platforms in the player.
CREATE FUNCTION playhall_auth.mirror_platform_links() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    person uuid;
BEGIN
    FOREACH person IN ARRAY CASE TG_OP
        WHEN 'INSERT' THEN ARRAY[NEW.user_id]
        WHEN 'DELETE' THEN ARRAY[OLD.user_id]
        ELSE ARRAY[OLD.user_id, NEW.user_id] END
    LOOP
        UPDATE public.players SET platform_links = coalesce((
            SELECT jsonb_object_agg(m.kind, encode(m.sealed, 'base64'))
            FROM playhall_auth.methods m WHERE m.user_id = person AND m.kind <> 'email'), '{}')
        WHERE user_id = person::text;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION playhall_auth.mirror_platform_links() IS 'keeps players.platform_links equal to the linked platforms';
REVOKE ALL ON FUNCTION playhall_auth.mirror_platform_links() FROM PUBLIC;
CREATE TRIGGER methods_mirrored AFTER INSERT OR DELETE OR UPDATE OF user_id, kind, sealed
    ON playhall_auth.methods FOR EACH ROW EXECUTE FUNCTION playhall_auth.mirror_platform_links();
COMMENT ON COLUMN players.platform_links IS
    'secret: the platforms that the account signs in with, each with the sealed id there; kept by a trigger';
UPDATE players p SET platform_links = l.links FROM (
    SELECT user_id::text, jsonb_object_agg(kind, encode(sealed, 'base64')) AS links
    FROM playhall_auth.methods WHERE kind <> 'email' GROUP BY user_id) l
WHERE p.user_id = l.user_id;

-- ------------------------------------------------------------------ merging accounts

ALTER TABLE profiles
    ADD COLUMN merged_into uuid REFERENCES profiles ON DELETE CASCADE,
    ADD CONSTRAINT profiles_merged_into_another CHECK (merged_into <> id);
CREATE INDEX profiles_merged_into_idx ON profiles (merged_into) WHERE merged_into IS NOT NULL;
COMMENT ON COLUMN profiles.merged_into IS
    'the account that this one was merged into: it signs in there, and is read as a part of it';

CREATE TABLE account_merges (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id        uuid NOT NULL REFERENCES profiles ON DELETE CASCADE,
    merged_user_id uuid NOT NULL REFERENCES profiles ON DELETE CASCADE,
    was_anonymous  boolean NOT NULL,
    merged_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    undo_until     timestamptz NOT NULL,
    undone_at      timestamptz
);
CREATE INDEX account_merges_user_id_idx ON account_merges (user_id, merged_at DESC);
CREATE INDEX account_merges_merged_user_id_idx ON account_merges (merged_user_id);
CREATE INDEX account_merges_undo_until_idx ON account_merges (undo_until);
COMMENT ON TABLE account_merges IS 'that an account was merged into another one';
COMMENT ON COLUMN account_merges.user_id IS 'the account that stays';
COMMENT ON COLUMN account_merges.was_anonymous IS 'whether the account that stays was a guest before';

CREATE TABLE playhall_auth.merge_moves (
    merge_id uuid NOT NULL REFERENCES account_merges ON DELETE CASCADE,
    relation text NOT NULL,
    referrer text NOT NULL,
    key      jsonb NOT NULL,
    PRIMARY KEY (merge_id, relation, referrer, key)
);
COMMENT ON TABLE playhall_auth.merge_moves IS
    'a row that a merge moved, until the merge can no longer be undone';
COMMENT ON COLUMN playhall_auth.merge_moves.referrer IS 'the column that names the account';
COMMENT ON COLUMN playhall_auth.merge_moves.key IS 'the rest of the row''s primary key';

SELECT playhall_auth.secure('account_merges', 'playhall_auth.merge_moves');
REVOKE ALL ON account_merges, playhall_auth.merge_moves FROM service_role;
GRANT SELECT, INSERT, UPDATE ON account_merges TO playhall_server;
GRANT SELECT, INSERT, DELETE ON playhall_auth.merge_moves TO playhall_server;

CREATE FUNCTION playhall_auth.person_columns()
RETURNS TABLE (relation text, referrer text, refers_to text) LANGUAGE sql STABLE SET search_path = '' AS $$
    SELECT f.conrelid::regclass::text, a.attname::text, f.confrelid::regclass::text
    FROM pg_constraint f
    JOIN pg_class c ON c.oid = f.conrelid
    JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
    WHERE f.contype = 'f' AND f.conparentid = 0 AND cardinality(f.conkey) = 1
        AND c.relnamespace IN ('public'::regnamespace, 'playhall_auth'::regnamespace)
        AND f.confrelid IN ('auth.users'::regclass, 'public.profiles'::regclass, 'public.players'::regclass)
$$;
COMMENT ON FUNCTION playhall_auth.person_columns() IS 'the columns that name a person: their account, profile or player';

-- As the owner, so that tables of later steps and of title packages need no grant for it.
CREATE FUNCTION playhall_auth.move_rows(merge uuid, relation text, referrer text, OUT moved bigint, OUT kept bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    done public.account_merges;
    keys text;
    source record;
BEGIN
    moved := 0;
    kept := 0;
    SELECT * INTO STRICT done FROM public.account_merges m WHERE m.id = merge AND m.undone_at IS NULL;
    PERFORM FROM playhall_auth.person_columns() p
    WHERE p.relation = move_rows.relation AND p.referrer = move_rows.referrer
        AND p.refers_to <> 'public.players';
    IF NOT FOUND THEN
        RAISE EXCEPTION '%.% does not name an account', relation, referrer;
    END IF;
    SELECT string_agg(format('%L, t.%I', a.attname, a.attname), ', ') INTO keys
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])
    WHERE i.indrelid = relation::regclass AND i.indisprimary AND a.attname <> move_rows.referrer;
    FOR source IN EXECUTE format(
        'SELECT t.tableoid AS part, t.ctid AS place, jsonb_build_object(%s) AS key FROM %s t WHERE t.%I = $1 FOR UPDATE',
        coalesce(keys, ''), relation::regclass, referrer) USING done.merged_user_id
    LOOP
        -- What may be there once an account is already there: this row stays with the other one.
        BEGIN
            EXECUTE format('UPDATE %s SET %I = $1 WHERE tableoid = $2 AND ctid = $3', relation::regclass, referrer)
                USING done.user_id, source.part, source.place;
            INSERT INTO playhall_auth.merge_moves VALUES (merge, relation, referrer, source.key);
            moved := moved + 1;
        EXCEPTION WHEN unique_violation OR check_violation OR exclusion_violation THEN
            kept := kept + 1;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION playhall_auth.move_rows(uuid, text, text) IS
    'makes rows of the account that is merged those of the account that stays, and notes which they were';

CREATE FUNCTION playhall_auth.move_rows_back(merge uuid, OUT moved bigint, OUT missing bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    done public.account_merges;
    noted record;
    same text;
    count bigint;
BEGIN
    moved := 0;
    missing := 0;
    SELECT * INTO STRICT done FROM public.account_merges m WHERE m.id = merge AND m.undone_at IS NULL;
    FOR noted IN SELECT * FROM playhall_auth.merge_moves m WHERE m.merge_id = merge
        AND m.relation <> 'playhall_auth.methods'
    LOOP
        SELECT coalesce(string_agg(format(' AND t.%1$I = k.%1$I', name), ''), '') INTO same
        FROM jsonb_object_keys(noted.key) name;
        EXECUTE format(
            'UPDATE %1$s t SET %2$I = $1 FROM jsonb_populate_record(NULL::%1$s, $3) k WHERE t.%2$I = $2%3$s',
            noted.relation::regclass, noted.referrer, same)
            USING done.merged_user_id, done.user_id, noted.key;
        GET DIAGNOSTICS count = ROW_COUNT;
        moved := moved + count;
        IF count = 0 THEN
            EXECUTE format(
                'SELECT count(*) FROM %1$s t, jsonb_populate_record(NULL::%1$s, $1) k WHERE %2$s',
                noted.relation::regclass, CASE same WHEN '' THEN 'false' ELSE substr(same, 5) END)
                USING noted.key INTO count;
            IF count > 0 THEN
                RAISE EXCEPTION USING
                    ERRCODE = 'check_violation',
                    CONSTRAINT = 'merge_rows_still_there',
                    MESSAGE = format('a row of %s belongs to somebody else by now', noted.relation);
            END IF;
            missing := missing + 1;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION playhall_auth.move_rows_back(uuid) IS
    'gives the rows that a merge moved back; those that were deleted since are only counted';

CREATE FUNCTION playhall_auth.names_account(relation text, referrer text, account uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    found boolean;
BEGIN
    PERFORM FROM playhall_auth.person_columns() p
    WHERE p.relation = names_account.relation AND p.referrer = names_account.referrer
        AND p.refers_to <> 'public.players';
    IF NOT FOUND THEN
        RAISE EXCEPTION '%.% does not name an account', relation, referrer;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s t WHERE t.%I = $1)', relation::regclass, referrer)
        INTO found USING account;
    RETURN found;
END
$$;
COMMENT ON FUNCTION playhall_auth.names_account(text, text, uuid) IS
    'says whether a row names an account in a column';

REVOKE ALL ON FUNCTION playhall_auth.person_columns(), playhall_auth.move_rows(uuid, text, text),
    playhall_auth.move_rows_back(uuid), playhall_auth.names_account(text, text, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION playhall_auth.person_columns(), playhall_auth.move_rows(uuid, text, text),
    playhall_auth.move_rows_back(uuid), playhall_auth.names_account(text, text, uuid) TO playhall_server;

-- A blueprint still never changes; only a merge, and what undoes it, give it another owner.
CREATE OR REPLACE FUNCTION blueprint_unchanged() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    -- Only `parent_id` may go, with the parent.
    IF (NEW.id, NEW.name, NEW.version, NEW.data, NEW.assets, NEW.description,
        NEW.parent_name, NEW.created_at, coalesce(NEW.parent_id, OLD.parent_id)) IS DISTINCT FROM
       (OLD.id, OLD.name, OLD.version, OLD.data, OLD.assets, OLD.description,
        OLD.parent_name, OLD.created_at, OLD.parent_id) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'integrity_constraint_violation',
            MESSAGE = 'a blueprint never changes; make a new version';
    END IF;
    IF NEW.owner_id <> OLD.owner_id AND NOT EXISTS (
        SELECT FROM public.profiles p
        WHERE (p.id, p.merged_into) IN ((OLD.owner_id, NEW.owner_id), (NEW.owner_id, OLD.owner_id))) THEN
        RAISE EXCEPTION USING
            ERRCODE = 'integrity_constraint_violation',
            MESSAGE = 'a blueprint never changes its owner';
    END IF;
    RETURN NEW;
END
$$;

-- ------------------------------------------------------------------ merged accounts as parts of one

CREATE FUNCTION total_xp(account uuid) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = ''
BEGIN ATOMIC
    SELECT coalesce(sum(f.xp_total), 0)::bigint FROM public.profiles f
    WHERE f.id = account OR f.merged_into = account;
END;
COMMENT ON FUNCTION total_xp(uuid) IS 'the XP of an account, with that of the accounts that were merged into it';
REVOKE ALL ON FUNCTION total_xp(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION total_xp(uuid) TO anon, authenticated, playhall_server, service_role;

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
                SELECT FROM public.match_players mp
                JOIN public.players p ON p.id = mp.player_id
                JOIN public.profiles f ON f.id::text = p.user_id
                WHERE mp.match_id = m.id
                    AND (SELECT auth.uid()) IN (f.id, f.merged_into))));
END;

CREATE OR REPLACE FUNCTION may_see_private_game(game uuid, lobby uuid) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT EXISTS (
        SELECT FROM public.profiles f JOIN public.players p ON p.user_id = f.id::text
        WHERE (f.id = (SELECT auth.uid()) OR f.merged_into = (SELECT auth.uid())) AND (
            EXISTS (SELECT FROM public.lobbies l WHERE l.id = lobby AND l.players ? p.id::text)
            OR EXISTS (
                SELECT FROM public.matches m JOIN public.match_players mp ON mp.match_id = m.id
                WHERE m.game_id = game AND mp.player_id = p.id)));
END;

-- Whoever erases an account erases what was merged into it.
ALTER FUNCTION playhall_auth.erase_person(uuid) RENAME TO erase_account;
REVOKE ALL ON FUNCTION playhall_auth.erase_account(uuid) FROM playhall_server;
COMMENT ON FUNCTION playhall_auth.erase_account(uuid) IS
    'erases one account; returns the player that is left, nameless';
CREATE FUNCTION playhall_auth.erase_person(person uuid) RETURNS uuid LANGUAGE plpgsql
SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    merged uuid;
BEGIN
    FOR merged IN SELECT id FROM public.profiles WHERE merged_into = person LOOP
        UPDATE public.profiles SET merged_into = NULL WHERE id = merged;
        PERFORM playhall_auth.erase_account(merged);
    END LOOP;
    RETURN playhall_auth.erase_account(person);
END
$$;
COMMENT ON FUNCTION playhall_auth.erase_person(uuid) IS
    'erases whoever has this account, and what was merged into it; returns the player that is left, nameless';
REVOKE ALL ON FUNCTION playhall_auth.erase_person(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION playhall_auth.erase_person(uuid) TO playhall_server;
