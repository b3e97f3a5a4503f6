DROP POLICY avatar_of_a_visible_person ON files;
