CREATE SCHEMA playhall_rest;
COMMENT ON SCHEMA playhall_rest IS 'what carries out requests of the Supabase clients; itself never exposed';

-- A request is one statement for the driver, and so one round trip and one transaction: role and claims
-- are set for that transaction before the statement is planned, so row security is that of the role.
-- It does nothing that its caller could not do in three statements: the role is one that the session
-- may take, and nothing is done with the rights of an owner.
--
-- A change that reached more or fewer rows than the client allows has to be undone, so that is found
-- out in here: PH116 and PH124 stand for PostgREST's PGRST116 and PGRST124.
CREATE FUNCTION playhall_rest.run(
    as_role text, claims text, is_read boolean, statement text, arguments text[],
    exactly bigint, at_most bigint, is_rehearsal boolean,
    OUT body text, OUT page bigint, OUT total bigint, OUT inserted bigint
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM set_config('role', as_role, true), set_config('request.jwt.claims', claims, true);
    IF is_read THEN
        PERFORM set_config('transaction_read_only', 'on', true);
    END IF;
    IF is_rehearsal THEN
        BEGIN
            EXECUTE statement INTO body, page, total, inserted USING arguments;
            RAISE EXCEPTION USING ERRCODE = 'PH000';
        EXCEPTION WHEN SQLSTATE 'PH000' THEN
            NULL;  -- what was changed is undone, and what was read is kept
        END;
    ELSE
        EXECUTE statement INTO body, page, total, inserted USING arguments;
    END IF;
    IF page <> exactly THEN
        RAISE EXCEPTION USING ERRCODE = 'PH116', MESSAGE = page::text;
    END IF;
    IF page > at_most THEN
        RAISE EXCEPTION USING ERRCODE = 'PH124', MESSAGE = page::text;
    END IF;
END
$$;
COMMENT ON FUNCTION playhall_rest.run IS 'carry out a statement as a role with claims, in one transaction';
REVOKE ALL ON FUNCTION playhall_rest.run FROM PUBLIC;
GRANT USAGE ON SCHEMA playhall_rest TO anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION playhall_rest.run TO anon, authenticated, service_role;
