-- What people choose for themselves, what games bring them, and what takes both along or away.

-- ------------------------------------------------------------------ profiles

ALTER TABLE profiles
    ADD COLUMN username_changed_at timestamptz,
    ADD COLUMN preferences jsonb NOT NULL DEFAULT '{}',
    ADD CONSTRAINT profiles_username_plain CHECK (username ~ '^[a-z0-9][a-z0-9_-]*$'),
    ADD CONSTRAINT profiles_preferences_small CHECK (
        jsonb_typeof(preferences) = 'object' AND octet_length(preferences::text) <= 8192);
COMMENT ON COLUMN profiles.username IS 'unique and lowercase; coined for a guest, then chosen';
COMMENT ON COLUMN profiles.username_changed_at IS 'when it was chosen last; null while it is the coined one';
COMMENT ON COLUMN profiles.preferences IS 'what clients keep for their user; nobody else sees it';

CREATE FUNCTION username_changes_seldom() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    free_at timestamptz := OLD.username_changed_at + interval '30 days';
BEGIN
    IF free_at > now() THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation',
            TABLE = 'profiles',
            CONSTRAINT = 'profiles_username_seldom',
            MESSAGE = 'a username changes at most once in 30 days',
            DETAIL = to_char(free_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
    END IF;
    NEW.username_changed_at := now();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION username_changes_seldom() IS 'keeps people findable; the first change, of a coined name, is free';
CREATE TRIGGER profiles_username_seldom BEFORE UPDATE OF username ON profiles
    FOR EACH ROW WHEN (NEW.username IS DISTINCT FROM OLD.username)
    EXECUTE FUNCTION username_changes_seldom();

-- Who changes a row of their own may not set its columns of times.
CREATE FUNCTION stamp_update() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION stamp_update() IS 'says when a row was changed last, whoever did it';
CREATE TRIGGER profiles_stamped BEFORE UPDATE ON profiles
    FOR EACH ROW EXECUTE FUNCTION stamp_update();
CREATE TRIGGER players_stamped BEFORE UPDATE OF display_name, avatar_seed, color, user_id ON players
    FOR EACH ROW EXECUTE FUNCTION stamp_update();

GRANT UPDATE (username, preferences) ON profiles TO authenticated;

-- ------------------------------------------------------------------ experience

ALTER TABLE match_players ADD COLUMN xp int NOT NULL DEFAULT 0 CHECK (xp >= 0);
COMMENT ON COLUMN match_players.xp IS 'what the match added to profiles.xp_total, by the rule of that day';

-- ------------------------------------------------------------------ what names a person

ALTER TABLE players ADD COLUMN erased_at timestamptz;
CREATE INDEX players_erased_at_idx ON players (erased_at) WHERE erased_at IS NOT NULL;
COMMENT ON COLUMN players.erased_at IS 'when the person behind it was erased; the log goes on naming the id';
COMMENT ON COLUMN playhall_auth.refresh_tokens.successor
    IS 'secret: a random salt; with the token itself, which is not stored, it gives the successor again';

CREATE FUNCTION playhall_auth.column_list(relation oid, numbers int2[]) RETURNS text LANGUAGE sql STABLE
SET search_path = '' AS $$
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY n.place)
    FROM unnest(numbers) WITH ORDINALITY AS n (number, place)
    JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = n.number
$$;
COMMENT ON FUNCTION playhall_auth.column_list(oid, int2[]) IS 'the names of columns, as SQL writes them';

-- A person is a row of auth.users, of profiles and of players. What refers to one of these names
-- the person. What refers ON DELETE CASCADE is theirs alone, and so is what refers to that in the
-- same way. Nothing is listed here: tables of later steps are found like those of today.
CREATE FUNCTION playhall_auth.person_tables()
RETURNS TABLE (name text, condition text, columns text) LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = '' AS $$
    WITH RECURSIVE reached (relation, is_theirs, condition, path) AS (
        SELECT root.relation, true, root.condition, ARRAY[root.relation::oid]
        FROM (VALUES ('auth.users'::regclass, 'id = $1'), ('public.players', 'user_id = $1::text'))
            AS root (relation, condition)
        UNION ALL
        SELECT f.conrelid::regclass, f.confdeltype = 'c',
            format('(%s) IN (SELECT %s FROM %s WHERE %s)',
                playhall_auth.column_list(f.conrelid, f.conkey),
                playhall_auth.column_list(f.confrelid, f.confkey), f.confrelid::regclass, r.condition),
            r.path || f.conrelid
        FROM reached r
        JOIN pg_constraint f ON f.confrelid = r.relation
        JOIN pg_class c ON c.oid = f.conrelid
        WHERE f.contype = 'f' AND f.conparentid = 0 AND f.conrelid <> ALL (r.path) AND r.is_theirs
            AND c.relnamespace IN ('public'::regnamespace, 'playhall_auth'::regnamespace)
            AND (f.confdeltype = 'c'
                OR r.relation IN ('auth.users'::regclass, 'public.profiles', 'public.players'))
    )
    SELECT relation::text, string_agg(DISTINCT condition, ' OR '), (
        SELECT playhall_auth.column_list(relation, array_agg(a.attnum))
        FROM pg_attribute a
        WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
            AND a.atttypid <> 'bytea'::regtype AND a.attname !~ 'hash|password|secret|_token'
            AND coalesce(col_description(relation, a.attnum), '') NOT LIKE 'secret:%')
    FROM reached GROUP BY relation
