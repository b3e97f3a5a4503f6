BEGIN;
SELECT set_config('role', 'playhall_server', true),
       set_config('request.jwt.claims', json_build_object('sub', {account}, 'role', 'authenticated')::text, true);
SELECT progression_version + 1 AS next FROM ({lock}) AS held \gset
{advance};
COMMIT;
