DROP FUNCTION change_lobby(jsonb);
DROP FUNCTION open_lobby(jsonb);

CREATE FUNCTION open_lobby(
    host uuid, open_max int,
    lobby uuid, name text, mode text, ruleset text, config jsonb, seats int, spectators_max int, is_public bool,
    join_code text, password_hash text, quick_play bool, fill_at timestamptz, created_at timestamptz, region text)
RETURNS TABLE (is_opened bool, host_name text) LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    -- The lock lets a player enter one lobby at a time, so that the limit on open lobbies holds.
    SELECT p.display_name INTO STRICT host_name FROM public.players p WHERE p.id = host FOR NO KEY UPDATE;
    IF open_max <= (SELECT count(*) FROM public.lobby_members m JOIN public.lobbies l ON l.id = m.lobby_id
                    WHERE m.player_id = host AND l.status = 'OPEN') THEN
        RETURN;
    END IF;
    INSERT INTO public.lobbies (id, name, mode, ruleset, config, seats, spectators_max, is_public, join_code,
                                password_hash, quick_play, fill_at, created_at, host_player_id, region, host_user_id)
    VALUES (lobby, name, mode, ruleset, config, seats, spectators_max, is_public, join_code, password_hash,
            quick_play, fill_at, created_at, host, region,
            (SELECT f.id FROM public.players p JOIN public.profiles f ON f.id::text = p.user_id WHERE p.id = host))
    ON CONFLICT DO NOTHING;
    is_opened := FOUND;
    IF is_opened THEN
        INSERT INTO public.lobby_members (lobby_id, player_id, role, seat, ready, joined_at)
        VALUES (lobby, host, 'player', 0, false, clock_timestamp());
    END IF;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION open_lobby IS
    'adds a lobby with its host, not if its join code or id is taken; returns nothing to a host who is in too many';

CREATE FUNCTION change_lobby(
    lobby uuid, expected bigint, joiner uuid, open_max int,
    removed uuid[], added_bans uuid[],
    member_ids uuid[], member_roles text[], member_seats smallint[], member_readies bool[],
    new_ids uuid[], new_roles text[], new_seats smallint[], new_readies bool[], new_bots text[],
    new_name text, new_status text, new_config jsonb, seat_count int, new_is_public bool, new_fill_at timestamptz,
    new_host uuid, new_mode text, new_ruleset text, new_host_peer_id text, new_match_id uuid,
    new_started_at timestamptz, new_lineup uuid[])
RETURNS TABLE (new_version bigint, joiner_name text) LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    -- A player before a lobby, and no two of either. The lock lets a player enter one lobby at a time, so that
    -- the limit on open lobbies holds.
    IF joiner IS NOT NULL THEN
        SELECT p.display_name INTO STRICT joiner_name FROM public.players p WHERE p.id = joiner FOR NO KEY UPDATE;
        IF open_max <= (SELECT count(*) FROM public.lobby_members m JOIN public.lobbies l ON l.id = m.lobby_id
                        WHERE m.player_id = joiner AND l.status = 'OPEN') THEN
            RETURN;
        END IF;
    END IF;
    PERFORM FROM public.lobbies l WHERE l.id = lobby AND l.version = expected FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    DELETE FROM public.lobby_members m WHERE m.lobby_id = lobby AND m.player_id = ANY (removed);
    -- Who is ready is most of what changes; a seat that is written sets off the mirror of who is there.
    UPDATE public.lobby_members m SET ready = t.ready
    FROM unnest(member_ids, member_roles, member_seats, member_readies) AS t(player_id, role, seat, ready)
    WHERE m.lobby_id = lobby AND m.player_id = t.player_id
      AND m.role = t.role AND m.seat IS NOT DISTINCT FROM t.seat;
    UPDATE public.lobby_members m SET role = t.role, seat = t.seat, ready = t.ready
    FROM unnest(member_ids, member_roles, member_seats, member_readies) AS t(player_id, role, seat, ready)
    WHERE m.lobby_id = lobby AND m.player_id = t.player_id
      AND (m.role <> t.role OR m.seat IS DISTINCT FROM t.seat);
    INSERT INTO public.lobby_members (lobby_id, player_id, role, seat, ready, bot, joined_at)
    SELECT lobby, t.player_id, t.role, t.seat, t.ready, t.bot, clock_timestamp()
    FROM unnest(new_ids, new_roles, new_seats, new_readies, new_bots)
        WITH ORDINALITY AS t(player_id, role, seat, ready, bot, nth)
    ORDER BY t.nth;
    INSERT INTO public.lobby_bans (lobby_id, player_id) SELECT lobby, unnest(added_bans) ON CONFLICT DO NOTHING;
    UPDATE public.lobbies l SET
        name = new_name, status = new_status::public.lobby_status, config = new_config, seats = seat_count,
        is_public = new_is_public, fill_at = new_fill_at, host_player_id = new_host, mode = new_mode,
        ruleset = new_ruleset, host_peer_id = new_host_peer_id, match_id = new_match_id,
        started_at = new_started_at, lineup = new_lineup,
        host_seen_at = CASE WHEN l.host_player_id IS DISTINCT FROM new_host THEN clock_timestamp()
                            ELSE l.host_seen_at END,
        host_user_id = (SELECT f.id FROM public.players p JOIN public.profiles f ON f.id::text = p.user_id
                        WHERE p.id = new_host),
        closed_at = CASE WHEN new_status = 'CLOSED' THEN coalesce(l.closed_at, clock_timestamp()) END,
        last_heartbeat = clock_timestamp(), version = l.version + 1
    WHERE l.id = lobby
    RETURNING l.version INTO new_version;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION change_lobby IS
    'writes how a lobby changes from a version; returns nothing if it has another, or a joiner is in too many';

REVOKE ALL ON FUNCTION open_lobby, change_lobby FROM PUBLIC;
GRANT EXECUTE ON FUNCTION open_lobby, change_lobby TO playhall_server;
