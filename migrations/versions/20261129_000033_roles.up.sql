-- Two more roles: support reads what people have, editors make content.
ALTER TABLE account_roles DROP CONSTRAINT account_roles_role_check;
ALTER TABLE account_roles ADD CONSTRAINT account_roles_role_check
    CHECK (role IN ('moderator', 'admin', 'support', 'editor'));

-- Policies ask the table and not the claims, so that a role that was taken away is gone at once.
CREATE FUNCTION has_role(VARIADIC roles text[]) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = ''
RETURN EXISTS (
    SELECT FROM public.account_roles r WHERE r.user_id = (SELECT auth.uid()) AND r.role = ANY (roles));
COMMENT ON FUNCTION has_role(VARIADIC text[]) IS 'whether the account that a request speaks for was made one of these';
REVOKE ALL ON FUNCTION has_role(VARIADIC text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION has_role(VARIADIC text[]) TO anon, authenticated, service_role;
