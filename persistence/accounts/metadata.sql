-- name: read_metadata
-- Read what an application keeps of an account.
SELECT user_data, app_data FROM playhall_auth.metadata WHERE user_id = $1;

-- name: merge_metadata
-- Change what an application keeps of an account, key by key; one that is null goes.
INSERT INTO playhall_auth.metadata AS m (user_id, user_data, app_data)
SELECT $1,
  (SELECT coalesce(jsonb_object_agg(key, value) FILTER (WHERE value <> 'null'), '{}') FROM jsonb_each($2::jsonb)),
  (SELECT coalesce(jsonb_object_agg(key, value) FILTER (WHERE value <> 'null'), '{}') FROM jsonb_each($3::jsonb))
ON CONFLICT (user_id) DO UPDATE
SET user_data = (SELECT coalesce(jsonb_object_agg(key, value) FILTER (WHERE value <> 'null'), '{}')
                 FROM jsonb_each(m.user_data || $2::jsonb)),
    app_data = (SELECT coalesce(jsonb_object_agg(key, value) FILTER (WHERE value <> 'null'), '{}')
                FROM jsonb_each(m.app_data || $3::jsonb)),
    updated_at = clock_timestamp();

-- name: list_accounts
-- List a page of accounts, the newest first, with how many there are.
SELECT id AS user_id, count(*) OVER () AS total FROM profiles
WHERE merged_into IS NULL ORDER BY created_at DESC, id LIMIT $1 OFFSET $2;

-- name: count_accounts
-- Count the accounts, where a page has none of them.
SELECT count(*) FROM profiles WHERE merged_into IS NULL;
