-- name: lock_lobby
-- Lock a lobby's row. What later statements read holds until the transaction ends; the same
-- statement would still see the members as they were before a concurrent join.
SELECT id FROM lobbies WHERE id = $1 FOR NO KEY UPDATE;

-- name: read_lobbies
-- Read a lobby with its members (longest-standing first), bans and games at its tables, as of one
-- moment. Whoever was removed from the lobby with the tables may not see the games at them either.
SELECT l.id AS lobby_id, l.version, l.name, l.mode, l.status::text, l.ruleset, l.config, l.seats,
       l.spectators_max, l.is_public, l.join_code, l.password_hash, l.quick_play, l.host_player_id,
       l.game_id, l.fill_at, l.created_at, l.region, l.host_peer_id, l.match_id, l.started_at,
       l.lineup, l.tables, l.table_of, l.table_no,
       extract(epoch FROM clock_timestamp() - l.host_seen_at)::float8 AS host_silent_s,
       extract(epoch FROM clock_timestamp() - l.last_heartbeat)::float8 AS silent_s,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(m.player_id, p.display_name, m.role, m.seat,
                                                    m.ready, m.bot, m.table_no)
                                  ORDER BY m.joined_at, m.seat, m.player_id), '[]')
        FROM lobby_members m JOIN players p ON p.id = m.player_id
        WHERE m.lobby_id = l.id) AS members,
       CASE WHEN l.tables > 1 THEN
           (SELECT coalesce(jsonb_agg(jsonb_build_array(t.table_no, t.id, t.game_id) ORDER BY t.table_no), '[]')
            FROM lobbies t WHERE t.table_of = l.id AND t.status <> 'CLOSED')
       ELSE '[]' END AS table_games,
       ARRAY(SELECT DISTINCT b.player_id FROM lobby_bans b WHERE b.lobby_id IN (l.id, l.table_of)) AS bans
FROM lobbies l WHERE l.id = ANY ($1::uuid[]);

-- name: lobby_of_code
-- Find the lobby that a code leads to.
SELECT id FROM lobbies WHERE join_code = $1 AND status <> 'CLOSED';

-- name: lock_player
-- Let a player enter one lobby at a time, so that the limit on open lobbies holds.
SELECT display_name FROM players WHERE id = $1 FOR NO KEY UPDATE;

-- name: count_open_lobbies
-- Count the open lobbies that a player is in.
SELECT count(*) FROM lobby_members m JOIN lobbies l ON l.id = m.lobby_id
WHERE m.player_id = $1 AND l.status = 'OPEN';

-- name: add_lobby
-- Insert a lobby; returns nothing if its join code, or its id, is taken.
INSERT INTO lobbies (id, name, mode, ruleset, config, seats, spectators_max, is_public, join_code,
                     password_hash, quick_play, fill_at, created_at, host_player_id, region, tables,
                     table_of, table_no, host_user_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
        (SELECT f.id FROM players p JOIN profiles f ON f.id::text = p.user_id WHERE p.id = $14))
ON CONFLICT DO NOTHING
RETURNING id;

-- name: save_lobby
-- Write what may change of a lobby, and count the change.
UPDATE lobbies SET
    name = $2, status = $3::text::lobby_status, config = $4, seats = $5, is_public = $6,
    fill_at = $7, host_player_id = $8, mode = $9, ruleset = $10, host_peer_id = $11,
    match_id = $12, started_at = $13, lineup = $14::uuid[], tables = $15,
    host_seen_at = CASE WHEN host_player_id IS DISTINCT FROM $8 THEN clock_timestamp()
                        ELSE host_seen_at END,
    host_user_id = (SELECT f.id FROM players p JOIN profiles f ON f.id::text = p.user_id
                    WHERE p.id = $8),
    closed_at = CASE WHEN $3::text = 'CLOSED' THEN coalesce(closed_at, clock_timestamp()) END,
    last_heartbeat = clock_timestamp(), version = version + 1
WHERE id = $1
RETURNING version;

-- name: open_lobbies
-- Add lobbies with their hosts in one statement, as `migrations` has it; returns those that were added, by their place in what is given.
SELECT c.nth, o.host_name
FROM jsonb_array_elements($1) WITH ORDINALITY AS c(opened, nth), LATERAL open_lobby(c.opened) AS o;

-- name: change_lobbies
-- Write how lobbies change from a version in one statement, as `migrations` has it; returns those that were written, by their place in what is given.
SELECT c.nth, o.new_version, o.joiner_name
FROM jsonb_array_elements($1) WITH ORDINALITY AS c(change, nth), LATERAL change_lobby(c.change) AS o;

