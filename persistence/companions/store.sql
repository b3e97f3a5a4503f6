-- What people ask for runs as them. What a companion writes, and what nobody may read, is the server's.

-- name: list_luminors
-- List the companions that whoever asks may talk to.
SELECT id, name, slug, title, specialty, color, avatar_url, icon, personality, greeting_message, expertise,
       ai_tools, interaction_count, user_count, average_rating::float8, rating_count
FROM luminors ORDER BY created_at, id LIMIT $1;

-- name: find_luminor
-- Find a companion that whoever asks may talk to, by id or slug.
SELECT id, name, slug, title, specialty, color, avatar_url, icon, personality, greeting_message, expertise,
       ai_tools, interaction_count, user_count, average_rating::float8, rating_count
FROM luminors WHERE id::text = $1 OR slug = $1;

-- name: list_definitions
-- List all companions with what only admins see.
SELECT id, name, slug, title, specialty, color, avatar_url, icon, personality, greeting_message, expertise,
       ai_tools, interaction_count, user_count, average_rating::float8, rating_count, system_prompt, is_active,
       is_public
FROM luminors WHERE $2::uuid IS NULL OR id = $2 ORDER BY created_at, id LIMIT $1;

-- name: add_definition
-- Add a companion.
INSERT INTO luminors (name, slug, title, specialty, color, avatar_url, icon, personality, system_prompt,
                      greeting_message, expertise, ai_tools, is_active, is_public)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING id;

-- name: change_definition
-- Change a companion.
UPDATE luminors SET name = $1, slug = $2, title = $3, specialty = $4, color = $5, avatar_url = $6, icon = $7,
    personality = $8, system_prompt = $9, greeting_message = $10, expertise = $11, ai_tools = $12,
    is_active = $13, is_public = $14
WHERE id = $15 RETURNING id;

-- name: delete_definition
-- Delete a companion, with all that people had with it.
DELETE FROM luminors WHERE id = $1 RETURNING id;

-- name: read_persona
-- Read what a model is told of a companion that is active.
SELECT id, name, title, specialty, personality, system_prompt, greeting_message, expertise
FROM luminors WHERE id = $1 AND is_active;

-- name: start_conversation
-- Find or make the active conversation of a session.
SELECT get_or_create_conversation($1, $2, $3);

-- name: find_conversation
-- Find one of one's conversations.
SELECT id, luminor_id, title, session_id, is_active, is_archived, message_count, created_at, updated_at,
       last_message_at, summary
FROM luminor_conversations WHERE id = $1;

-- name: list_conversations
-- List one's conversations, the last changed first; those with a text in the title or in a message.
SELECT id, luminor_id, title, session_id, is_active, is_archived, message_count, created_at, updated_at,
       last_message_at, summary
FROM luminor_conversations c
WHERE user_id = auth.uid() AND is_archived = $1 AND ($2::uuid IS NULL OR luminor_id = $2)
  AND ($3 = '' OR fold_text(c.title) LIKE '%' || escape_like(fold_text($3)) || '%'
       OR EXISTS (SELECT FROM luminor_messages m WHERE m.conversation_id = c.id
                  AND fold_text(m.content) LIKE '%' || escape_like(fold_text($3)) || '%'))
  AND ($4::timestamptz IS NULL OR (updated_at, id) < ($4, $5::uuid))
ORDER BY updated_at DESC, id DESC LIMIT $6;

-- name: change_conversation
-- Change the title of a conversation, or archive it; null leaves as it is.
UPDATE luminor_conversations SET title = coalesce($2, title),
    is_archived = coalesce($3, is_archived), is_active = coalesce(NOT $3, is_active)
WHERE id = $1 RETURNING id;

-- name: delete_conversation
-- Delete one of one's conversations.
DELETE FROM luminor_conversations WHERE id = $1 RETURNING id;

-- name: list_messages
-- List messages of a conversation, newest first.
SELECT id, conversation_id, role, content, status, failure, model, tokens, cost::float8, reply_to, user_rating,
       was_helpful, created_at
FROM luminor_messages
WHERE conversation_id = $1 AND role <> 'system'
  AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))
ORDER BY created_at DESC, id DESC LIMIT $4;

-- name: list_messages_forward
-- List messages of a conversation, oldest first.
SELECT id, conversation_id, role, content, status, failure, model, tokens, cost::float8, reply_to, user_rating,
       was_helpful, created_at
