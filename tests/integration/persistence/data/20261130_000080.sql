INSERT INTO creation_collaborators (creation_id, user_id, role)
SELECT c.id, p.id, 'editor' FROM creations c, profiles p WHERE c.user_id <> p.id ORDER BY c.id, p.id LIMIT 1
ON CONFLICT DO NOTHING;
