DROP POLICY visible_people ON stored_objects;
DROP POLICY visible_people ON creation_collaborators;
