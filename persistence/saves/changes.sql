-- name: append_change
-- Add a change to an account's stream, and forget the one that is too old by now; gives its number and time. A range without an end would pass by those that were forgotten before.
WITH stream AS (
    INSERT INTO progress_streams AS s (account_id, number) VALUES ($1, 1)
    ON CONFLICT (account_id) DO UPDATE SET number = s.number + 1 RETURNING number),
forgotten AS (
    DELETE FROM progress_changes c USING stream
    WHERE c.account_id = $1 AND c.number BETWEEN stream.number - $5 - 4 AND stream.number - $5)
INSERT INTO progress_changes (account_id, number, kind, slot_id, data)
SELECT $1, number, $2, $3, $4 FROM stream RETURNING number, at;

-- name: read_head
-- Read the number of an account's newest change.
SELECT number FROM progress_streams WHERE account_id = $1;

-- name: read_changes
-- Read an account's changes after a number, oldest first.
SELECT number, kind, slot_id, data, at FROM progress_changes
WHERE account_id = $1 AND number > $2 ORDER BY number LIMIT $3;

-- name: read_changes_of
-- Read the changes of several accounts, each after its own number.
SELECT c.account_id, c.number, c.kind, c.slot_id, c.data, c.at
FROM unnest($1::uuid[], $2::bigint[]) AS wanted (account_id, after)
JOIN progress_changes c ON c.account_id = wanted.account_id AND c.number > wanted.after
ORDER BY c.account_id, c.number LIMIT $3;
