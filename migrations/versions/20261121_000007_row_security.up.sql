-- The server signs in once and works as several: as itself, and as whoever asks. It inherits
-- nothing from these roles, so what it does as itself is bound by its own grants alone. Roles
-- belong to the whole cluster: another database may do the same at the same moment.
DO $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('playhall: roles'));
    IF (SELECT rolinherit FROM pg_roles WHERE rolname = 'playhall_server') THEN
        ALTER ROLE playhall_server NOINHERIT;
    END IF;
    IF NOT pg_has_role('playhall_server', 'anon', 'MEMBER') THEN
        GRANT anon TO playhall_server;
    END IF;
    IF NOT pg_has_role('playhall_server', 'authenticated', 'MEMBER') THEN
        GRANT authenticated TO playhall_server;
    END IF;
EXCEPTION WHEN internal_error OR unique_violation THEN
    NULL;  -- "tuple concurrently updated": somebody else has just done it
END
$$;

-- Every table of ours goes through this once. Nobody is exempt from policies, so the two that
-- everything needs are stated: the owner's, for migrations and for functions that decide what
-- others may see; and the server's, which is bound by its grants.
CREATE FUNCTION playhall_auth.secure(VARIADIC tables regclass[]) RETURNS void LANGUAGE plpgsql
SET search_path = '' AS $$
DECLARE
    name regclass;
BEGIN
    FOREACH name IN ARRAY tables LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, anon, authenticated, service_role', name);
        EXECUTE format('CREATE POLICY owner ON %s TO CURRENT_USER USING (true) WITH CHECK (true)', name);
        EXECUTE format(
            'CREATE POLICY server ON %s TO playhall_server, service_role'
            ' USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO service_role', name);
    END LOOP;
END
$$;
COMMENT ON FUNCTION playhall_auth.secure IS 'puts tables under row level security: enabled, forced, closed';
REVOKE ALL ON FUNCTION playhall_auth.secure FROM PUBLIC;

SELECT playhall_auth.secure(
    'alembic_version', 'profiles', 'players', 'lobbies', 'lobby_members', 'lobby_bans', 'nodes',
    'games', 'game_events', 'room_directory', 'game_summaries', 'player_lifetime_stats',
    'matches', 'match_players',
    'game_events_0', 'game_events_1', 'game_events_2', 'game_events_3',
    'game_events_4', 'game_events_5', 'game_events_6', 'game_events_7',
    'playhall_auth.sessions', 'playhall_auth.refresh_tokens', 'playhall_auth.signing_keys');
-- What is never undone is not undone by the service either.
REVOKE INSERT, UPDATE, DELETE ON alembic_version, game_events, game_summaries FROM service_role;
REVOKE ALL ON game_events_0, game_events_1, game_events_2, game_events_3, game_events_4,
    game_events_5, game_events_6, game_events_7, playhall_auth.sessions,
    playhall_auth.refresh_tokens, playhall_auth.signing_keys FROM service_role;

-- On Supabase the accounts are its own, and secured by it.
DO $$
BEGIN
    IF obj_description('auth.users'::regclass, 'pg_class') LIKE 'Playhall:%' THEN
        PERFORM playhall_auth.secure('auth.users');
        REVOKE INSERT, UPDATE, DELETE ON auth.users FROM service_role;
    END IF;
END
$$;

-- ------------------------------------------------------------------ who somebody is

CREATE FUNCTION current_player_id() RETURNS uuid LANGUAGE sql STABLE SET search_path = ''
RETURN (SELECT id FROM public.players WHERE user_id = (SELECT auth.uid())::text);
COMMENT ON FUNCTION current_player_id() IS 'the player of the account that a request speaks for, or null';
REVOKE ALL ON FUNCTION current_player_id() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION current_player_id() TO anon, authenticated, service_role;

CREATE POLICY readable ON profiles FOR SELECT TO anon, authenticated USING (true);
CREATE POLICY own_changeable ON profiles FOR UPDATE TO authenticated USING (id = (SELECT auth.uid()));
GRANT SELECT (id, username, display_name, xp_total, created_at) ON profiles TO anon, authenticated;
GRANT UPDATE (display_name) ON profiles TO authenticated;

CREATE POLICY readable ON players FOR SELECT TO anon, authenticated USING (true);
CREATE POLICY own_changeable ON players FOR UPDATE TO authenticated
    USING (user_id = (SELECT auth.uid())::text);
