REVOKE EXECUTE ON FUNCTION list_creation(uuid) FROM playhall_server;
DROP TRIGGER creations_remix_kept ON creations;
DROP FUNCTION remix_kept();
DROP POLICY creation_readable ON files;
DROP INDEX creations_file_url_idx;
