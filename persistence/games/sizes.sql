-- name: indexes_of_events
-- What the indexes of events take, and how many events they have.
SELECT (SELECT coalesce(sum(pg_indexes_size(i.inhrelid)), 0)::bigint FROM pg_inherits i
        WHERE i.inhparent = 'game_events'::regclass) AS bytes,
       (SELECT coalesce(sum(events), 0)::bigint FROM game_totals)
       + (SELECT coalesce(sum(next_event_index), 0)::bigint FROM games WHERE status IN ('created', 'in_progress'))
       - (SELECT coalesce(sum(events), 0)::bigint FROM game_archives WHERE released_at IS NOT NULL) AS events;

-- name: beside_events
-- What the other tables take that have rows for each game or each player of one, indexes included; and how many games ended.
SELECT coalesce(sum(pg_total_relation_size(name)), 0)::bigint AS bytes,
       (SELECT coalesce(sum(games), 0)::bigint FROM game_totals) AS games
FROM unnest(ARRAY['games', 'game_summaries', 'matches', 'match_players', 'rated_games',
    'rating_changes', 'board_games', 'achievement_games']::regclass[]) AS t(name);

-- name: recent_games
-- Measure the newest finished games of each ruleset whose events are in the database: games, events, bytes of the events' rows.
SELECT r.ruleset, count(*) AS games, sum(e.events)::bigint AS events, sum(e.bytes)::bigint AS row_bytes
FROM (SELECT DISTINCT ruleset FROM games WHERE status = 'completed') r
CROSS JOIN LATERAL (
    SELECT g.id FROM games g
    WHERE g.ruleset = r.ruleset AND g.status = 'completed'
      AND NOT EXISTS (SELECT FROM game_archives a WHERE a.game_id = g.id AND a.released_at IS NOT NULL)
    ORDER BY g.created_at DESC LIMIT $1
) newest
CROSS JOIN LATERAL (
    -- An id that is computed when it is read is no part of a row, but counted in it.
    SELECT count(*) AS events, sum(pg_column_size(x.*) - CASE (
            SELECT attgenerated FROM pg_attribute WHERE attrelid = 'game_events'::regclass AND attname = 'id'
        ) WHEN 's' THEN 0 ELSE pg_column_size(x.id) END) AS bytes
    FROM game_events x WHERE x.game_id = newest.id
) e
GROUP BY r.ruleset ORDER BY r.ruleset;

-- name: archived_games
-- Measure the archived games of each ruleset: games, and bytes in the object store.
SELECT g.ruleset, count(*) AS games, sum(a.object_bytes)::bigint AS object_bytes
FROM game_archives a JOIN games g ON g.id = a.game_id
WHERE a.released_at IS NOT NULL GROUP BY g.ruleset ORDER BY g.ruleset;

-- name: pace
-- Count the games that ended within the last seven days.
SELECT count(*) FROM games WHERE status = 'completed' AND created_at > now() - interval '14 days'
  AND completed_at > now() - interval '7 days';
