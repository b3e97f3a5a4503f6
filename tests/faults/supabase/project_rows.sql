-- What people did in the project. :password is a hash of bcrypt, as Supabase stores it.
INSERT INTO auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data,
  raw_user_meta_data, created_at, updated_at, banned_until, is_anonymous)
SELECT '00000000-0000-0000-0000-000000000000', ('a0000000-0000-4000-8000-00000000000' || n)::uuid, 'authenticated',
  'authenticated', email, hash, confirmed, app::jsonb, written::jsonb, '2025-01-02 03:04:05+00',
  '2025-01-02 03:04:05+00', banned, email IS NULL
FROM (VALUES
  (1, 'ann@example.org', :'password', '2025-01-02 03:04:05+00'::timestamptz, '{"provider": "email", "providers": ["email", "discord"], "plan": "gold"}', '{"full_name": "Ann \\ A.", "color": "red"}', NULL::timestamptz),
  (2, 'bea@example.org', NULL, '2025-01-02 03:04:05+00', '{"provider": "email", "providers": ["email"]}', '{}', NULL),
  (3, 'cem@example.org', :'password', '2025-01-02 03:04:05+00', '{"provider": "email", "providers": ["email"]}', '{}', '2999-01-01 00:00:00+00'),
  (4, 'dan@example.org', :'password', NULL, '{"provider": "email", "providers": ["email"]}', '{}', NULL),
  (5, NULL, NULL, NULL, '{}', '{}', NULL)) u (n, email, hash, confirmed, app, written, banned);
INSERT INTO auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at) VALUES
  ('a0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', '{"sub": "a0000000-0000-4000-8000-000000000001", "email": "ann@example.org"}', 'email', now(), now(), now()),
  ('80351110224678912', 'a0000000-0000-4000-8000-000000000001', '{"sub": "80351110224678912", "full_name": "ann"}', 'discord', now(), now(), now());
INSERT INTO public.profiles (id, username, display_name, avatar_url, bio, arcanean_id, tier, preferences, creation_count, follower_count, following_count, created_at, updated_at)
VALUES
  ('a0000000-0000-4000-8000-000000000001', 'ann', 'Ann', 'https://old.supabase.co/storage/v1/object/public/avatars/a0000000-0000-4000-8000-000000000001/avatar.png', E'Line one\nLine two\twith a tab and a \\', 'ARC-900001', 'creator', '{"theme": "dark"}', 2, 1, 0, '2025-01-02 03:04:05+00', '2025-01-02 03:04:05+00'),
  ('a0000000-0000-4000-8000-000000000002', 'bea', 'Bea', NULL, NULL, 'ARC-900002', 'explorer', '{}', 0, 0, 1, '2025-01-03 03:04:05+00', '2025-01-03 03:04:05+00'),
  ('a0000000-0000-4000-8000-000000000003', 'Cem!', 'Cem', NULL, NULL, 'ARC-900003', 'explorer', '{}', 0, 0, 0, '2025-01-04 03:04:05+00', '2025-01-04 03:04:05+00');
INSERT INTO public.luminors (id, name, slug, title, specialty, color, system_prompt, greeting_message, expertise, ai_tools) VALUES
  ('b0000000-0000-4000-8000-000000000001', 'Lumina', 'lumina', 'The Vision Crafter', 'Visual Creation', '#4444FF', 'You are Lumina.', 'Hello', '{a}', '{b}'),
  ('b0000000-0000-4000-8000-000000000002', 'Verba', 'verba', 'The Word Smith', 'Words', '#44AAFF', 'You are Verba.', 'Hello', '{a}', '{b}');
INSERT INTO public.creations (id, user_id, title, description, type, file_url, status, is_public, tags, view_count, like_count, comment_count, created_at, updated_at, published_at) VALUES
  ('c0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'A dragon', 'Red', 'image', 'https://old.supabase.co/storage/v1/object/public/creations/a0000000-0000-4000-8000-000000000001/image/c0000000-0000-4000-8000-000000000001.pdf', 'published', true, '{dragon,red}', 7, 1, 2, '2025-02-01 00:00:00+00', '2025-02-01 00:00:00+00', '2025-02-02 00:00:00+00'),
  ('c0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000001', 'A secret', NULL, 'text', NULL, 'draft', false, '{}', 0, 0, 0, '2025-02-01 00:00:00+00', '2025-02-01 00:00:00+00', NULL);
INSERT INTO public.likes (id, user_id, creation_id, created_at) VALUES ('d0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002', 'c0000000-0000-4000-8000-000000000001', '2025-02-03 00:00:00+00');
INSERT INTO public.comments (id, user_id, creation_id, content, parent_comment_id, created_at, updated_at) VALUES
  ('e0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002', 'c0000000-0000-4000-8000-000000000001', 'Nice', NULL, '2025-02-03 00:00:00+00', '2025-02-03 00:00:00+00'),
  ('e0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000001', 'Thanks', 'e0000000-0000-4000-8000-000000000001', '2025-02-03 00:00:01+00', '2025-02-03 00:00:01+00');
INSERT INTO public.follows (id, follower_id, following_id, created_at) VALUES ('f0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000001', '2025-02-03 00:00:00+00');
INSERT INTO public.notifications (id, user_id, type, title, message, created_at) VALUES
  ('90000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'creation_liked', 'Bea likes it', 'A dragon', '2025-02-03 00:00:00+00'),
  ('90000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000001', 'of_their_own', 'What is that', 'Nobody knows', '2025-02-03 00:00:00+00');
INSERT INTO public.luminor_relationships (id, user_id, luminor_id, bond_level, bond_xp, total_interactions, key_memories, created_at, updated_at)
VALUES ('80000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000001', 3, 20, 42, '[{"type": "preference", "content": "likes dragons", "importance": 8}]', '2025-02-03 00:00:00+00', '2025-02-03 00:00:00+00');
INSERT INTO public.luminor_conversations (id, user_id, luminor_id, title, session_id, message_count, created_at, updated_at, last_message_at)
VALUES ('70000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000001', 'Dragons', 's1', 2, '2025-02-03 00:00:00+00', '2025-02-03 00:00:00+00', '2025-02-03 00:00:02+00');
INSERT INTO public.luminor_messages (id, conversation_id, user_id, role, content, created_at) VALUES
  ('60000000-0000-4000-8000-000000000001', '70000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'user', 'Hello', '2025-02-03 00:00:01+00'),
  ('60000000-0000-4000-8000-000000000002', '70000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'assistant', 'Good day', '2025-02-03 00:00:02+00');
INSERT INTO storage.buckets (id, name, public) VALUES ('creations', 'creations', false), ('other', 'other', true);
INSERT INTO storage.objects (bucket_id, name, owner_id, metadata) VALUES
  ('creations', 'a0000000-0000-4000-8000-000000000001/image/c0000000-0000-4000-8000-000000000001.pdf', 'a0000000-0000-4000-8000-000000000001', '{"size": 13, "mimetype": "application/pdf"}'),
  ('other', 'x.bin', 'a0000000-0000-4000-8000-000000000001', '{"size": 1, "mimetype": "application/octet-stream"}');
