-- name: users
-- Read the accounts that are no merged ones: with their profile's times, their metadata and their bans.
SELECT u.id AS user_id, u.is_anonymous, u.created_at, f.updated_at, coalesce(m.user_data, '{}') AS user_data,
  coalesce(m.app_data, '{}') AS app_data, b.ends_at AS banned_until, b.user_id IS NOT NULL AS is_banned
FROM auth.users u
JOIN profiles f ON f.id = u.id AND f.merged_into IS NULL
LEFT JOIN playhall_auth.metadata m ON m.user_id = u.id
LEFT JOIN account_bans b ON b.user_id = u.id AND (b.ends_at IS NULL OR b.ends_at > clock_timestamp())
ORDER BY u.created_at, u.id;

-- name: methods
-- Read what accounts sign in with.
SELECT user_id, kind, sealed, password_hash, linked_at FROM playhall_auth.methods ORDER BY user_id, kind;

-- name: files
-- Read the list of files that are people's.
SELECT bucket, path, key, size FROM files WHERE owner_id IS NOT NULL AND lost_at IS NULL ORDER BY bucket, path;

-- name: profiles
-- Copy the profiles; a link to a file leads to the project ($1).
SELECT id, username, display_name, regexp_replace(avatar_url, '^/files/', $1) AS avatar_url, bio, arcanean_id, tier,
  subscription_status, stripe_customer_id, stripe_subscription_id, preferences, onboarding_completed, onboarding_step,
  creation_count, follower_count, following_count, is_active, is_verified, created_at, updated_at, last_active_at
FROM profiles WHERE merged_into IS NULL ORDER BY created_at, id;

-- name: luminors
-- Copy the companions.
SELECT id, name, slug, title, specialty, color, avatar_url, icon, personality, system_prompt, greeting_message,
  expertise, ai_tools, is_active, is_public, interaction_count, user_count, average_rating, created_at, updated_at
FROM luminors WHERE $1::text IS NOT NULL ORDER BY created_at, id;

-- name: creations
-- Copy the creations; a link to a file leads to the project ($1).
SELECT id, user_id, title, description, type, regexp_replace(file_url, '^/files/', $1) AS file_url,
  regexp_replace(thumbnail_url, '^/files/', $1) AS thumbnail_url, file_size, file_format, ai_tool, prompt, model,
  generation_params, seed, metadata, status, is_public, is_featured, is_nsfw, license, allow_remix, allow_commercial,
  tags, categories, view_count, like_count, comment_count, remix_count, created_at, updated_at, published_at
FROM creations WHERE removed_at IS NULL ORDER BY created_at, id;

-- name: comments
-- Copy the comments, with those that they answer before them; deleted ones that have answers are empty.
SELECT c.id, c.user_id, c.creation_id, c.content, c.parent_comment_id, c.is_edited, c.is_flagged, c.like_count,
  c.created_at, c.updated_at
FROM comments c JOIN creations r ON r.id = c.creation_id AND r.removed_at IS NULL
WHERE $1::text IS NOT NULL AND c.deleted_at IS NULL AND NOT EXISTS (
  SELECT FROM comments p WHERE p.id = c.parent_comment_id AND p.deleted_at IS NOT NULL)
ORDER BY c.depth, c.created_at, c.id;

-- name: likes
-- Copy the likes.
SELECT l.id, l.user_id, l.creation_id, l.created_at
FROM likes l JOIN creations r ON r.id = l.creation_id AND r.removed_at IS NULL
WHERE $1::text IS NOT NULL ORDER BY l.created_at, l.id;

-- name: follows
-- Copy who follows whom.
SELECT id, follower_id, following_id, notify_creations, created_at FROM follows
WHERE $1::text IS NOT NULL ORDER BY created_at, id;

-- name: notifications
-- Copy the notifications of the types that the project knows.
SELECT id, user_id, type, title, message, action_url, metadata, is_read, is_archived, created_at, read_at
FROM notifications
WHERE $1::text IS NOT NULL AND type IN (
  'creation_liked', 'creation_commented', 'new_follower', 'comment_reply', 'mention', 'system_announcement')
ORDER BY created_at, id;

-- name: luminor_relationships
-- Copy the bonds.
SELECT id, user_id, luminor_id, bond_level, bond_xp, total_interactions, personality_match, user_preferences,
  key_memories, created_at, updated_at, last_interaction_at
FROM luminor_relationships WHERE $1::text IS NOT NULL ORDER BY created_at, id;

-- name: luminor_conversations
-- Copy the conversations.
SELECT id, user_id, luminor_id, title, session_id, context, is_active, is_archived, message_count, created_at,
  updated_at, last_message_at
FROM luminor_conversations WHERE $1::text IS NOT NULL ORDER BY created_at, id;

-- name: luminor_messages
-- Copy the messages.
SELECT id, conversation_id, user_id, role, content, model, tokens, cost, user_rating, was_helpful, created_at
FROM luminor_messages WHERE $1::text IS NOT NULL AND status <> 'streaming' ORDER BY created_at, id;
