-- name: take_due_replay
-- Take a finished game without a replay; for so many seconds nobody else tries.
UPDATE matches SET replay_due_at = clock_timestamp() + make_interval(secs => $1) WHERE id = (
  SELECT id FROM matches
  WHERE replay_url IS NULL AND game_id IS NOT NULL AND replay_due_at <= clock_timestamp()
  ORDER BY replay_due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id AS match_id, game_id;

-- name: replay_source
-- Read a finished game with its summary and its whole log, as columns; nothing where it has no summary.
SELECT g.id, g.ruleset, g.ruleset_version, g.session_seed AS seed, g.config, g.status, g.lobby_id, g.is_public,
       g.owner_epoch, g.next_event_index, g.quarantined_at IS NOT NULL AS quarantined,
       g.created_at, g.started_at, g.completed_at,
       s.players, s.rounds, s.final_scores, s.highest_bid, s.highest_score, s.lowest_score,
       s.most_consecutive_wins, s.most_consecutive_losses, s.highest_misplay,
       e.indexes, e.types, e.payloads, e.times, e.hashes
FROM games g JOIN game_summaries s ON s.game_id = g.id, LATERAL (
    SELECT array_agg(o.event_index) AS indexes, array_agg(o.type) AS types, array_agg(o.payload) AS payloads,
           array_agg(o.created_at) AS times, array_agg(o.hash) AS hashes
    FROM (SELECT event_index, type, payload, created_at, hash FROM game_events
          WHERE game_id = g.id ORDER BY event_index) AS o
) AS e
WHERE g.id = $1;
