-- name: read_attachment
-- Read what a slot is attached to.
SELECT attachment_id, slot_id, lobby_id, game_id, attached_at FROM slot_games
WHERE slot_id = $1 AND detached_at IS NULL AND applied_at IS NULL;

-- name: detach
-- Detach a slot from its game; a game that was completed before counts nevertheless.
UPDATE slot_games SET detached_at = clock_timestamp()
WHERE slot_id = $1 AND detached_at IS NULL AND applied_at IS NULL RETURNING attachment_id;

-- name: forget_attachments
-- Forget the oldest attachments of a slot that are over.
DELETE FROM slot_games WHERE slot_id = $1 AND attachment_id IN (
    SELECT o.attachment_id FROM slot_games o
    WHERE o.slot_id = $1 AND (o.detached_at IS NOT NULL OR o.applied_at IS NOT NULL)
    ORDER BY o.attached_at DESC OFFSET $2);

-- name: attach
-- Attach a slot to a lobby or a game.
INSERT INTO slot_games (slot_id, account_id, lobby_id, game_id) VALUES ($1, $2, $3, $4)
RETURNING attachment_id, slot_id, lobby_id, game_id, attached_at;

-- name: list_attached
-- List the slots of some players that were attached to a game, or to its lobby, when it was completed.
SELECT a.attachment_id, a.slot_id, a.account_id, l.id AS player_id
FROM slot_games a JOIN players l ON l.account_id = a.account_id
WHERE l.id = ANY ($1::uuid[]) AND (a.game_id = $2 OR a.lobby_id = $3) AND a.applied_at IS NULL
  AND a.attached_at <= $4 AND (a.detached_at IS NULL OR a.detached_at > $4)
ORDER BY a.attached_at, a.attachment_id LIMIT $5;

-- name: awaited_games
-- List the games and lobbies of these that slots of some players are attached to, by either.
SELECT DISTINCT a.game_id, a.lobby_id FROM slot_games a JOIN players l ON l.account_id = a.account_id
WHERE l.id = ANY ($1::uuid[]) AND (a.game_id = ANY ($2::uuid[]) OR a.lobby_id = ANY ($3::uuid[]))
  AND a.applied_at IS NULL;

-- name: mark_applied
-- Note that the result of a game was applied, unless it was.
UPDATE slot_games SET applied_at = clock_timestamp(), event_id = $2
WHERE attachment_id = $1 AND applied_at IS NULL RETURNING attachment_id;

-- name: read_rewards
-- Read what a ruleset's games give to the slots of a title.
SELECT reward_id, ruleset, rewards, version, updated_at FROM game_rewards
WHERE save_title = $1 AND ruleset = $2;

-- name: list_rewards
-- List what games give to the slots of a title, by ruleset.
SELECT reward_id, ruleset, rewards, version, updated_at FROM game_rewards
WHERE save_title = $1 ORDER BY ruleset LIMIT $2;

-- name: put_rewards
-- Set what a ruleset's games give to the slots of a title; adds none beyond a bound.
INSERT INTO game_rewards AS r (save_title, ruleset, rewards)
SELECT $1, $2, $3 WHERE (SELECT count(*) FROM game_rewards o WHERE o.save_title = $1 AND o.ruleset <> $2) < $4
ON CONFLICT (save_title, ruleset) DO UPDATE SET
    rewards = excluded.rewards, version = r.version + 1, updated_at = clock_timestamp()
RETURNING reward_id, ruleset, rewards, version, updated_at;
