DROP TABLE stored_objects;
DROP FUNCTION stored_object_versions();
