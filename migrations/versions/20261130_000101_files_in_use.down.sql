DROP TRIGGER files_avatar_deleted ON files;
DROP FUNCTION avatar_deleted();
DROP POLICY not_in_use ON files;
DROP FUNCTION is_shown_by_a_creation(uuid, text);
