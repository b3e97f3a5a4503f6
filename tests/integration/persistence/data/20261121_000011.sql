INSERT INTO files (owner_id, bucket, path, key, size, content_type, sha256, is_public)
VALUES ('00000000-0000-4000-8000-000000000001', 'avatars',
        '00000000-0000-4000-8000-000000000001/avatar.png', 'avatars/a/1', 8, 'image/png',
        decode(repeat('00', 32), 'hex'), true);
INSERT INTO file_uploads (owner_id, bucket, path, size, content_type, expires_at, claimed_at)
VALUES ('00000000-0000-4000-8000-000000000001', 'avatars',
        '00000000-0000-4000-8000-000000000001/avatar.png', 8, 'image/png', now(), now());
INSERT INTO file_trash (key) VALUES ('avatars/a/0');