FROM luminor_messages
WHERE conversation_id = $1 AND role <> 'system'
  AND ($2::timestamptz IS NULL OR (created_at, id) > ($2, $3::uuid))
ORDER BY created_at, id LIMIT $4;

-- name: find_message
-- Find one of one's messages.
SELECT id, conversation_id, role, content, status, failure, model, tokens, cost::float8, reply_to, user_rating,
       was_helpful, created_at
FROM luminor_messages WHERE id = $1 AND role <> 'system';

-- name: rate_message
-- Rate an answer.
UPDATE luminor_messages SET user_rating = $2, was_helpful = $3
WHERE id = $1 AND role = 'assistant' RETURNING id;

-- name: read_creation
-- Read what a companion is told of a creation that the person can see.
SELECT title, description, type, tags FROM creations WHERE id = $1;

-- name: recall
-- The memories of whoever asks that have most to do with a text, of those in use: by meaning and by words, each
-- of which gives a place; the places are added as 1 / (60 + place) (reciprocal rank fusion).
WITH asked AS (
    SELECT replace(plainto_tsquery('english', fold_text($2))::text, '&', '|')::tsquery AS words
), own AS (
    SELECT m.id, m.content, m.memory_type, m.importance, m.subject, m.created_at,
           ts_rank(m.words, a.words) AS words,
           CASE WHEN s.similarity >= $6::float8 THEN s.similarity END AS similarity
    FROM luminor_memories m CROSS JOIN asked a
    LEFT JOIN memory_similarities($1::uuid, $4::real[], $5::text) s ON s.memory_id = m.id
    WHERE m.user_id = auth.uid() AND m.luminor_id = $1::uuid AND m.superseded_at IS NULL
), placed AS (
    SELECT *, rank() OVER (ORDER BY similarity DESC NULLS LAST) AS by_meaning, rank() OVER (ORDER BY words DESC) AS by_words
    FROM own
)
SELECT content, memory_type, importance, subject FROM placed
ORDER BY CASE WHEN similarity IS NOT NULL THEN 1.0 / (60 + by_meaning) ELSE 0 END
         + CASE WHEN words > 0 THEN 1.0 / (60 + by_words) ELSE 0 END DESC,
         importance DESC, created_at DESC, id
LIMIT $3;

-- name: list_unembedded
-- Memories in use that a model has not embedded.
SELECT id, content FROM luminor_memories
WHERE superseded_at IS NULL AND (embedding_model IS NULL OR embedding_model < $1 OR embedding_model > $1)
LIMIT $2;

-- name: list_unembedded_of
-- Memories in use of a person with a companion that a model has not embedded, the newest first.
SELECT id, content FROM luminor_memories
WHERE superseded_at IS NULL AND (embedding_model IS NULL OR embedding_model <> $1)
  AND user_id = $3 AND luminor_id = $4
ORDER BY created_at DESC, id LIMIT $2;

-- name: put_embedding
-- Store the embedding of a memory that still says the same.
UPDATE luminor_memories SET embedding = $3, embedding_model = $4 WHERE id = $1 AND content = $2 RETURNING id;

-- name: list_memories
-- List what a companion remembers of whoever asks, newest first.
SELECT id, luminor_id, memory_type, content, importance, source_message_id, superseded_by, superseded_at,
       created_at, updated_at
FROM luminor_memories
WHERE user_id = auth.uid() AND luminor_id = $1 AND ($2 OR superseded_at IS NULL)
  AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4::uuid))
ORDER BY created_at DESC, id DESC LIMIT $5;

-- name: add_memory
-- Have a companion remember something.
SELECT add_key_memory($1, $2, $3, $4, $5, $6);

-- name: find_memory
-- Find one of one's memories.
SELECT id, luminor_id, memory_type, content, importance, source_message_id, superseded_by, superseded_at,
       created_at, updated_at
FROM luminor_memories WHERE id = $1;

-- name: change_memory
-- Edit one of one's memories; null leaves as it is.
UPDATE luminor_memories SET memory_type = coalesce($2, memory_type), content = coalesce($3, content),
    importance = coalesce($4, importance)
WHERE id = $1
RETURNING id, luminor_id, memory_type, content, importance, source_message_id, superseded_by, superseded_at,
          created_at, updated_at;

-- name: delete_memory
-- Forget one of one's memories.
DELETE FROM luminor_memories WHERE id = $1 RETURNING id;