$$;
COMMENT ON FUNCTION playhall_auth.person_tables() IS
    'tables that name a person ($1), and what of them is no secret: no bytea, nothing called hash, '
    'password, secret or token, no column whose comment begins with secret:';

CREATE FUNCTION playhall_auth.person_rows(person uuid, relation text) RETURNS SETOF jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    known record;
BEGIN
    SELECT * INTO STRICT known FROM playhall_auth.person_tables() t WHERE t.name = relation;
    RETURN QUERY EXECUTE format(
        'SELECT to_jsonb(shown) FROM (SELECT %s FROM %s WHERE %s) shown',
        known.columns, relation, known.condition) USING person;
END
$$;
COMMENT ON FUNCTION playhall_auth.person_rows(uuid, text) IS
    'the rows of one of these tables that name a person, without secrets';

-- ------------------------------------------------------------------ erasing

CREATE FUNCTION playhall_auth.let_go(relation regclass, key uuid) RETURNS void LANGUAGE plpgsql
SET search_path = '' AS $$
DECLARE
    reference record;
BEGIN
    FOR reference IN
        SELECT f.conrelid::regclass AS name, playhall_auth.column_list(f.conrelid, f.conkey) AS "column",
            f.confdeltype = 'c' AS is_theirs
        FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid
        WHERE f.contype = 'f' AND f.confrelid = relation AND f.conparentid = 0
            AND f.confdeltype IN ('c', 'n')
            AND c.relnamespace IN ('public'::regnamespace, 'playhall_auth'::regnamespace)
    LOOP
        IF reference.is_theirs THEN
            EXECUTE format('DELETE FROM %s WHERE %s = $1', reference.name, reference."column") USING key;
        ELSE
            EXECUTE format('UPDATE %s SET %2$s = NULL WHERE %2$s = $1', reference.name, reference."column")
                USING key;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION playhall_auth.let_go(regclass, uuid) IS
    'does to what refers to a row what its deletion would do, where the row itself stays';

-- The player stays, since the log names its id, and so do matches and summaries, without names.
-- On Supabase the account itself is its own, and stays until it is deleted there.
CREATE FUNCTION playhall_auth.erase_person(person uuid) RETURNS uuid LANGUAGE plpgsql
SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    nobody CONSTANT text := 'Somebody gone';
    player uuid;
BEGIN
    SELECT id INTO player FROM public.players WHERE user_id = person::text;
    -- In the order in which the end of a game locks them, so that neither waits in a ring.
    PERFORM FROM public.player_lifetime_stats WHERE player_id = player FOR UPDATE;
    PERFORM FROM public.players WHERE id = player FOR UPDATE;
    UPDATE public.game_summaries s SET players = (
        SELECT jsonb_agg(CASE WHEN seat ->> 'player_id' = player::text
            THEN seat || jsonb_build_object('display_name', nobody) ELSE seat END ORDER BY place)
        FROM jsonb_array_elements(s.players) WITH ORDINALITY AS seats (seat, place))
    FROM public.match_players mp JOIN public.matches m ON m.id = mp.match_id
    WHERE mp.player_id = player AND s.game_id = m.game_id;
    -- The replays of these games have names in them; without one, they are built anew.
    DELETE FROM public.files f USING public.match_players mp, public.matches m
    WHERE mp.player_id = player AND m.id = mp.match_id AND m.game_id IS NOT NULL AND f.match_id = m.id;
    UPDATE public.matches m SET replay_url = NULL, replay_due_at = now() FROM public.match_players mp
    WHERE mp.player_id = player AND m.id = mp.match_id AND m.game_id IS NOT NULL;
    UPDATE public.lobbies SET name = '' WHERE host_player_id = player OR host_user_id = person;
    PERFORM playhall_auth.let_go('public.players', player);
    UPDATE public.players SET user_id = NULL, display_name = nobody, avatar_seed = '', color = '#888888',
        platform_links = '{}', last_seen = NULL, erased_at = now()
    WHERE id = player;
    DELETE FROM public.profiles WHERE id = person;
    PERFORM playhall_auth.let_go('auth.users', person);
    IF obj_description('auth.users'::regclass, 'pg_class') LIKE 'Playhall:%' THEN
        DELETE FROM auth.users WHERE id = person;
    END IF;
    RETURN player;
END
$$;
COMMENT ON FUNCTION playhall_auth.erase_person(uuid) IS
    'erases whoever has this account; returns the player that is left, nameless';

REVOKE ALL ON FUNCTION playhall_auth.column_list(oid, int2[]), playhall_auth.person_tables(),
    playhall_auth.person_rows(uuid, text), playhall_auth.let_go(regclass, uuid),
    playhall_auth.erase_person(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION playhall_auth.person_tables(), playhall_auth.person_rows(uuid, text),
    playhall_auth.erase_person(uuid) TO playhall_server;
