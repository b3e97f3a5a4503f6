-- name: add_avatar
-- Add a bot's next generation, unless it has as many as it may; the bot is locked.
INSERT INTO bot_avatars (bot_identity_id, generation_index, source_provider, prompt, glb_uri,
                         preview_image_uri, manifest_uri)
SELECT $1, coalesce(max(generation_index), 0) + 1, $2, $3, $4, $5, $6
FROM bot_avatars WHERE bot_identity_id = $1
HAVING count(*) < $7
RETURNING id AS avatar_id, bot_identity_id AS bot_id, generation_index, source_provider, prompt,
          glb_uri, preview_image_uri, manifest_uri, moderation_status, created_at;

-- name: wear
-- Let a bot show an avatar, and note it: an approved one of its own, by the choice of the account
-- that owns it now. Whoever rejects the avatar at the same time is waited for, or waits.
WITH chosen AS (
  SELECT a.id, a.bot_identity_id FROM bot_avatars a
  WHERE a.id = $2 AND a.bot_identity_id = $1 AND a.moderation_status = 'approved'
  FOR SHARE OF a),
worn AS (
  UPDATE bot_identities b SET active_avatar_id = chosen.id
  FROM chosen, v_current_bot_identity_owner o, wallets w
  WHERE b.id = chosen.bot_identity_id AND b.status = 'active' AND o.bot_identity_id = b.id
    AND w.address = o.owner_address AND w.user_id = $3
  RETURNING b.id, chosen.id AS avatar_id, o.owner_address)
INSERT INTO bot_avatar_loadouts (bot_identity_id, avatar_id, selected_by_address)
SELECT id, avatar_id, owner_address FROM worn
RETURNING avatar_id;

-- name: is_bots_avatar
-- Say whether an avatar is a bot's.
SELECT EXISTS (SELECT FROM bot_avatars WHERE id = $2 AND bot_identity_id = $1);

-- name: public_avatars
-- List a bot's avatars for whoever asks, the newest generation first, without prompts.
SELECT id AS avatar_id, bot_identity_id AS bot_id, generation_index, source_provider,
       NULL AS prompt, glb_uri, preview_image_uri, manifest_uri, moderation_status, created_at
FROM bot_avatars WHERE bot_identity_id = $1 ORDER BY generation_index DESC LIMIT $2;

-- name: all_avatars
-- List all of a bot's avatars, the newest generation first.
SELECT id AS avatar_id, bot_identity_id AS bot_id, generation_index, source_provider, prompt,
       glb_uri, preview_image_uri, manifest_uri, moderation_status, created_at
FROM bot_avatars WHERE bot_identity_id = $1 ORDER BY generation_index DESC LIMIT $2;

-- name: owns_bot
-- Say whether an account's wallet owns a bot now.
SELECT EXISTS (
  SELECT FROM v_current_bot_identity_owner o JOIN wallets w ON w.address = o.owner_address
  WHERE o.bot_identity_id = $1 AND w.user_id = $2);

-- name: avatars_with
-- List avatars with a moderation status, those that have waited longest first.
SELECT id AS avatar_id, bot_identity_id AS bot_id, generation_index, source_provider, prompt,
       glb_uri, preview_image_uri, manifest_uri, moderation_status, created_at
FROM bot_avatars WHERE moderation_status = $1 ORDER BY created_at, id LIMIT $2;

-- name: lock_avatar
-- Let one act at a time concern an avatar.
SELECT moderation_status FROM bot_avatars WHERE id = $1 FOR UPDATE;

-- name: moderate
-- Say what becomes of an avatar.
UPDATE bot_avatars SET moderation_status = $2 WHERE id = $1
RETURNING id AS avatar_id, bot_identity_id AS bot_id, generation_index, source_provider, prompt,
          glb_uri, preview_image_uri, manifest_uri, moderation_status, created_at;

-- name: take_off
-- Let no bot show an avatar.
UPDATE bot_identities SET active_avatar_id = NULL WHERE id = $1 AND active_avatar_id = $2;
