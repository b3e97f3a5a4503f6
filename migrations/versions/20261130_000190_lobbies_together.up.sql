-- What opens a lobby and what changes one is handed over as one value, so that a statement can have those of
-- many lobbies. Such a statement must wait for nobody: one lobby would hold up the others, and two statements
-- could wait for each other. So a row that somebody else has locked is passed over, and nothing is returned.

DROP FUNCTION open_lobby;
DROP FUNCTION change_lobby;

CREATE FUNCTION open_lobby(opened jsonb)
RETURNS TABLE (host_name text) LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    draft record;
BEGIN
    SELECT d.* INTO draft FROM jsonb_to_record(opened) AS d(
        lobby_id uuid, host uuid, open_max int, name text, mode text, ruleset text, config jsonb, seats int,
        spectators_max int, is_public bool, join_code text, password_hash text, quick_play bool,
        fill_at timestamptz, created_at timestamptz, region text);
    -- The lock lets a player enter one lobby at a time, so that the limit on open lobbies holds.
    SELECT p.display_name INTO host_name FROM public.players p WHERE p.id = draft.host
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND OR draft.open_max <= (
        SELECT count(*) FROM public.lobby_members m JOIN public.lobbies l ON l.id = m.lobby_id
        WHERE m.player_id = draft.host AND l.status = 'OPEN') THEN
        RETURN;
    END IF;
    INSERT INTO public.lobbies (id, name, mode, ruleset, config, seats, spectators_max, is_public, join_code,
                                password_hash, quick_play, fill_at, created_at, host_player_id, region, host_user_id)
    VALUES (draft.lobby_id, draft.name, draft.mode, draft.ruleset, draft.config, draft.seats, draft.spectators_max,
            draft.is_public, draft.join_code, draft.password_hash, draft.quick_play, draft.fill_at,
            draft.created_at, draft.host, draft.region,
            (SELECT f.id FROM public.players p JOIN public.profiles f ON f.id::text = p.user_id
             WHERE p.id = draft.host))
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        INSERT INTO public.lobby_members (lobby_id, player_id, role, seat, ready, joined_at)
        VALUES (draft.lobby_id, draft.host, 'player', 0, false, clock_timestamp());
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION open_lobby IS
    'adds a lobby with its host; returns nothing if its code is taken, or the host locked or in too many';

CREATE FUNCTION change_lobby(change jsonb)
RETURNS TABLE (new_version bigint, joiner_name text) LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    shall record;
BEGIN
    SELECT s.* INTO shall FROM jsonb_to_record(change) AS s(
        lobby_id uuid, version bigint, joiner uuid, open_max int, removed uuid[], banned uuid[], name text,
        status text, config jsonb, seats int, is_public bool, fill_at timestamptz, host_player_id uuid, mode text,
        ruleset text, host_peer_id text, match_id uuid, started_at timestamptz, lineup uuid[]);
    -- The lock lets a player enter one lobby at a time, so that the limit on open lobbies holds.
    IF shall.joiner IS NOT NULL THEN
        SELECT p.display_name INTO joiner_name FROM public.players p WHERE p.id = shall.joiner
        FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND OR shall.open_max <= (
            SELECT count(*) FROM public.lobby_members m JOIN public.lobbies l ON l.id = m.lobby_id
            WHERE m.player_id = shall.joiner AND l.status = 'OPEN') THEN
            RETURN;
        END IF;
    END IF;
    PERFORM FROM public.lobbies l WHERE l.id = shall.lobby_id AND l.version = shall.version
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    DELETE FROM public.lobby_members m WHERE m.lobby_id = shall.lobby_id AND m.player_id = ANY (shall.removed);
    -- Who is ready is most of what changes; a seat that is written sets off the mirror of who is there.
    UPDATE public.lobby_members m SET ready = t.ready
    FROM jsonb_to_recordset(change -> 'changed') AS t(player_id uuid, role text, seat smallint, ready bool)
    WHERE m.lobby_id = shall.lobby_id AND m.player_id = t.player_id
      AND m.role = t.role AND m.seat IS NOT DISTINCT FROM t.seat;
    UPDATE public.lobby_members m SET role = t.role, seat = t.seat, ready = t.ready
    FROM jsonb_to_recordset(change -> 'changed') AS t(player_id uuid, role text, seat smallint, ready bool)
    WHERE m.lobby_id = shall.lobby_id AND m.player_id = t.player_id
      AND (m.role <> t.role OR m.seat IS DISTINCT FROM t.seat);
    INSERT INTO public.lobby_members (lobby_id, player_id, role, seat, ready, bot, joined_at)
    SELECT shall.lobby_id, t.player_id, t.role, t.seat, t.ready, t.bot, clock_timestamp()
    FROM jsonb_to_recordset(change -> 'added')
        AS t(player_id uuid, role text, seat smallint, ready bool, bot text, nth int)
    ORDER BY t.nth;
    INSERT INTO public.lobby_bans (lobby_id, player_id) SELECT shall.lobby_id, unnest(shall.banned)
    ON CONFLICT DO NOTHING;
    UPDATE public.lobbies l SET
        name = shall.name, status = shall.status::public.lobby_status, config = shall.config, seats = shall.seats,
        is_public = shall.is_public, fill_at = shall.fill_at, host_player_id = shall.host_player_id,
        mode = shall.mode, ruleset = shall.ruleset, host_peer_id = shall.host_peer_id, match_id = shall.match_id,
        started_at = shall.started_at, lineup = shall.lineup,
        host_seen_at = CASE WHEN l.host_player_id IS DISTINCT FROM shall.host_player_id THEN clock_timestamp()
                            ELSE l.host_seen_at END,
        host_user_id = (SELECT f.id FROM public.players p JOIN public.profiles f ON f.id::text = p.user_id
                        WHERE p.id = shall.host_player_id),
        closed_at = CASE WHEN shall.status = 'CLOSED' THEN coalesce(l.closed_at, clock_timestamp()) END,
        last_heartbeat = clock_timestamp(), version = l.version + 1
    WHERE l.id = shall.lobby_id
    RETURNING l.version INTO new_version;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION change_lobby IS
    'writes how a lobby changes from a version; returns nothing if it has another, is locked, or a joiner is or is in too many';

REVOKE ALL ON FUNCTION open_lobby, change_lobby FROM PUBLIC;
GRANT EXECUTE ON FUNCTION open_lobby, change_lobby TO playhall_server;
