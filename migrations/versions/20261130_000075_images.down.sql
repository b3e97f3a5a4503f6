DROP TRIGGER creations_await_image ON creations;
DROP FUNCTION creation_awaits_image();
UPDATE creations SET status = 'draft' WHERE publish_when_ready;
ALTER TABLE creations
    DROP COLUMN width, DROP COLUMN height, DROP COLUMN file_state, DROP COLUMN file_error,
    DROP COLUMN publish_when_ready;
DROP POLICY thumbnail_readable ON files;
DROP INDEX creations_thumbnail_url_idx;
UPDATE files SET is_public = true WHERE bucket = 'thumbnails';
DROP POLICY not_withheld ON files;
REVOKE INSERT ON file_trash FROM playhall_server;
DROP TABLE images;
-- A thumbnail that was made here stays, as if its owner had uploaded it.
DROP INDEX files_made_from_idx;
ALTER TABLE files DROP COLUMN made_from, DROP COLUMN is_withheld;
