INSERT INTO stored_objects (account_id, collection, key, value, read_by) VALUES
    ('00000000-0000-4000-8000-000000000001', 'settings', 'controls', '{"jump": "space"}', 'owner'),
    ('00000000-0000-4000-8000-000000000001', 'cards', 'shown', '{}', 'public');
