-- name: single_read
-- One row by its key, as the server has it done: a function that becomes a role with claims.
SELECT body, page, total, inserted FROM playhall_rest.run('authenticated', '{claims}', true,
    'SELECT json_agg(r)::text, count(*), NULL::bigint, NULL::bigint FROM (SELECT t.id, t.username, t.display_name FROM public.profiles t WHERE t.id = ($1)[1]::uuid LIMIT 1000) r',
    ARRAY['{user}'], NULL, NULL, false);

-- name: insert
-- One row, with the role's rights and policies.
SELECT body, page, total, inserted FROM playhall_rest.run('authenticated', '{claims}', false,
    'WITH src AS (INSERT INTO public.luminor_conversations (user_id, luminor_id, title, session_id) VALUES (($1)[1]::uuid, ($1)[2]::uuid, ($1)[3], gen_random_uuid()::text) RETURNING 1) SELECT NULL::text, count(*), NULL::bigint, NULL::bigint FROM src',
    ARRAY['{user}', '{luminor}', 'bench'], NULL, NULL, false);

-- name: count_conversations
-- How many rows were inserted.
SELECT count(*) FROM luminor_conversations;
