INSERT INTO blueprints (id, owner_id, name, version, data, is_public)
VALUES ('00000000-0000-4000-8000-000000000010', '00000000-0000-4000-8000-000000000001', 'MORDIG10',
        10, '{"capacity": 100}', true);
INSERT INTO blueprints (owner_id, name, version, data, parent_id)
VALUES ('00000000-0000-4000-8000-000000000001', 'MORDIG11', 11, '{}',
        '00000000-0000-4000-8000-000000000010');
