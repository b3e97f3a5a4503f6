INSERT INTO players (id, user_id, display_name, avatar_seed, color)
VALUES
    ('00000000-0000-4000-8000-000000000003', '00000000-0000-4000-8000-000000000001', 'Ada', 'a', 'red'),
    ('00000000-0000-4000-8000-000000000004', NULL, 'Bob', 'b', 'blue');
