-- name: list_sessions
-- Read somebody's sessions that can still be used, the latest used first.
SELECT s.id AS session_id, s.method, s.created_at, max(t.issued_at) AS used_at
FROM playhall_auth.sessions s JOIN playhall_auth.refresh_tokens t ON t.session_id = s.id
WHERE s.user_id = $1 AND s.revoked_at IS NULL
GROUP BY s.id HAVING max(t.expires_at) > clock_timestamp()
ORDER BY used_at DESC, s.id LIMIT $2;

-- name: end_own_session
-- End a session of somebody's own, and forget the codes that link something to their account:
-- whoever was in that session may have asked for one.
WITH links AS (
  DELETE FROM playhall_auth.codes WHERE user_id = $2)
UPDATE playhall_auth.sessions SET revoked_at = coalesce(revoked_at, clock_timestamp())
WHERE id = $1 AND user_id = $2 RETURNING id;

-- name: end_all_sessions
-- End every session of somebody but one, or every one of them, and forget the codes that link
-- something to their account.
WITH links AS (
  DELETE FROM playhall_auth.codes WHERE user_id = $1)
UPDATE playhall_auth.sessions SET revoked_at = clock_timestamp()
WHERE user_id = $1 AND revoked_at IS NULL AND id IS DISTINCT FROM $2
RETURNING id;

-- name: ended_lately
-- Read which sessions ended within some seconds, who was banned, and whose account was deactivated.
(SELECT id, 'session' AS kind FROM playhall_auth.sessions
 WHERE revoked_at > clock_timestamp() - make_interval(secs => $1)
 ORDER BY revoked_at DESC LIMIT $2)
UNION ALL
(SELECT user_id, 'ban' FROM account_bans
 WHERE banned_at > clock_timestamp() - make_interval(secs => $1)
   AND (ends_at IS NULL OR ends_at > clock_timestamp())
 ORDER BY banned_at DESC LIMIT $2)
UNION ALL
(SELECT id, 'deactivation' FROM profiles
 WHERE NOT is_active AND deactivated_at > clock_timestamp() - make_interval(secs => $1)
 ORDER BY deactivated_at DESC LIMIT $2);

-- name: forget_expired_tokens
-- Delete some refresh tokens that have expired, and the sessions that end with them.
WITH gone AS (
  DELETE FROM playhall_auth.refresh_tokens WHERE token_hash IN (
    SELECT token_hash FROM playhall_auth.refresh_tokens
    WHERE expires_at < clock_timestamp() ORDER BY expires_at LIMIT $1)
  RETURNING session_id),
over AS (
  DELETE FROM playhall_auth.sessions s
  WHERE s.id IN (SELECT session_id FROM gone) AND NOT EXISTS (
    SELECT FROM playhall_auth.refresh_tokens t
    WHERE t.session_id = s.id AND t.expires_at >= clock_timestamp()))
SELECT count(*) FROM gone;

-- name: forget_expired_codes
-- Delete some one-time codes that have expired.
WITH gone AS (
  DELETE FROM playhall_auth.codes WHERE code_hash IN (
    SELECT code_hash FROM playhall_auth.codes
    WHERE expires_at < clock_timestamp() ORDER BY expires_at LIMIT $1)
  RETURNING 1)
SELECT count(*) FROM gone;
