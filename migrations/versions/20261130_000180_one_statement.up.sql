-- What takes several statements, each of which must see what others committed while the one before it
-- waited for a lock, in one round trip. A function's statements see that; parts of one statement do not.

CREATE FUNCTION complete_game(
    game uuid, epoch bigint,
    event_indexes int[], event_types text[], payloads jsonb[], times timestamptz[], hashes bytea[],
    completed timestamptz, winner uuid, uncounted_because text,
    players uuid[], seats int[], scores int[], counted_scores int[], counted_tricks int[], won bool[], forfeits bool[],
    xp_per_game int, xp_per_win int,
    outbox_name text, outbox_version int, outbox_payload jsonb,
    summary_players jsonb, summary_rounds jsonb, summary_scores jsonb, best_bid int, best_score int, worst_score int,
    win_streak int, loss_streak int, most_misplays int)
RETURNS TABLE (owner_epoch bigint, head int, is_written bool) LANGUAGE plpgsql SET search_path = '' AS $$
DECLARE
    was record;
    match uuid;
BEGIN
    -- The lock first. A statement whose answer was lost may still be running, and holds the row: until it
    -- has ended, what could be read here proves nothing. Nothing is returned for a locked row.
    SELECT g.next_event_index, g.owner_epoch, g.status, g.ruleset, g.lobby_id, g.started_at INTO was
    FROM public.games g WHERE g.id = game FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    owner_epoch := was.owner_epoch;
    head := was.next_event_index;
    is_written := owner_epoch = epoch AND head = event_indexes[1] AND was.status = 'in_progress';
    IF NOT is_written THEN
        RETURN NEXT;
        RETURN;
    END IF;

    INSERT INTO public.game_events (game_id, event_index, type, payload, created_at, hash)
    SELECT game, e.* FROM unnest(event_indexes, event_types, payloads, times, hashes) AS e;

    -- These locks come before all other writes, in id order: two games that end with the same players would
    -- otherwise wait for each other. Also for a game that is not counted: the locks keep a player who is being
    -- erased from getting into the summary by name. Who was erased gets no row.
    INSERT INTO public.player_lifetime_stats (player_id)
    SELECT p.id FROM public.players p WHERE p.id = ANY (players) AND p.erased_at IS NULL ORDER BY p.id
    ON CONFLICT (player_id) DO NOTHING;
    PERFORM FROM public.player_lifetime_stats s WHERE s.player_id = ANY (players) ORDER BY s.player_id FOR UPDATE;

    IF uncounted_because IS NULL THEN
        -- A score of null adds no points. The rows of a ruleset need no locks of their own: every writer of them
        -- holds the player's row over all games.
        INSERT INTO public.player_ruleset_stats AS r (player_id, ruleset, games_played, games_won,
            highest_score, lowest_score, total_points, total_tricks_won, most_consecutive_wins,
            most_consecutive_losses, current_win_streak, current_loss_streak, last_game_at)
        SELECT s.player_id, was.ruleset, 1, t.won::int, t.score, t.score, coalesce(t.score, 0), t.tricks,
               t.won::int, (NOT t.won)::int, t.won::int, (NOT t.won)::int, completed
        FROM unnest(players, counted_scores, counted_tricks, won) AS t(player_id, score, tricks, won)
        JOIN public.player_lifetime_stats s ON s.player_id = t.player_id
        ON CONFLICT (player_id, ruleset) DO UPDATE SET
            games_played = r.games_played + 1,
            games_won = r.games_won + excluded.games_won,
            highest_score = GREATEST(r.highest_score, excluded.highest_score),
            lowest_score = LEAST(r.lowest_score, excluded.lowest_score),
            total_points = r.total_points + excluded.total_points,
            total_tricks_won = r.total_tricks_won + excluded.total_tricks_won,
            current_win_streak = (r.current_win_streak + 1) * excluded.games_won,
            current_loss_streak = (r.current_loss_streak + 1) * (1 - excluded.games_won),
            most_consecutive_wins = GREATEST(r.most_consecutive_wins,
                (r.current_win_streak + 1) * excluded.games_won),
            most_consecutive_losses = GREATEST(r.most_consecutive_losses,
                (r.current_loss_streak + 1) * (1 - excluded.games_won)),
            last_game_at = excluded.last_game_at;
        UPDATE public.player_lifetime_stats s SET
            games_played = s.games_played + 1,
            games_won = s.games_won + t.won::int,
            highest_score = GREATEST(s.highest_score, t.score),
            lowest_score = LEAST(s.lowest_score, t.score),
            total_points = s.total_points + coalesce(t.score, 0),
            total_tricks_won = s.total_tricks_won + t.tricks,
            current_win_streak = CASE WHEN t.won THEN s.current_win_streak + 1 ELSE 0 END,
            current_loss_streak = CASE WHEN t.won THEN 0 ELSE s.current_loss_streak + 1 END,
            most_consecutive_wins = GREATEST(s.most_consecutive_wins,
                CASE WHEN t.won THEN s.current_win_streak + 1 ELSE 0 END),
            most_consecutive_losses = GREATEST(s.most_consecutive_losses,
                CASE WHEN t.won THEN 0 ELSE s.current_loss_streak + 1 END),
            last_game_at = completed
        FROM unnest(players, counted_scores, counted_tricks, won) AS t(player_id, score, tricks, won)
        WHERE s.player_id = t.player_id;
    END IF;

    -- One summary a game: a constraint refuses a second completion, should all else fail. Names are the
    -- players' own at this moment.
    INSERT INTO public.game_summaries (game_id, players, rounds, final_scores, highest_bid, highest_score,
        lowest_score, most_consecutive_wins, most_consecutive_losses, highest_misplay)
    SELECT game,
           (SELECT jsonb_agg(player || jsonb_build_object('display_name', coalesce(p.display_name, ''))
                             ORDER BY (player ->> 'seat_index')::int)
            FROM jsonb_array_elements(summary_players) AS player
            LEFT JOIN public.players p ON p.id = (player ->> 'player_id')::uuid),
           summary_rounds, summary_scores, best_bid, best_score, worst_score, win_streak, loss_streak, most_misplays;

    UPDATE public.games g SET next_event_index = head + cardinality(event_indexes),
        status = 'completed', completed_at = completed
    WHERE g.id = game;
    INSERT INTO public.event_outbox (name, version, occurred_at, payload)
    VALUES (outbox_name, outbox_version, completed, outbox_payload || jsonb_build_object(
        'game_id', game, 'lobby_id', was.lobby_id, 'ruleset', was.ruleset,
        'started_at', to_char(was.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'completed_at', to_char(completed AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')));

    INSERT INTO public.matches (game_id, lobby_id, mode, ruleset, started_at, ended_at, winner_id, uncounted)
    VALUES (game, was.lobby_id, 'server', was.ruleset, was.started_at, completed, winner, uncounted_because)
    RETURNING id INTO match;
    -- XP is for those with an account who did not leave.
    WITH played AS (
        INSERT INTO public.match_players (match_id, player_id, seat, score, is_winner, ended_at, xp, forfeited)
        SELECT match, t.player_id, t.seat, t.score, t.won, completed,
               CASE WHEN f.id IS NULL OR t.forfeited THEN 0 ELSE xp_per_game + xp_per_win * t.won::int END,
               t.forfeited
        FROM unnest(players, seats, scores, won, forfeits) AS t(player_id, seat, score, won, forfeited)
        LEFT JOIN public.players p ON p.id = t.player_id
        LEFT JOIN public.profiles f ON f.id = p.user_id::uuid
        RETURNING player_id, xp
    )
    UPDATE public.profiles f SET xp_total = f.xp_total + played.xp
    FROM played JOIN public.players p ON p.id = played.player_id
    WHERE f.id = p.user_id::uuid AND played.xp > 0;

    UPDATE public.lobbies l SET status = 'CLOSED', closed_at = completed, version = l.version + 1
    WHERE l.game_id = game AND l.status = 'PLAYING';
    DELETE FROM public.room_directory d WHERE d.game_id = game;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION complete_game IS
    'writes a game''s last events and all that comes of its end, unless it was fenced; nothing while its row is locked';

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

REVOKE ALL ON FUNCTION complete_game, open_lobby, change_lobby FROM PUBLIC;
GRANT EXECUTE ON FUNCTION complete_game, open_lobby, change_lobby TO playhall_server;
