DROP INDEX matches_replay_due_at_idx;
ALTER TABLE matches DROP COLUMN replay_due_at;
DROP TABLE files, file_uploads, file_trash;
DROP FUNCTION file_object_thrown_away(), file_upload_given_up();