-- name: close_lobby
-- Close an open lobby as whoever asks; row level security lets its host alone.
UPDATE lobbies SET
    status = 'CLOSED', closed_at = clock_timestamp(), fill_at = NULL, version = version + 1
WHERE id = $1 AND status = 'OPEN'
RETURNING version;

-- name: add_bots
-- Make the players that bots sit as, where they are new; in id order, so that two lobbies that
-- need the same ones never wait for each other in a ring.
INSERT INTO players (id, display_name, avatar_seed, color, is_bot)
SELECT t.id, t.display_name, t.display_name, '#8a8f98', true
FROM unnest($1::uuid[], $2::text[]) AS t(id, display_name) ORDER BY t.id
ON CONFLICT (id) DO NOTHING;

-- name: add_members
-- Let players into a lobby, in this order.
INSERT INTO lobby_members (lobby_id, player_id, role, seat, ready, bot, table_no, joined_at)
SELECT $1, t.player_id, t.role, t.seat, t.ready, t.bot, t.table_no, clock_timestamp()
FROM unnest($2::uuid[], $3::text[], $4::smallint[], $5::bool[], $6::text[], $7::smallint[])
    WITH ORDINALITY AS t(player_id, role, seat, ready, bot, table_no, nth)
ORDER BY t.nth;

-- name: change_members
-- Write what may change of members.
UPDATE lobby_members m SET role = t.role, seat = t.seat, ready = t.ready, table_no = t.table_no
FROM unnest($2::uuid[], $3::text[], $4::smallint[], $5::bool[], $6::smallint[])
    AS t(player_id, role, seat, ready, table_no)
WHERE m.lobby_id = $1 AND m.player_id = t.player_id;

-- name: remove_members
-- Take members out of a lobby.
DELETE FROM lobby_members WHERE lobby_id = $1 AND player_id = ANY($2::uuid[]);

-- name: add_bans
-- Keep players from coming back.
INSERT INTO lobby_bans (lobby_id, player_id) SELECT $1, unnest($2::uuid[])
ON CONFLICT DO NOTHING;

-- name: list_lobbies
-- List public lobbies, newest first, after the one that a cursor names. A cast of the status to
-- its type would be no constant to the planner, which then uses none of the indexes that have only
-- open or only playing lobbies. A text has no index of its own: among 10,000 open lobbies the page
-- of a common word takes 0.1 ms, of one that nothing has 6 ms. Trigrams make that 0.04 ms, but not
-- where a text has fewer than three letters, and cost an extension and every lobby's writes.
SELECT l.id AS lobby_id, l.version, l.name, l.mode, l.status::text, l.ruleset, l.tables * l.seats AS seats,
       seated.taken, l.password_hash IS NOT NULL AS has_password, l.game_id, l.created_at, l.region, l.tables
FROM lobbies l, LATERAL (
    SELECT count(*)::int AS taken
    FROM lobby_members m WHERE m.lobby_id = l.id AND m.role = 'player'
) AS seated
WHERE l.is_public
  AND ($1::text = 'OPEN' AND l.status = 'OPEN' OR $1 = 'PLAYING' AND l.status = 'PLAYING')
  AND ($2::text IS NULL OR l.ruleset = $2)
  AND ($3::text IS NULL OR l.mode = $3)
  AND ($4::int = 0 OR l.tables * l.seats - seated.taken >= $4)
  AND ($5::text = '' OR strpos(lower(l.name), lower($5)) > 0)
  AND ($8::text IS NULL OR l.region = $8)
  AND ($6::timestamptz IS NULL
       OR l.created_at <= $6 AND (l.created_at < $6 OR l.id > $7::uuid))
ORDER BY l.created_at DESC, l.id
LIMIT $9;

-- name: lock_quick_play
-- Let one node at a time open a quick-play lobby of a ruleset, until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('playhall.quick_play:' || $1::text, 0));

-- name: fitting_lobby
-- Find the quick-play lobby for a player: the one they are in already, else the fullest.
SELECT l.id
FROM lobbies l, LATERAL (
    SELECT count(*) FILTER (WHERE m.role = 'player') AS taken,
           coalesce(bool_or(m.player_id = $2 AND m.role = 'player'), false) AS is_mine
    FROM lobby_members m WHERE m.lobby_id = l.id
) AS seated
WHERE l.fill_at IS NOT NULL AND l.status = 'OPEN' AND l.is_public AND l.quick_play
  AND l.ruleset = $1 AND l.config = $3 AND ($4::int IS NULL OR l.seats = $4)
  AND (seated.is_mine OR seated.taken < l.seats)
  AND NOT EXISTS (SELECT FROM lobby_bans b WHERE b.lobby_id = l.id AND b.player_id = $2)
