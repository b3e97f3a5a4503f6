-- Announcements, digests and what was left to notify go; notifications stay.

DROP TRIGGER creations_publication_changed ON creations;
DROP TRIGGER creations_publication_added ON creations;
DROP FUNCTION creation_published();
DELETE FROM event_outbox WHERE name = 'creation.published';
DROP TABLE notification_digests, notification_fanouts, announcements;
DROP INDEX follows_notified_idx, notifications_group_idx, notifications_unnumbered_idx, notifications_seq_idx;

UPDATE notifications SET seq = nextval('notification_numbers') WHERE seq IS NULL;
ALTER TABLE notifications ALTER COLUMN seq DROP DEFAULT, ALTER COLUMN seq SET NOT NULL,
    ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY;
SELECT setval(pg_get_serial_sequence('notifications', 'seq'), (SELECT coalesce(max(seq), 0) + 1 FROM notifications), false);
DROP SEQUENCE notification_numbers;
CREATE INDEX notifications_seq_idx ON notifications (user_id, seq);
COMMENT ON COLUMN notifications.seq IS 'in which order they were added; a client resumes after it';
