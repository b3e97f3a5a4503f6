-- Objects go when their rows go, so that none is left behind.
DELETE FROM content_deltas;
DELETE FROM content_packages;
DROP TABLE content_deltas, content_packages, content_metadata, content_state, playhall_auth.content_keys;
DROP FUNCTION content_package_moves(), content_changed(), content_edited();
