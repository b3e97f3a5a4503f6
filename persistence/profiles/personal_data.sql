-- name: parts_of
-- Read an account, which may have no profile, and those that were merged into it.
SELECT $1::uuid AS id UNION ALL
(SELECT id FROM profiles WHERE merged_into = $1 ORDER BY id);

-- name: is_merged
-- Say whether an account was merged into another one.
SELECT EXISTS (SELECT FROM profiles WHERE id = $1 AND merged_into IS NOT NULL);

-- name: person_tables
-- List the tables that name a person, by their foreign keys.
SELECT name FROM playhall_auth.person_tables() ORDER BY 1;

-- name: person_rows
-- Read the rows of a table that name a person, without secrets.
SELECT playhall_auth.person_rows($1, $2);

-- name: own_games
-- Read the finished games that a person played, without the names of others.
SELECT jsonb_build_object('game_id', m.game_id, 'ruleset', m.ruleset, 'started_at', m.started_at,
         'ended_at', m.ended_at, 'seat', mp.seat, 'score', mp.score, 'is_winner', mp.is_winner, 'xp', mp.xp,
         'final_scores', s.final_scores, 'summary', s.players -> mp.seat::int)
FROM players p
JOIN match_players mp ON mp.player_id = p.id
JOIN matches m ON m.id = mp.match_id
LEFT JOIN game_summaries s ON s.game_id = m.game_id
WHERE p.user_id = $1::uuid::text
ORDER BY m.seq;

-- name: own_moves
-- Read the events that a person's own commands began, game by game, of the games between two places in the history; of ticks, only their own inputs. Archived games have none here.
SELECT jsonb_build_object('game_id', e.game_id, 'event_index', e.event_index, 'type', e.type,
         'payload', CASE WHEN own.inputs IS NULL THEN e.payload
             ELSE jsonb_set(e.payload, '{inputs}', own.inputs) END, 'at', e.created_at)
FROM players p
JOIN match_players mp ON mp.player_id = p.id
JOIN matches m ON m.id = mp.match_id
JOIN game_events e ON e.game_id = m.game_id
LEFT JOIN LATERAL (
    SELECT jsonb_agg(each ORDER BY place) AS inputs
    FROM jsonb_array_elements(CASE e.type WHEN 'tick' THEN e.payload -> 'inputs' ELSE '[]' END)
        WITH ORDINALITY AS all_inputs (each, place)
    WHERE (each ->> 0)::int = mp.seat
) own ON true
WHERE p.user_id = $1::uuid::text AND m.seq > $2 AND ($3::bigint IS NULL OR m.seq < $3)
    AND ((e.payload -> '_cmd' ->> 0)::int = mp.seat OR own.inputs IS NOT NULL)
ORDER BY m.seq, e.event_index;

-- name: own_archived_games
-- List the archived games that a person played, in the order of the history.
SELECT m.seq, m.game_id, mp.seat::int
FROM players p
JOIN match_players mp ON mp.player_id = p.id
JOIN matches m ON m.id = mp.match_id
JOIN game_archives a ON a.game_id = m.game_id AND a.released_at IS NOT NULL
WHERE p.user_id = $1::uuid::text
ORDER BY m.seq;

-- name: own_archived_moves
-- Pick from events of an archived game those that a person's own commands began, as `own_moves` does.
SELECT jsonb_build_object('game_id', $1::uuid, 'event_index', e.event_index, 'type', e.type,
         'payload', CASE WHEN own.inputs IS NULL THEN e.payload
             ELSE jsonb_set(e.payload, '{inputs}', own.inputs) END, 'at', e.created_at)
FROM unnest($3::int[], $4::text[], $5::jsonb[], $6::timestamptz[], $7::bytea[])
    AS e(event_index, type, payload, created_at, hash)
LEFT JOIN LATERAL (
    SELECT jsonb_agg(each ORDER BY place) AS inputs
    FROM jsonb_array_elements(CASE e.type WHEN 'tick' THEN e.payload -> 'inputs' ELSE '[]' END)
        WITH ORDINALITY AS all_inputs (each, place)
    WHERE (each ->> 0)::int = $2
) own ON true
WHERE (e.payload -> '_cmd' ->> 0)::int = $2 OR own.inputs IS NOT NULL
ORDER BY e.event_index;

-- name: own_votes
-- Read the votes that a person cast with the wallets that are linked now.
SELECT to_jsonb(v) FROM epoch_votes v JOIN wallets w ON w.address = v.voter_address
WHERE w.user_id = $1 ORDER BY v.updated_at, v.id;

-- name: own_bots
-- Read which bots a person's wallets own or owned, and when.
SELECT to_jsonb(o) FROM bot_identity_owners o JOIN wallets w ON w.address = o.owner_address
WHERE w.user_id = $1 ORDER BY o.effective_from, o.id;

-- name: own_bot_tokens
-- Read the tokens that a person made for bots, without what they are found by.
SELECT to_jsonb(t) - 'token_hash' FROM bot_tokens t JOIN wallets w ON w.address = t.created_by_address
WHERE w.user_id = $1 ORDER BY t.created_at, t.id;

-- name: own_loadouts
-- Read which avatars a person chose for bots.
SELECT to_jsonb(l) FROM bot_avatar_loadouts l JOIN wallets w ON w.address = l.selected_by_address
WHERE w.user_id = $1 ORDER BY l.selected_at, l.id;

-- name: own_payouts
-- Read what days of competition came to for a person's wallets.
SELECT to_jsonb(p) - 'events_digest' - 'payout_tx_hash' FROM epoch_payouts p JOIN wallets w ON w.address = p.recipient_address
WHERE w.user_id = $1 ORDER BY p.epoch_id, p.bot_identity_id;

-- name: read_proof
-- Read what an erasure is checked against: the username, whether there is a way to sign in, and when that was done in this session.
SELECT f.username, EXISTS (SELECT FROM playhall_auth.methods m WHERE m.user_id = f.id) AS can_sign_in,
       (SELECT s.created_at FROM playhall_auth.sessions s
        WHERE s.id = $2 AND s.user_id = f.id AND s.method NOT IN ('guest', 'merge')) AS signed_in_at
FROM profiles f WHERE f.id = $1;

-- name: erase_person
-- Erase whoever has this account; returns the player that is left, nameless.
SELECT playhall_auth.erase_person($1);

-- name: erased_lately
-- Read the players that were erased within some seconds.
SELECT id FROM players WHERE erased_at > clock_timestamp() - make_interval(secs => $1)
ORDER BY erased_at DESC LIMIT $2;
