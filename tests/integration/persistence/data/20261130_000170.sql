INSERT INTO playhall_realtime.changes (relation, operation, record, is_cut)
VALUES ('public.comments'::regclass, 'INSERT', '{"id": "00000000-0000-4000-8000-000000000001"}', false);
