-- name: claim_due
-- Take some people whose digest is due; whatever happens then, the next one is due a day later.
UPDATE notification_digests d SET next_due_at = clock_timestamp() + interval '1 day'
FROM (SELECT user_id FROM notification_digests g WHERE next_due_at <= clock_timestamp()
        AND EXISTS (SELECT FROM profiles p WHERE p.id = g.user_id AND p.is_active AND p.merged_into IS NULL)
      ORDER BY next_due_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED) due
WHERE d.user_id = due.user_id
RETURNING d.user_id, d.sent_through_at;

-- name: note_sent
-- Note which notification was the newest one that was mailed.
UPDATE notification_digests SET sent_through_at = greatest(sent_through_at, $2) WHERE user_id = $1;
