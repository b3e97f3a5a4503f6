INSERT INTO account_roles (user_id, role) VALUES ('00000000-0000-4000-8000-000000000001', 'editor');
