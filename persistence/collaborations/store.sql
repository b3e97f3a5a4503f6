-- name: find_person
-- Find a person by their username, as far as they may be seen.
SELECT id FROM profiles WHERE username = lower($1);

-- name: owner_of
-- Read whose creation it is, as far as it may be seen.
SELECT user_id FROM creations WHERE id = $1;

-- name: invite
-- Invite a person to a creation.
INSERT INTO creation_collaborators (creation_id, user_id, role) VALUES ($1, $2, $3);

-- name: list_collaborators
-- List the collaborators of a creation, as far as they may be seen; or one of them.
SELECT k.creation_id, k.user_id, p.username, p.display_name, p.avatar_url, k.role, k.accepted_at, k.created_at
FROM creation_collaborators k LEFT JOIN profiles p ON p.id = k.user_id
WHERE k.creation_id = $1 AND ($2::uuid IS NULL OR k.user_id = $2) ORDER BY k.created_at, k.user_id;

-- name: change_role
-- Give a collaborator another role.
UPDATE creation_collaborators SET role = $3 WHERE creation_id = $1 AND user_id = $2 RETURNING user_id;

-- name: accept
-- Accept an invitation.
UPDATE creation_collaborators SET accepted_at = now()
WHERE creation_id = $1 AND user_id = $2 RETURNING user_id;

-- name: remove
-- Remove a collaborator, or leave.
DELETE FROM creation_collaborators WHERE creation_id = $1 AND user_id = $2 RETURNING user_id;

-- name: list_own
-- List the creations of others to which a person is invited; of what they may not see yet, only whose it is.
SELECT k.creation_id, o.owner_id, p.username AS owner_username, c.title, k.role, k.accepted_at, k.created_at
FROM creation_collaborators k
JOIN LATERAL inviter_of(k.creation_id) AS o (owner_id) ON true
JOIN profiles p ON p.id = o.owner_id
LEFT JOIN creations c ON c.id = k.creation_id
WHERE k.user_id = $1 ORDER BY k.created_at DESC, k.creation_id DESC LIMIT 500;

-- name: list_present
-- Say which of these people may be in these creations, by pairs, as what, and whom blocks hide from them there.
SELECT x.creation_id::text, x.user_id::text, p.username,
       CASE WHEN c.user_id = x.user_id THEN 'owner' ELSE k.role END AS role,
       ARRAY(
           SELECT o.user_id::text FROM creation_collaborators o
           WHERE o.creation_id = x.creation_id AND is_blocked_between(o.user_id, x.user_id)
       ) AS hidden
FROM unnest($1::uuid[], $2::uuid[]) AS x (creation_id, user_id)
JOIN creations c ON c.id = x.creation_id
JOIN profiles p ON p.id = x.user_id AND p.is_active
LEFT JOIN creation_collaborators k
    ON k.creation_id = x.creation_id AND k.user_id = x.user_id AND k.accepted_at IS NOT NULL
WHERE c.user_id = x.user_id OR k.user_id IS NOT NULL AND c.removed_at IS NULL
    AND EXISTS (SELECT FROM profiles o WHERE o.id = c.user_id AND o.is_active);
