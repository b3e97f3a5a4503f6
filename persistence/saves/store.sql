-- name: add_slot
-- Add an account's slot with its first revision, unless they have as many as they may.
WITH slot AS (
    INSERT INTO save_slots (account_id, slot_id, narrative_state, title, name, schema_version, package,
                            device, play_time_s, size, checksum, is_modded)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12
    WHERE (SELECT count(*) FROM save_slots WHERE account_id = $1) < $13
    RETURNING slot_id, account_id)
INSERT INTO save_revisions (slot_id, account_id, revision, reason, mutation_id, mutation_hash, state,
                            schema_version, device, play_time_s, size, checksum, is_modded, outcome)
SELECT slot_id, account_id, 1, $14, $15, $16, $3, $6, $8, $9, $10, $11, $12, 'written' FROM slot
RETURNING slot_id;

-- name: find_created
-- Find the slot that a mutation made.
SELECT r.slot_id, r.mutation_hash FROM save_slots s
JOIN save_revisions r ON r.account_id = $1 AND r.slot_id = s.slot_id AND r.mutation_id = $2
WHERE s.account_id = $1 AND r.revision = 1;

-- name: list_slots
-- List an account's slots after a place, oldest first.
SELECT s.slot_id, s.account_id, s.title, s.name, s.progression_version, s.last_revision, s.schema_version,
       s.package, s.thumbnail, s.device, s.play_time_s, s.size, s.checksum, s.is_modded, s.created_at,
       s.updated_at, NULL::jsonb AS narrative_state,
       (SELECT count(*) FROM save_conflicts c WHERE c.slot_id = s.slot_id AND c.status = 'open') AS conflicts
FROM save_slots s
WHERE s.account_id = $1 AND ($2::text IS NULL OR s.title = $2)
  AND s.created_at >= $3 AND (s.created_at > $3 OR s.slot_id > $4)
ORDER BY s.created_at, s.slot_id LIMIT $5;

-- name: list_titles
-- List which title each slot of an account is of.
SELECT slot_id, title FROM save_slots WHERE account_id = $1 ORDER BY created_at, slot_id;

-- name: read_slot
-- Read a slot with its state.
SELECT s.slot_id, s.account_id, s.title, s.name, s.progression_version, s.last_revision, s.schema_version,
       s.package, s.thumbnail, s.device, s.play_time_s, s.size, s.checksum, s.is_modded, s.created_at,
       s.updated_at, s.narrative_state,
       (SELECT count(*) FROM save_conflicts c WHERE c.slot_id = s.slot_id AND c.status = 'open') AS conflicts
FROM save_slots s WHERE s.slot_id = $1 AND s.account_id = $2;

-- name: lock_slot
-- Read an account's slot, and let one change at a time concern it.
SELECT s.slot_id, s.account_id, s.title, s.name, s.progression_version, s.last_revision, s.schema_version,
       s.package, s.thumbnail, s.device, s.play_time_s, s.size, s.checksum, s.is_modded, s.created_at,
       s.updated_at, s.narrative_state, 0::bigint AS conflicts
FROM save_slots s WHERE s.slot_id = $1 AND s.account_id = $2 FOR NO KEY UPDATE;

-- name: lock_for_mutation
-- The same, with the revision that a mutation made, if it did before. One that is committed while the lock is waited for is not seen; then the mutation cannot be stored a second time.
SELECT s.slot_id, s.account_id, s.title, s.name, s.progression_version, s.last_revision, s.schema_version,
       s.package, s.thumbnail, s.device, s.play_time_s, s.size, s.checksum, s.is_modded, s.created_at,
       s.updated_at, s.narrative_state, 0::bigint AS conflicts,
       r.revision AS made, r.mutation_hash, r.outcome, r.head, r.conflict_id
FROM save_slots s LEFT JOIN save_revisions r
  ON r.account_id = $2 AND r.slot_id = s.slot_id AND r.mutation_id = $3
WHERE s.slot_id = $1 AND s.account_id = $2 FOR NO KEY UPDATE OF s;

-- name: is_merged
-- Say whether an account was merged into another one.
SELECT EXISTS (SELECT FROM profiles WHERE id = $1 AND merged_into IS NOT NULL);

-- name: change_slot
-- Rename a slot or give it another thumbnail; whose it may be is said by the policies.
UPDATE save_slots SET name = coalesce($2, name), thumbnail = coalesce($3, thumbnail)
WHERE slot_id = $1 RETURNING slot_id;

-- name: delete_slot
-- Delete an account's slot with all that belongs to it.
DELETE FROM save_slots WHERE slot_id = $1 AND account_id = $2 RETURNING slot_id;

-- name: add_branch
-- Add a revision beside the current one.
WITH slot AS (
    UPDATE save_slots SET last_revision = $3 WHERE slot_id = $1)
INSERT INTO save_revisions (slot_id, account_id, revision, parents, reason, source, state, schema_version,
                            device, play_time_s, size, checksum, is_modded, mutation_id, mutation_hash,
                            outcome, head, conflict_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18);

-- name: read_current
-- Read an account's slot with its state, while others may change it.
SELECT s.slot_id, s.account_id, s.title, s.name, s.progression_version, s.last_revision, s.schema_version,
       s.package, s.thumbnail, s.device, s.play_time_s, s.size, s.checksum, s.is_modded, s.created_at,
       s.updated_at, s.narrative_state, 0::bigint AS conflicts
FROM save_slots s WHERE s.slot_id = $1 AND s.account_id = $2;

