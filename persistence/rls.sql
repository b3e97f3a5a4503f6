-- name: speak_for
-- Be a role with claims until this transaction ends.
SELECT set_config('role', $1, true), set_config('request.jwt.claims', $2, true);
