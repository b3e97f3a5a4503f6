-- name: take_due_replay
-- Take a finished game without a replay; for so many seconds nobody else tries.
UPDATE matches SET replay_due_at = clock_timestamp() + make_interval(secs => $1) WHERE id = (
  SELECT id FROM matches
  WHERE replay_url IS NULL AND game_id IS NOT NULL AND replay_due_at <= clock_timestamp()
  ORDER BY replay_due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id AS match_id, game_id;
