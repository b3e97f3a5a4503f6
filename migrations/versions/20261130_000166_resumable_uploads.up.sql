-- What has come of an upload that comes in several requests: each part is an object of its own.
CREATE TABLE file_upload_parts (
    upload_id uuid NOT NULL REFERENCES file_uploads (id) ON DELETE CASCADE,
    start     bigint NOT NULL CHECK (start >= 0),
    size      bigint NOT NULL CHECK (size > 0),
    key       text NOT NULL UNIQUE,
    PRIMARY KEY (upload_id, start)
);
COMMENT ON TABLE file_upload_parts IS 'what has come of an upload that can be resumed';
COMMENT ON COLUMN file_upload_parts.start IS 'its place in the file: the bytes before it are those of the other parts';
COMMENT ON COLUMN file_upload_parts.key IS 'where the object lies in the store; never written twice';
CREATE TRIGGER file_upload_parts_thrown_away AFTER DELETE ON file_upload_parts
    FOR EACH ROW EXECUTE FUNCTION file_object_thrown_away();
SELECT playhall_auth.secure('file_upload_parts');
GRANT SELECT, INSERT ON file_upload_parts TO playhall_server;
