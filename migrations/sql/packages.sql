-- name: lock
-- Wait until no other process migrates this database; the connection's end lets go.
SELECT pg_advisory_lock(7310865489172336748);

-- name: is_made
-- Whether there is the table that says which steps were taken.
SELECT to_regclass('playhall_auth.package_steps') IS NOT NULL;

-- name: make
-- Make the table that says which steps were taken, and let servers read it.
CREATE TABLE playhall_auth.package_steps (
    package text NOT NULL,
    step text NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (package, step)
);
ALTER TABLE playhall_auth.package_steps ENABLE ROW LEVEL SECURITY;
ALTER TABLE playhall_auth.package_steps FORCE ROW LEVEL SECURITY;
CREATE POLICY owner ON playhall_auth.package_steps TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY server ON playhall_auth.package_steps FOR SELECT TO playhall_server USING (true);
GRANT SELECT ON playhall_auth.package_steps TO playhall_server;

-- name: taken
-- The steps of a package that were taken, in order.
SELECT step FROM playhall_auth.package_steps WHERE package = %s ORDER BY step;

-- name: installed
-- The packages of which steps were taken.
SELECT DISTINCT package FROM playhall_auth.package_steps ORDER BY package;

-- name: record
-- Put on record that a step was taken.
INSERT INTO playhall_auth.package_steps (package, step) VALUES (%s, %s);

-- name: forget
-- Put on record that a step was taken back.
DELETE FROM playhall_auth.package_steps WHERE package = %s AND step = %s;
