INSERT INTO webhook_endpoints (endpoint_id, url, events, secret)
VALUES ('00000000-0000-4000-8000-000000000026', 'https://hooks.example/', '{user.created}', 'x');
INSERT INTO webhook_deliveries (endpoint_id, event_id, name, version, payload, occurred_at)
VALUES ('00000000-0000-4000-8000-000000000026', '00000000-0000-4000-8000-000000000027', 'user.created',
        1, '{"user_id": "00000000-0000-4000-8000-000000000001", "method": "guest"}', now());
