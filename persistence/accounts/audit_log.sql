-- name: record
-- Put on record who did what to whom, and what was before and after.
INSERT INTO audit_log (actor, action, target, before, after) VALUES ($1, $2, $3, $4, $5);

-- name: read
-- Read what was done, newest first, from below an id: to a target, by somebody, of a kind, within a time.
SELECT id, actor, action, target, before, after, at
FROM audit_log
WHERE id < $1 AND ($3::text IS NULL OR target = $3) AND ($4::text IS NULL OR actor = $4)
  AND ($5::text IS NULL OR action = $5)
  AND ($6::timestamptz IS NULL OR at >= $6) AND ($7::timestamptz IS NULL OR at < $7)
ORDER BY id DESC LIMIT $2;