ORDER BY seated.is_mine DESC, seated.taken DESC, l.created_at, l.id
LIMIT 1;

-- name: due_lobbies
-- List open lobbies whose free seats bots are to get by now, longest due first.
SELECT id FROM lobbies WHERE status = 'OPEN' AND fill_at <= $1 ORDER BY fill_at LIMIT $2;

-- name: silent_lobbies
-- List lobbies, open or between peers, that have shown no life for so many seconds, longest
-- silent first.
SELECT id FROM lobbies
WHERE (status = 'OPEN' OR status = 'PLAYING' AND mode = 'peer')
  AND last_heartbeat < clock_timestamp() - make_interval(secs => $1)
ORDER BY last_heartbeat LIMIT $2;

-- name: beat
-- Show life for the lobbies of these players, open or between peers; one that is being changed shows it anyway.
UPDATE lobbies SET last_heartbeat = clock_timestamp() WHERE id IN (
    SELECT l.id FROM lobbies l
    WHERE (l.status = 'OPEN' OR l.status = 'PLAYING' AND l.mode = 'peer')
      AND l.id IN (SELECT m.lobby_id FROM lobby_members m WHERE m.player_id = ANY($1::uuid[]))
    FOR NO KEY UPDATE OF l SKIP LOCKED);

-- name: open_lobbies_of
-- List the lobbies that a player is in and can leave: open, or between peers.
SELECT l.id FROM lobby_members m JOIN lobbies l ON l.id = m.lobby_id
WHERE m.player_id = $1 AND (l.status = 'OPEN' OR l.status = 'PLAYING' AND l.mode = 'peer');

-- name: silent_hosts
-- List peer lobbies whose host has shown no life for so many seconds, longest silent first.
SELECT id, host_player_id FROM lobbies
WHERE mode = 'peer' AND status <> 'CLOSED' AND host_player_id IS NOT NULL
  AND host_seen_at < clock_timestamp() - make_interval(secs => $1)
ORDER BY host_seen_at LIMIT $2;

-- name: host_beat
-- Show life for a peer lobby and its host; nothing for anybody else.
UPDATE lobbies SET host_seen_at = clock_timestamp(), last_heartbeat = clock_timestamp()
WHERE id = $1 AND host_player_id = $2 AND mode = 'peer' AND status <> 'CLOSED'
RETURNING true;

-- name: peer_members
-- Say who of these are members of a peer lobby that is not closed, by a session that has not
-- ended, and neither banned nor deactivated. A session that another service keeps is not in our table.
SELECT t.lobby_id, t.player_id, t.session_id
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS t(lobby_id, player_id, session_id)
JOIN lobby_members m ON m.lobby_id = t.lobby_id AND m.player_id = t.player_id
JOIN lobbies l ON l.id = t.lobby_id AND l.mode = 'peer' AND l.status <> 'CLOSED'
JOIN players p ON p.id = t.player_id
LEFT JOIN playhall_auth.sessions s ON s.id = t.session_id
WHERE s.revoked_at IS NULL AND NOT EXISTS (
    SELECT FROM account_bans b
    WHERE b.user_id::text = p.user_id AND (b.ends_at IS NULL OR b.ends_at > clock_timestamp()))
    AND NOT EXISTS (SELECT FROM profiles f WHERE f.id::text = p.user_id AND NOT f.is_active);

-- name: peers_meet_at
-- Say on which node a lobby's peers meet: every node says the same. Of the live ones that were
-- there before the lobby, the first by a hash; so a node that comes later moves no lobby.
SELECT n.address FROM nodes n JOIN lobbies l ON l.id = $1
WHERE n.lease_until > clock_timestamp() AND n.address <> ''
ORDER BY n.started_at > l.created_at, md5(n.id || l.id::text), n.id LIMIT 1;

-- name: meeting_nodes
-- Say which node that is, for lobbies whose peers reach it through any node.
SELECT l.id::text, m.id FROM lobbies l CROSS JOIN LATERAL (
    SELECT n.id FROM nodes n WHERE n.lease_until > clock_timestamp() AND n.address <> ''
    ORDER BY n.started_at > l.created_at, md5(n.id || l.id::text), n.id LIMIT 1) AS m
WHERE l.id = ANY ($1::uuid[]);