-- name: current_memory
-- The memory of a subject that is in use.
SELECT id, content FROM luminor_memories
WHERE user_id = $1 AND luminor_id = $2 AND subject = $3 AND superseded_at IS NULL FOR UPDATE;

-- name: retire_memory
-- No longer use a memory.
UPDATE luminor_memories SET superseded_at = clock_timestamp() WHERE id = $1;

-- name: name_subject
-- Say what a memory is about.
UPDATE luminor_memories SET subject = $2 WHERE id = $1;

-- name: name_successor
-- Say which memory contradicted another one.
UPDATE luminor_memories SET superseded_by = $2 WHERE id = $1;

-- name: find_bond
-- Read how close whoever asks is to a companion.
SELECT luminor_id, bond_level, bond_xp, bond_xp_for_next_level(bond_level) AS xp_for_next_level,
       bond_progress_percent(bond_level, bond_xp) AS level_progress_percent, total_interactions,
       last_interaction_at
FROM luminor_relationships WHERE user_id = auth.uid() AND luminor_id = $1;

-- name: read_preferences
-- Read what whoever asks prefers in a companion.
SELECT user_preferences FROM luminor_relationships WHERE user_id = auth.uid() AND luminor_id = $1;

-- name: set_preferences
-- Keep what whoever asks prefers in a companion, and how well it fits.
INSERT INTO luminor_relationships (user_id, luminor_id, user_preferences, personality_match)
VALUES (auth.uid(), $1, $2, $3)
ON CONFLICT (user_id, luminor_id) DO UPDATE SET user_preferences = excluded.user_preferences,
    personality_match = excluded.personality_match;

-- name: list_opinions
-- What whoever asks thinks of the newest answers that they rated since a time: by companion and length.
SELECT l.id AS luminor_id, l.personality, r.length, count(*)::int AS answers, avg(r.reward)::float8 AS reward
FROM (SELECT m.conversation_id,
        CASE WHEN char_length(m.content) < $2 THEN 'short' WHEN char_length(m.content) < $3 THEN 'medium'
            ELSE 'long' END AS length,
        coalesce((m.user_rating - 3) / 2.0, CASE WHEN m.was_helpful THEN 0.5 ELSE -0.5 END) AS reward
    FROM luminor_messages m
    WHERE m.user_id = auth.uid() AND (m.user_rating IS NOT NULL OR m.was_helpful IS NOT NULL)
        AND ($1::timestamptz IS NULL OR m.created_at > $1)
    ORDER BY m.created_at DESC LIMIT $4) r
JOIN luminor_conversations c ON c.id = r.conversation_id
JOIN luminors l ON l.id = c.luminor_id
GROUP BY l.id, l.personality, r.length ORDER BY l.id, r.length;

-- name: luminor_of_message
-- Say with which companion a message of whoever asks was exchanged.
SELECT c.luminor_id FROM luminor_messages m JOIN luminor_conversations c ON c.id = m.conversation_id
WHERE m.id = $1;

-- name: read_speaker
-- Read the tier and the name of an account.
SELECT tier, coalesce(display_name, '') AS name FROM profiles WHERE id = $1;

-- name: read_usage
-- Read what an account used of companions today, and its tier.
SELECT (now() AT TIME ZONE 'UTC')::date::text AS day, p.tier, coalesce(u.messages, 0) AS messages,
       coalesce(u.tokens, 0) AS tokens, coalesce(u.cost, 0)::float8 AS cost
FROM profiles p LEFT JOIN luminor_usage u ON u.user_id = p.id AND u.day = (now() AT TIME ZONE 'UTC')::date
WHERE p.id = $1;

-- name: lock_person
-- Keep an account from being erased until the transaction ends. Before all else: an erasure locks the account first, and what belongs to it later.
SELECT FROM profiles WHERE id = $1 FOR KEY SHARE;

-- name: lock_conversation
-- Lock a conversation, so that one message at a time is said in it; before it the person, as whoever erases them.
WITH person AS MATERIALIZED (SELECT id FROM profiles WHERE id = $2 FOR KEY SHARE)
SELECT c.is_archived FROM person p JOIN luminor_conversations c ON c.user_id = p.id
WHERE c.id = $1 FOR NO KEY UPDATE OF c;

-- name: find_said
-- Find a message that was said already, and its answer.
SELECT m.id AS message_id, a.id AS answer_id FROM luminor_messages m
LEFT JOIN luminor_messages a ON a.conversation_id = m.conversation_id AND a.reply_to = m.id
WHERE m.conversation_id = $1 AND m.request_id = $2 AND m.user_id = $3;

