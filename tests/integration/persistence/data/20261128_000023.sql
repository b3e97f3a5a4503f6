UPDATE room_directory SET can_watch = false;
INSERT INTO epoch_mirrors (epoch_id, source, last_seq, last_at)
VALUES ('00000000-0000-4000-8000-000000000023', 'studio', 3, '2100-02-12 10:00Z');
