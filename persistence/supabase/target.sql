-- name: hold_triggers
-- Until the transaction ends, leave out the triggers that check, count and notify: what is copied happened elsewhere. Foreign keys and checks hold; the counters are counted again in the end.
ALTER TABLE profiles DISABLE TRIGGER USER;
ALTER TABLE creations DISABLE TRIGGER USER;
ALTER TABLE likes DISABLE TRIGGER USER;
ALTER TABLE comments DISABLE TRIGGER USER;
ALTER TABLE follows DISABLE TRIGGER USER;
ALTER TABLE notifications DISABLE TRIGGER USER;
ALTER TABLE luminor_relationships DISABLE TRIGGER USER;
ALTER TABLE luminor_conversations DISABLE TRIGGER USER;
ALTER TABLE luminor_messages DISABLE TRIGGER USER;

-- name: release_triggers
-- Have the triggers back; without a commit, they were never away.
ALTER TABLE profiles ENABLE TRIGGER USER;
ALTER TABLE creations ENABLE TRIGGER USER;
ALTER TABLE likes ENABLE TRIGGER USER;
ALTER TABLE comments ENABLE TRIGGER USER;
ALTER TABLE follows ENABLE TRIGGER USER;
ALTER TABLE notifications ENABLE TRIGGER USER;
ALTER TABLE luminor_relationships ENABLE TRIGGER USER;
ALTER TABLE luminor_conversations ENABLE TRIGGER USER;
ALTER TABLE luminor_messages ENABLE TRIGGER USER;

-- name: has_account
-- Say whether there is an account with an id.
SELECT EXISTS (SELECT FROM auth.users WHERE id = $1);

-- name: date_account
-- Say since when an account is there.
WITH account AS (
  UPDATE auth.users SET created_at = coalesce($2::timestamptz, created_at) WHERE id = $1)
UPDATE profiles SET created_at = coalesce($2::timestamptz, created_at) WHERE id = $1;