-- name: is_answering
-- Say whether an answer is being written in a conversation.
SELECT EXISTS (SELECT FROM luminor_messages WHERE conversation_id = $1 AND status = 'streaming');

-- name: count_message
-- Count a message of an account, unless it has sent as many today as it may.
INSERT INTO luminor_usage AS u (user_id, day, messages)
SELECT $1, (now() AT TIME ZONE 'UTC')::date, 1 WHERE $2 > 0
ON CONFLICT (user_id, day) DO UPDATE SET messages = u.messages + 1 WHERE u.messages < $2
RETURNING messages;

-- name: say
-- Store what a person said.
SELECT add_message_to_conversation($1, $2, 'user', $3, p_request_id => $4);

-- name: open_answer
-- Begin the answer to a message.
INSERT INTO luminor_messages (id, user_id, conversation_id, role, content, model, status, reply_to, streamed_at)
VALUES ($1, $2, $3, 'assistant', '', $4, 'streaming', $5, clock_timestamp());

-- name: save_answers
-- Keep what was written of answers so far; gives those that are still being written.
UPDATE luminor_messages m SET content = a.content, streamed_at = clock_timestamp()
FROM unnest($1::uuid[], $2::text[]) a (id, content)
WHERE m.id = a.id AND m.status = 'streaming' RETURNING m.id;

-- name: end_answer
-- End an answer, unless it has ended already.
UPDATE luminor_messages SET content = $2, status = $3, failure = $4, tokens = $5, cost = $6
WHERE id = $1 AND status = 'streaming' RETURNING id;

-- name: is_counted
-- Say whether what an answer used was recorded already.
SELECT tokens IS NOT NULL FROM luminor_messages WHERE id = $1;

-- name: record_usage
-- Record the tokens and the cost of an answer that was ended elsewhere.
UPDATE luminor_messages SET tokens = $2, cost = $3 WHERE id = $1;

-- name: add_usage
-- Add tokens and cost to what an account used today.
INSERT INTO luminor_usage AS u (user_id, day, tokens, cost)
SELECT p.id, (now() AT TIME ZONE 'UTC')::date, $2, $3 FROM profiles p WHERE p.id = $1
ON CONFLICT (user_id, day) DO UPDATE SET tokens = u.tokens + excluded.tokens, cost = u.cost + excluded.cost;

-- name: stop_answer
-- Stop an answer that another node may be writing.
UPDATE luminor_messages SET status = 'stopped' WHERE id = $1 AND status = 'streaming' RETURNING id;

-- name: end_abandoned
-- End the answers whose nodes are gone; what was kept of them stays.
WITH ended AS (
    UPDATE luminor_messages SET status = 'failed', failure = 'interrupted',
        tokens = ceil(octet_length(content) / 4.0)::int, cost = coalesce(cost, 0)
    WHERE status = 'streaming' AND streamed_at < clock_timestamp() - make_interval(secs => $1)
    RETURNING user_id, tokens
), counted AS (
    INSERT INTO luminor_usage AS u (user_id, day, tokens)
    SELECT user_id, (now() AT TIME ZONE 'UTC')::date, sum(tokens) FROM ended GROUP BY user_id
    ON CONFLICT (user_id, day) DO UPDATE SET tokens = u.tokens + excluded.tokens
)
SELECT count(*) FROM ended;

-- name: list_unsummarised
-- What a person said in a conversation since its summary, without the newest messages; oldest first.
SELECT m.id, m.content FROM luminor_messages m
JOIN luminor_conversations c ON c.id = m.conversation_id
LEFT JOIN luminor_messages u ON u.conversation_id = c.id AND u.id = c.summary_until
WHERE c.id = $1 AND m.role = 'user'
  AND (u.id IS NULL OR (m.created_at, m.id) > (u.created_at, u.id))
  AND (m.created_at, m.id) < (
    SELECT n.created_at, n.id FROM luminor_messages n WHERE n.conversation_id = c.id
    ORDER BY n.created_at DESC, n.id DESC OFFSET $2 LIMIT 1)
ORDER BY m.created_at, m.id LIMIT $3;

-- name: set_summary
-- Keep the summary of older messages.
UPDATE luminor_conversations SET summary = $2, summary_until = $3 WHERE id = $1;