GRANT SELECT (id, user_id, display_name, avatar_seed, color, is_bot, created_at)
    ON players TO anon, authenticated;
GRANT UPDATE (display_name, avatar_seed, color) ON players TO authenticated;

-- ------------------------------------------------------------------ lobbies

-- `lobbies.players` mirrors the members, and asking it keeps these policies from asking each
-- other in a circle.
CREATE POLICY readable ON lobbies FOR SELECT TO anon, authenticated
    USING ((is_public AND status <> 'CLOSED') OR players ? (SELECT current_player_id())::text);
CREATE POLICY host_closes ON lobbies FOR UPDATE TO authenticated
    USING (host_user_id = (SELECT auth.uid()) AND status = 'OPEN')
    WITH CHECK (host_user_id = (SELECT auth.uid()) AND status IN ('OPEN', 'CLOSED'));
GRANT SELECT (id, host_user_id, host_player_id, name, status, mode, ruleset, config, seats,
    spectators_max, is_public, players, version, game_id, quick_play, fill_at, last_heartbeat,
    created_at, closed_at) ON lobbies TO anon, authenticated;
GRANT UPDATE (status, version, closed_at, fill_at) ON lobbies TO authenticated;

CREATE POLICY readable ON lobby_members FOR SELECT TO anon, authenticated
    USING (EXISTS (SELECT FROM lobbies WHERE lobbies.id = lobby_id));
GRANT SELECT ON lobby_members TO anon, authenticated;

CREATE FUNCTION lobby_for_members(lobby uuid) RETURNS TABLE (host_peer_id text, join_code text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
BEGIN ATOMIC
    SELECT l.host_peer_id, l.join_code FROM public.lobbies l
    WHERE l.id = lobby AND l.players ? (SELECT p.id::text FROM public.players p
        WHERE p.user_id = (SELECT auth.uid())::text);
END;
COMMENT ON FUNCTION lobby_for_members(uuid) IS 'what of a lobby is for its members only';
REVOKE ALL ON FUNCTION lobby_for_members(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lobby_for_members(uuid) TO authenticated, service_role;

-- ------------------------------------------------------------------ games and what came of them

CREATE FUNCTION may_see_match(match uuid) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
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
COMMENT ON FUNCTION may_see_match(uuid) IS 'a public match, or one that the account took part in';

CREATE FUNCTION may_see_private_game(game uuid, lobby uuid) RETURNS boolean LANGUAGE sql STABLE
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
COMMENT ON FUNCTION may_see_private_game(uuid, uuid) IS 'who is in the game''s lobby, or played in it';
REVOKE ALL ON FUNCTION may_see_match(uuid), may_see_private_game(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION may_see_match(uuid), may_see_private_game(uuid, uuid)
    TO anon, authenticated;

-- Never the seed: whoever has it knows every card.
CREATE POLICY readable ON games FOR SELECT TO anon, authenticated
    USING (is_public OR may_see_private_game(id, lobby_id));
GRANT SELECT (id, config, status, ruleset, ruleset_version, lobby_id, is_public, started_at,
    completed_at, created_at) ON games TO anon, authenticated;

-- A live game's events are told by the server, which hides what a viewer may not know.
CREATE POLICY readable ON game_events FOR SELECT TO anon, authenticated
    USING (EXISTS (SELECT FROM games g WHERE g.id = game_id AND g.status = 'completed'));
GRANT SELECT ON game_events TO anon, authenticated;

CREATE POLICY readable ON game_summaries FOR SELECT TO anon, authenticated
    USING (EXISTS (SELECT FROM games g WHERE g.id = game_id));
CREATE POLICY readable ON room_directory FOR SELECT TO anon, authenticated USING (is_public);
CREATE POLICY readable ON matches FOR SELECT TO anon, authenticated USING (may_see_match(id));
CREATE POLICY readable ON match_players FOR SELECT TO anon, authenticated
    USING (may_see_match(match_id));
CREATE POLICY readable ON player_lifetime_stats FOR SELECT TO anon, authenticated USING (true);
GRANT SELECT ON game_summaries, matches, match_players, player_lifetime_stats TO anon, authenticated;
GRANT SELECT (id, game_id, lobby_id, is_public, max_players, current_players, created_at)
    ON room_directory TO anon, authenticated;
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
