INSERT INTO file_uploads (id, owner_id, bucket, path, size, content_type, expires_at)
VALUES ('00000000-0000-4000-8000-000000000166', '00000000-0000-4000-8000-000000000001', 'user-assets',
        '00000000-0000-4000-8000-000000000001/166/model.glb', 4, 'model/gltf-binary', now())
ON CONFLICT DO NOTHING;
INSERT INTO file_upload_parts (upload_id, start, size, key)
VALUES ('00000000-0000-4000-8000-000000000166', 0, 2, '_parts/166/0');