-- name: oldest_node
-- Say where peers meet who are in no lobby: a node that comes later moves nobody.
SELECT id FROM nodes WHERE lease_until > clock_timestamp() AND address <> ''
ORDER BY started_at, id LIMIT 1;

-- name: live_nodes
-- Say which of these nodes are alive.
SELECT id FROM nodes WHERE id = ANY ($1::text[]) AND lease_until > clock_timestamp();

-- name: lobby_versions
-- Read how far lobbies have changed.
SELECT id, version FROM lobbies WHERE id = ANY($1::uuid[]);

-- name: listed_versions
-- Read how far the newest lobbies of the public list have changed; each half has an index.
SELECT id, version FROM (
    (SELECT id, version, created_at FROM lobbies WHERE is_public AND status = 'OPEN'
     ORDER BY created_at DESC, id LIMIT $1)
    UNION ALL
    (SELECT id, version, created_at FROM lobbies WHERE is_public AND status = 'PLAYING'
     ORDER BY created_at DESC, id LIMIT $1)
) AS listed ORDER BY created_at DESC LIMIT $1;

-- name: lobby_bans
-- Read who may not come back into these lobbies, or into those at whose tables they are.
SELECT l.id, b.player_id FROM lobbies l JOIN lobby_bans b ON b.lobby_id IN (l.id, l.table_of)
WHERE l.id = ANY($1::uuid[]);

-- name: has_match
-- Say whether a lobby's session between peers was reported.
SELECT EXISTS (SELECT FROM matches WHERE id = $1 AND lobby_id = $2);

-- name: add_match
-- Write the history record of a session between peers; its host declared the result.
INSERT INTO matches (id, lobby_id, mode, ruleset, started_at, ended_at, winner_id, reported_by, uncounted)
VALUES ($1, $2, 'peer', $3, $4, $5, $6, $7, 'declared');

-- name: add_match_players
-- Write who played in a session between peers, on which seat, and how it went for them.
INSERT INTO match_players (match_id, player_id, seat, score, is_winner, ended_at)
SELECT $1, t.player_id, t.nth - 1, t.score, t.player_id IS NOT DISTINCT FROM $4::uuid, $5
FROM unnest($2::uuid[], $3::int[]) WITH ORDINALITY AS t(player_id, score, nth)
JOIN players p ON p.id = t.player_id;

-- name: is_reporter
-- Say whether somebody reported a match between peers.
SELECT EXISTS (SELECT FROM matches WHERE id = $1 AND mode = 'peer' AND reported_by = $2);

-- name: clear_closed
-- Delete lobbies closed for so many seconds that no game and no match came from; oldest first.
DELETE FROM lobbies WHERE id IN (
    SELECT l.id FROM lobbies l
    WHERE l.status = 'CLOSED' AND l.closed_at < clock_timestamp() - make_interval(secs => $1)
      AND NOT EXISTS (SELECT FROM games g WHERE g.lobby_id = l.id)
      AND NOT EXISTS (SELECT FROM matches m WHERE m.lobby_id = l.id)
      AND NOT EXISTS (SELECT FROM lobbies t WHERE t.table_of = l.id)
    ORDER BY l.closed_at LIMIT $2
    FOR UPDATE OF l SKIP LOCKED)
RETURNING id;

-- name: player_names
-- Read the names of players who were not erased.
SELECT id, display_name FROM players WHERE id = ANY ($1::uuid[]) AND erased_at IS NULL;

-- name: list_for_operators
-- List lobbies of any kind, newest first, after the one that a cursor names; by status, and by an id, a join code or a part of the name.
SELECT l.id AS lobby_id, l.name, l.status::text, l.mode, l.ruleset, l.join_code, l.is_public,
       l.password_hash IS NOT NULL AS has_password, l.host_player_id, p.display_name AS host_name,
       (SELECT count(*)::int FROM lobby_members m WHERE m.lobby_id = l.id AND m.role = 'player') AS players,
       l.tables * l.seats AS seats, l.game_id, l.created_at, l.last_heartbeat
FROM lobbies l LEFT JOIN players p ON p.id = l.host_player_id
WHERE ($1::text IS NULL OR l.status::text = $1)
  AND ($2::text = '' OR l.id::text = lower($2) OR l.join_code = upper($2)
       OR strpos(lower(l.name), lower($2)) > 0)
  AND ($3::timestamptz IS NULL
       OR l.created_at <= $3 AND (l.created_at < $3 OR l.id > $4::uuid))
ORDER BY l.created_at DESC, l.id
LIMIT $5;
