INSERT INTO content_packages
    (package_id, name, version, checksum, size, status, key, uploaded_at, released_at)
SELECT id::uuid, 'story', version, 'sha256:' || repeat('ab', 32), 3, status, 'content/story/' || version,
    now(), CASE WHEN status <> 'draft' THEN now() END
FROM (VALUES ('00000000-0000-4000-8000-000000002901', '1.0.0', 'released'),
             ('00000000-0000-4000-8000-000000002902', '1.1.0', 'draft')) AS made (id, version, status);
INSERT INTO content_deltas (package_id, parent_id, state, key, size, checksum)
VALUES ('00000000-0000-4000-8000-000000002902', '00000000-0000-4000-8000-000000002901', 'made',
        'content/story/delta', 1, 'sha256:' || repeat('cd', 32));
INSERT INTO content_metadata (role, version, body, expires_at) VALUES ('root', 1, '{}', now());
INSERT INTO playhall_auth.content_keys (key_id, role, sealed) VALUES ('k', 'root', '\x01');
