DROP TABLE file_upload_parts;