-- name: advance
-- Add a revision unless there is a newer one already, make it the current one, and have the account's devices told, in one round trip; gives the number and the time of the change. The change that is too old by now is forgotten; a range without an end would pass by those that were forgotten before.
WITH slot AS (
    UPDATE save_slots SET narrative_state = $7, progression_version = $3, last_revision = $3,
        schema_version = $8, device = $9, play_time_s = $10, size = $11, checksum = $12,
        is_modded = is_modded OR $13, package = coalesce($19, package), updated_at = clock_timestamp()
    WHERE slot_id = $1 AND account_id = $2 AND last_revision = $3 - 1
    RETURNING slot_id, account_id),
revision AS (
    INSERT INTO save_revisions (slot_id, account_id, revision, parents, reason, source, state,
                                schema_version, device, play_time_s, size, checksum, is_modded,
                                mutation_id, mutation_hash, outcome, head, conflict_id)
    SELECT slot_id, account_id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18
    FROM slot),
stream AS (
    INSERT INTO progress_streams AS s (account_id, number) SELECT account_id, 1 FROM slot
    ON CONFLICT (account_id) DO UPDATE SET number = s.number + 1 RETURNING account_id, number),
forgotten AS (
    DELETE FROM progress_changes c USING stream
    WHERE c.account_id = $2 AND c.number BETWEEN stream.number - $22 - 4 AND stream.number - $22)
INSERT INTO progress_changes (account_id, number, kind, slot_id, data)
SELECT account_id, number, $20, $1, $21 FROM stream RETURNING number, at;

-- name: read_revision
-- Read a revision with its state.
SELECT slot_id, revision, parents, reason, source, schema_version, device, play_time_s, size, checksum,
       is_modded, is_pinned, state IS NULL AS is_pruned, created_at, state
FROM save_revisions WHERE account_id = $1 AND slot_id = $2 AND revision = $3;

-- name: list_revisions
-- List a slot's revisions below one, newest first.
SELECT slot_id, revision, parents, reason, source, schema_version, device, play_time_s, size, checksum,
       is_modded, is_pinned, state IS NULL AS is_pruned, created_at, NULL::jsonb AS state
FROM save_revisions WHERE account_id = $1 AND slot_id = $2 AND revision < $3
ORDER BY revision DESC LIMIT $4;

-- name: read_parents
-- Read what each revision of a slot was made of.
SELECT revision, parents FROM save_revisions WHERE account_id = $1 AND slot_id = $2;

-- name: pin_revision
-- Pin a revision that is still kept, or let it go, unless as many are pinned as may be.
UPDATE save_revisions SET is_pinned = $4
WHERE account_id = $1 AND slot_id = $2 AND revision = $3 AND state IS NOT NULL
  AND (NOT $4 OR is_pinned
       OR (SELECT count(*) FROM save_revisions o
           WHERE o.account_id = $1 AND o.slot_id = $2 AND o.is_pinned) < $5)
RETURNING revision;

-- name: kept_revisions
-- List the revisions of a slot that have their states.
SELECT revision, size, device, is_pinned FROM save_revisions
WHERE account_id = $1 AND slot_id = $2 AND state IS NOT NULL;

-- name: prune_revisions
-- Forget the states of some revisions, unless somebody has pinned them meanwhile.
UPDATE save_revisions SET state = NULL
WHERE account_id = $1 AND slot_id = $2 AND revision = ANY ($3::bigint[]) AND NOT is_pinned;

-- name: forget_revisions
-- Delete the oldest revisions whose states are gone, beyond so many of all.
DELETE FROM save_revisions WHERE account_id = $1 AND slot_id = $2 AND state IS NULL AND revision <= (
    SELECT o.revision FROM save_revisions o WHERE o.account_id = $1 AND o.slot_id = $2
    ORDER BY o.revision DESC OFFSET $3 LIMIT 1);

-- name: open_conflict
-- Put a branch that could not be merged on record.
INSERT INTO save_conflicts (conflict_id, slot_id, account_id, base, branch, paths)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: extend_conflict
-- Note that the branch of an open conflict went on.
UPDATE save_conflicts SET branch = $2, paths = $3 WHERE conflict_id = $1 AND status = 'open';

-- name: close_conflict
-- Note by which revision a conflict was resolved.
UPDATE save_conflicts SET status = 'resolved', resolution = $2, resolved_at = clock_timestamp()
WHERE conflict_id = $1 AND status = 'open';

-- name: reopen_conflict
-- Open a conflict again.
UPDATE save_conflicts SET status = 'open', resolution = NULL, resolved_at = NULL
WHERE conflict_id = $1 AND status = 'resolved';

-- name: list_conflicts
-- List some of a slot's conflicts, newest first, open ones before others.
SELECT conflict_id, base, branch, paths, status, resolution, opened_at, resolved_at
FROM save_conflicts WHERE slot_id = $1 AND status >= $2
  AND (status > $2 OR opened_at < $3 OR (opened_at = $3 AND conflict_id > $4))
ORDER BY status, opened_at DESC, conflict_id LIMIT $5;

-- name: open_branches
-- List a slot's open conflicts.
SELECT conflict_id, base, branch FROM save_conflicts WHERE slot_id = $1 AND status = 'open';

-- name: find_conflict
-- Read one conflict of a slot.
SELECT conflict_id, base, branch, paths, status, resolution, opened_at, resolved_at
FROM save_conflicts WHERE slot_id = $1 AND conflict_id = $2;

-- name: list_classes
-- Count a title's slots by the schema version of their states.
SELECT schema_version, count(*) AS slots FROM save_slots
WHERE title = $1 GROUP BY schema_version ORDER BY schema_version;

-- name: read_class
-- Read some states of a title and a schema version, after a slot.
SELECT slot_id, narrative_state FROM save_slots
WHERE title = $1 AND schema_version = $2 AND slot_id > $3 ORDER BY slot_id LIMIT $4;
