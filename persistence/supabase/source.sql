-- name: users
-- Read the accounts of a project, the oldest first.
SELECT to_jsonb(u) FROM auth.users u ORDER BY u.created_at, u.id;

-- name: identities
-- Read what the accounts of a project sign in with, besides an email address.
SELECT to_jsonb(i) FROM auth.identities i WHERE i.provider <> 'email' ORDER BY i.user_id, i.provider;

-- name: profiles
-- Read the profiles of a project.
SELECT to_jsonb(p) FROM public.profiles p ORDER BY p.created_at, p.id;

-- name: luminors
-- Read the companions of a project.
SELECT to_jsonb(l) FROM public.luminors l ORDER BY l.created_at, l.id;

-- name: creations
-- Read the creations of a project.
SELECT to_jsonb(c) FROM public.creations c ORDER BY c.created_at, c.id;

-- name: likes
-- Read the likes of a project.
SELECT to_jsonb(l) FROM public.likes l ORDER BY l.created_at, l.id;

-- name: comments
-- Read the comments of a project; what is answered comes before its answers.
SELECT to_jsonb(c) FROM public.comments c ORDER BY c.created_at, c.id;

-- name: follows
-- Read who follows whom in a project.
SELECT to_jsonb(f) FROM public.follows f ORDER BY f.created_at, f.id;

-- name: notifications
-- Read the notifications of a project.
SELECT to_jsonb(n) FROM public.notifications n ORDER BY n.created_at, n.id;

-- name: luminor_relationships
-- Read the bonds of a project.
SELECT to_jsonb(r) FROM public.luminor_relationships r ORDER BY r.created_at, r.id;

-- name: luminor_conversations
-- Read the conversations of a project.
SELECT to_jsonb(c) FROM public.luminor_conversations c ORDER BY c.created_at, c.id;

-- name: luminor_messages
-- Read the messages of a project.
SELECT to_jsonb(m) FROM public.luminor_messages m ORDER BY m.created_at, m.id;

-- name: objects
-- Read the list of a project's files.
SELECT to_jsonb(o) FROM storage.objects o ORDER BY o.bucket_id, o.name;

-- name: has_table
-- Say whether a project has a table.
SELECT to_regclass($1) IS NOT NULL;
