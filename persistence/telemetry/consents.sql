-- name: current
-- Read what an account decided last about each purpose.
SELECT DISTINCT ON (purpose) purpose, version, is_granted, source, policy_version, recorded_at
FROM consents WHERE account_id = $1 ORDER BY purpose, version DESC;

-- name: decide
-- Record a decision unless it is the present one.
INSERT INTO consents (account_id, purpose, is_granted, policy_version)
SELECT $1::uuid, $2::text, $3::bool, $4::text
WHERE NOT EXISTS (
    SELECT FROM (
        SELECT is_granted, policy_version, source FROM consents
        WHERE account_id = $1::uuid AND purpose = $2::text ORDER BY version DESC LIMIT 1) AS present
    WHERE is_granted = $3::bool AND policy_version = $4::text AND source = 'person');

-- name: history
-- Read an account's decisions from before a time and a purpose, newest first.
SELECT purpose, version, is_granted, source, policy_version, recorded_at
FROM consents
WHERE account_id = $1 AND (recorded_at, purpose) < ($2, $3)
ORDER BY recorded_at DESC, purpose DESC LIMIT $4;

-- name: refuse_sharing
-- Record that an account's browser says not to share, unless sharing is refused already.
INSERT INTO consents (account_id, purpose, is_granted, source)
SELECT id, 'sharing', false, 'gpc' FROM profiles
WHERE id = $1 AND (SELECT is_granted FROM consents
    WHERE account_id = $1 AND purpose = 'sharing' ORDER BY version DESC LIMIT 1) IS DISTINCT FROM false;
