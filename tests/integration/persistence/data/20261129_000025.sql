INSERT INTO event_outbox (name, version, payload, done_at)
VALUES ('user.created', 1,
        '{"user_id": "00000000-0000-4000-8000-000000000001", "method": "guest"}', now());
