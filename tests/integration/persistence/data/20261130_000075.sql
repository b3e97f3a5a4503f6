-- Other paths each time: files outlive the step, and are added again with it.
WITH file AS (
    INSERT INTO files (owner_id, bucket, path, key, size, content_type, sha256, is_public, is_withheld)
    SELECT '00000000-0000-4000-8000-000000000001', 'creations', 'p/image/' || r || '.png', r, 10, 'image/png',
        decode(repeat('00', 32), 'hex'), false, true
    FROM gen_random_uuid() r RETURNING id)
INSERT INTO images (file_id) SELECT id FROM file;
INSERT INTO creations (user_id, title, type, file_url, status)
SELECT owner_id, 'Under way', 'image', '/files/creations/' || path, 'published'
FROM files JOIN images ON file_id = id;