-- name: ban_account
-- Keep an account out that was kept out before.
INSERT INTO account_bans (user_id, reason, ends_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: copy_profile
-- Copy what a profile of the project shows; the names are given by themselves.
UPDATE profiles f SET
  avatar_url = regexp_replace(p.avatar_url, '^https?://[^/]+/storage/v1/object/(?:public|authenticated|sign)/([^?#]+).*$', '/files/\1'),
  bio = p.bio, arcanean_id = coalesce(p.arcanean_id, f.arcanean_id), tier = coalesce(p.tier, f.tier),
  subscription_status = p.subscription_status, stripe_customer_id = p.stripe_customer_id,
  stripe_subscription_id = p.stripe_subscription_id, preferences = coalesce(p.preferences, '{}'),
  onboarding_completed = coalesce(p.onboarding_completed, false), onboarding_step = coalesce(p.onboarding_step, 0),
  is_active = coalesce(p.is_active, true), deactivated_by = CASE WHEN p.is_active IS FALSE THEN 'staff' END,
  deactivated_at = CASE WHEN p.is_active IS FALSE THEN clock_timestamp() END,
  is_verified = coalesce(p.is_verified, false), last_active_at = p.last_active_at,
  created_at = coalesce(p.created_at, f.created_at), updated_at = coalesce(p.updated_at, f.updated_at)
FROM jsonb_populate_record(NULL::profiles, $1) p WHERE f.id = p.id;

-- name: set_username
-- Give an account the username that it had.
UPDATE profiles SET username = $2 WHERE id = $1;

-- name: find_luminor
-- Find the companion with a slug.
SELECT id FROM luminors WHERE slug = $1;

-- name: add_luminors
-- Add companions.
INSERT INTO luminors (id, name, slug, title, specialty, color, avatar_url, icon, personality, system_prompt,
  greeting_message, expertise, ai_tools, is_active, is_public, created_at, updated_at)
SELECT id, name, slug, coalesce(title, ''), coalesce(specialty, ''), coalesce(color, '#888888'), avatar_url, icon,
  coalesce(personality, '{}'), system_prompt, coalesce(greeting_message, ''), coalesce(expertise, '{}'),
  coalesce(ai_tools, '{}'), coalesce(is_active, true), coalesce(is_public, true), coalesce(created_at, now()),
  coalesce(updated_at, now())
FROM jsonb_populate_recordset(NULL::luminors, $1) ON CONFLICT DO NOTHING;

-- name: add_creations
-- Add creations, with their views as of one day; where their files were in the project's storage, they are looked for here.
WITH added AS (
  INSERT INTO creations (id, user_id, title, description, type, file_url, thumbnail_url, file_size, file_format, ai_tool,
  prompt, model, generation_params, seed, metadata, status, is_public, is_featured, is_nsfw, license, allow_remix,
  allow_commercial, tags, categories, view_count, created_at, updated_at, published_at)
SELECT id, user_id, title, description, type,
  regexp_replace(file_url, '^https?://[^/]+/storage/v1/object/(?:public|authenticated|sign)/([^?#]+).*$', '/files/\1'),
  regexp_replace(thumbnail_url, '^https?://[^/]+/storage/v1/object/(?:public|authenticated|sign)/([^?#]+).*$', '/files/\1'),
  file_size, file_format, ai_tool, prompt, model, coalesce(generation_params, '{}'), seed, coalesce(metadata, '{}'),
  coalesce(status, 'draft'), coalesce(is_public, false), coalesce(is_featured, false), coalesce(is_nsfw, false),
  coalesce(license, 'all-rights-reserved'), coalesce(allow_remix, false), coalesce(allow_commercial, false),
  coalesce(tags, '{}'), coalesce(categories, '{}'), coalesce(view_count, 0), coalesce(created_at, now()),
  coalesce(updated_at, now()), CASE WHEN status = 'published' THEN coalesce(published_at, created_at, now()) ELSE published_at END
FROM jsonb_populate_recordset(NULL::creations, $1)
  ON CONFLICT DO NOTHING RETURNING id, view_count, coalesce(published_at, created_at) AS shown_at)
INSERT INTO creation_days (creation_id, day, view_count)
SELECT id, (shown_at AT TIME ZONE 'UTC')::date, view_count FROM added WHERE view_count > 0;

-- name: add_likes
-- Add likes.
INSERT INTO likes (id, user_id, creation_id, created_at)
SELECT id, user_id, creation_id, coalesce(created_at, now())
FROM jsonb_populate_recordset(NULL::likes, $1) ON CONFLICT DO NOTHING;

-- name: add_comments
-- Add comments; how deep an answer is, is counted from what it answers.
INSERT INTO comments (id, user_id, creation_id, content, parent_comment_id, depth, is_edited, is_flagged, created_at, updated_at)
SELECT c.id, c.user_id, c.creation_id, c.content, c.parent_comment_id,
  coalesce((SELECT least(p.depth + 1, 8) FROM comments p WHERE p.id = c.parent_comment_id), 0),
  coalesce(c.is_edited, false), coalesce(c.is_flagged, false), coalesce(c.created_at, now()), coalesce(c.updated_at, now())
FROM jsonb_populate_recordset(NULL::comments, $1) c ON CONFLICT DO NOTHING;

-- name: add_follows
-- Add who follows whom.
INSERT INTO follows (id, follower_id, following_id, notify_creations, created_at)
SELECT id, follower_id, following_id, coalesce(notify_creations, false), coalesce(created_at, now())
FROM jsonb_populate_recordset(NULL::follows, $1) ON CONFLICT DO NOTHING;

-- name: add_notifications
-- Add notifications that have not expired.
INSERT INTO notifications (id, user_id, type, title, message, action_url, metadata, is_read, is_archived, created_at, read_at)
SELECT id, user_id, type, title, coalesce(message, ''), action_url, coalesce(metadata, '{}'), coalesce(is_read, false),
  coalesce(is_archived, false), coalesce(created_at, now()), read_at
FROM jsonb_populate_recordset(NULL::notifications, $1) ON CONFLICT DO NOTHING;

-- name: add_luminor_relationships
-- Add bonds; what a companion remembers has rows of its own.
WITH bonds AS (
  INSERT INTO luminor_relationships (id, user_id, luminor_id, bond_level, bond_xp, total_interactions, personality_match,
    user_preferences, created_at, updated_at, last_interaction_at)
  SELECT id, user_id, luminor_id, coalesce(bond_level, 1), coalesce(bond_xp, 0), coalesce(total_interactions, 0),
    coalesce(personality_match, '{}'), coalesce(user_preferences, '{}'), coalesce(created_at, now()),
    coalesce(updated_at, now()), last_interaction_at
  FROM jsonb_populate_recordset(NULL::luminor_relationships, $1)
  ON CONFLICT DO NOTHING RETURNING id, user_id, luminor_id)
INSERT INTO luminor_memories (user_id, luminor_id, memory_type, content, importance)
SELECT b.user_id, b.luminor_id, left(coalesce(m ->> 'type', 'fact'), 64),
  left(coalesce(m ->> 'content', m #>> '{}'), 2000),
  CASE WHEN m ->> 'importance' ~ '^([1-9]|10)$' THEN (m ->> 'importance')::int ELSE 5 END
FROM bonds b
JOIN jsonb_populate_recordset(NULL::luminor_relationships, $1) r ON r.id = b.id
CROSS JOIN jsonb_array_elements(CASE jsonb_typeof(r.key_memories) WHEN 'array' THEN r.key_memories ELSE '[]' END) m
WHERE coalesce(m ->> 'content', m #>> '{}') <> '';

-- name: add_luminor_conversations
-- Add conversations.
INSERT INTO luminor_conversations (id, user_id, luminor_id, title, session_id, context, is_active, is_archived,
  created_at, updated_at, last_message_at)
SELECT id, user_id, luminor_id, title, session_id, coalesce(context, '{}'), coalesce(is_active, true),
  coalesce(is_archived, false), coalesce(created_at, now()), coalesce(updated_at, now()), last_message_at
FROM jsonb_populate_recordset(NULL::luminor_conversations, $1) ON CONFLICT DO NOTHING;

-- name: add_luminor_messages
-- Add messages.
INSERT INTO luminor_messages (id, user_id, conversation_id, role, content, model, tokens, cost, user_rating,
  was_helpful, created_at)
SELECT id, user_id, conversation_id, role, content, model, tokens, cost, user_rating, was_helpful,
  coalesce(created_at, now())
FROM jsonb_populate_recordset(NULL::luminor_messages, $1) ON CONFLICT DO NOTHING;
