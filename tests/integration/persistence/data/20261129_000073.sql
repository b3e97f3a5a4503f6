INSERT INTO notifications (user_id, type, title, seq)
VALUES ('00000000-0000-4000-8000-000000000700', 'mention', 'Somebody mentioned you', nextval('notification_numbers'));
INSERT INTO announcements (id, title, created_by)
VALUES ('00000000-0000-4000-8000-000000000730', 'New rooms', '00000000-0000-4000-8000-000000000001');
INSERT INTO notification_fanouts (announcement_id) VALUES ('00000000-0000-4000-8000-000000000730');
INSERT INTO notification_digests (user_id) VALUES ('00000000-0000-4000-8000-000000000001');
