-- name: lock_merges
-- Let one merge, undo or erasure happen at a time; the lock goes with the transaction.
SELECT pg_advisory_xact_lock(hashtext('playhall_auth.merges'));

-- name: lock_accounts
-- Lock two accounts, in an order that is always the same; reads what they were merged into. Decisions about consent lock as much.
SELECT f.id, p.id AS player_id, f.username, f.display_name, f.merged_into, total_xp(f.id) AS xp_total,
       playhall_auth.is_guest(f.id) AS is_anonymous
FROM profiles f JOIN players p ON p.user_id = f.id::text
WHERE f.id = ANY ($1) ORDER BY f.id FOR UPDATE OF f;

-- name: read_proof
-- Read whether a session is good, how its account signs in, and when that was done in it.
SELECT s.created_at, s.method,
       EXISTS (SELECT FROM playhall_auth.methods m WHERE m.user_id = s.user_id) AS can_sign_in
FROM playhall_auth.sessions s
WHERE s.id = $1 AND s.user_id = $2 AND s.revoked_at IS NULL;

-- name: is_playing
-- Say whether one of some accounts is in a lobby that is not closed, or in its game.
SELECT EXISTS (
  SELECT FROM players p
  JOIN lobby_members m ON m.player_id = p.id
  JOIN lobbies l ON l.id = m.lobby_id AND l.status <> 'CLOSED'
  WHERE p.user_id = ANY ($1::text[]));

-- name: is_subscribed
-- Say whether an account has a subscription that may go on.
SELECT subscription_status IN ('active', 'trialing', 'past_due', 'paused') FROM profiles WHERE id = $1;

-- name: add_merge
-- Note that an account is merged into another one.
INSERT INTO account_merges (id, user_id, merged_user_id, was_anonymous, undo_until)
VALUES ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))
RETURNING undo_until;

-- name: set_merged_into
-- Make an account a part of another one, or one of its own.
UPDATE profiles SET merged_into = $2 WHERE id = $1;

-- name: person_columns
-- List the columns that name an account.
SELECT relation, referrer FROM playhall_auth.person_columns()
WHERE refers_to <> 'public.players' ORDER BY 1, 2;

-- name: move_rows
-- Move the rows of a table.
SELECT moved, kept FROM playhall_auth.move_rows($1, $2, $3);

-- name: move_rows_back
-- Move what a merge moved back.
SELECT moved, missing FROM playhall_auth.move_rows_back($1);

-- name: methods_to_move
-- Read what an account signs in with, and whether another one has that kind already.
SELECT m.kind, m.sealed, m.linked_at, EXISTS (
  SELECT FROM playhall_auth.methods o WHERE o.user_id = $2 AND o.kind = m.kind) AS is_taken
FROM playhall_auth.methods m WHERE m.user_id = $1 ORDER BY m.kind FOR UPDATE OF m;

-- name: move_method
-- Move a method to another account, sealed for it.
UPDATE playhall_auth.methods SET user_id = $3, sealed = $4 WHERE user_id = $1 AND kind = $2;

-- name: note_move
-- Note which row was moved.
INSERT INTO playhall_auth.merge_moves (merge_id, relation, referrer, key) VALUES ($1, $2, $3, $4);

-- name: digest_moves
-- Digest which rows a merge moved.
SELECT coalesce(md5(string_agg(concat_ws('|', relation, referrer, key::text, before::text), E'\n'
                    ORDER BY relation, referrer, key::text)), '')
FROM playhall_auth.merge_moves WHERE merge_id = $1;

-- name: moved_methods
-- Read which methods a merge moved.
SELECT key ->> 'kind' AS kind, (key ->> 'linked_at')::timestamptz AS linked_at
FROM playhall_auth.merge_moves WHERE merge_id = $1 AND relation = 'playhall_auth.methods';

-- name: set_anonymous
-- Make an account a guest's, or not.
UPDATE auth.users SET is_anonymous = $2, updated_at = now() WHERE id = $1 AND is_anonymous <> $2;

-- name: end_sessions
-- End every session of some accounts, and forget the codes that link something to them.
WITH links AS (
  DELETE FROM playhall_auth.codes WHERE user_id = ANY ($1))
UPDATE playhall_auth.sessions SET revoked_at = clock_timestamp()
WHERE user_id = ANY ($1) AND revoked_at IS NULL RETURNING id;

-- name: list_merges
-- Read what was merged into an account, the latest first.
SELECT m.id, m.merged_user_id, p.id AS player_id, f.username, f.display_name, m.merged_at,
       m.undo_until, m.undone_at,
       f.merged_into IS NOT DISTINCT FROM m.user_id AND m.undone_at IS NULL
         AND m.undo_until > clock_timestamp() AS can_undo
FROM account_merges m
JOIN profiles f ON f.id = m.merged_user_id
JOIN players p ON p.user_id = f.id::text
WHERE m.user_id = $1 ORDER BY m.merged_at DESC, m.id LIMIT $2;

-- name: find_merge
-- Read a merge into an account.
SELECT id, user_id, merged_user_id, was_anonymous, undone_at, undo_until > clock_timestamp() AS is_open
FROM account_merges WHERE id = $1 AND user_id = $2 FOR UPDATE;

-- name: finish_undo
-- Note that a merge was undone; what it moved is forgotten.
WITH gone AS (
  DELETE FROM playhall_auth.merge_moves WHERE merge_id = $1)
UPDATE account_merges SET undone_at = clock_timestamp() WHERE id = $1;

-- name: forget_moves
-- Forget what some merges moved that can no longer be undone; says how many rows.
WITH gone AS (
  DELETE FROM playhall_auth.merge_moves WHERE merge_id IN (
    SELECT m.id FROM account_merges m
    WHERE m.undo_until < clock_timestamp() AND EXISTS (
      SELECT FROM playhall_auth.merge_moves v WHERE v.merge_id = m.id)
    ORDER BY m.undo_until LIMIT $1)
  RETURNING 1)
SELECT count(*) FROM gone;
