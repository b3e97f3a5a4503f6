INSERT INTO luminor_conversations (id, user_id, luminor_id, session_id)
VALUES (new_time_id(), '00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-0000000000c1',
        gen_random_uuid()::text);
INSERT INTO luminor_messages (user_id, conversation_id, role, content)
SELECT user_id, id, 'user', 'Hello again' FROM luminor_conversations;
INSERT INTO luminor_messages (user_id, conversation_id, role, content, reply_to)
SELECT m.user_id, m.conversation_id, 'assistant', 'Hello', m.id FROM luminor_messages m
WHERE m.content = 'Hello again' AND NOT EXISTS (SELECT FROM luminor_messages a WHERE a.reply_to = m.id);
INSERT INTO luminor_memories (user_id, luminor_id, memory_type, content, source_message_id)
SELECT user_id, '00000000-0000-4000-8000-0000000000c1', 'fact', 'says hello', id FROM luminor_messages
WHERE role = 'user' LIMIT 1;
INSERT INTO reports (reporter_id, message_id, reason)
SELECT user_id, id, 'other' FROM luminor_messages WHERE role = 'assistant' LIMIT 1 ON CONFLICT DO NOTHING;
INSERT INTO notifications (user_id, type, title, dedupe_key)
VALUES ('00000000-0000-4000-8000-000000000700', 'mention', 'Somebody mentioned you', 'mention:1');
