INSERT INTO luminor_usage (user_id, day, messages, tokens, cost)
VALUES ('00000000-0000-4000-8000-000000000001', '2026-11-29', 1, 100, 0.01);
