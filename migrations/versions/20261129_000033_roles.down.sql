DROP FUNCTION has_role(VARIADIC text[]);
DELETE FROM account_roles WHERE role IN ('support', 'editor');
ALTER TABLE account_roles DROP CONSTRAINT account_roles_role_check;
ALTER TABLE account_roles ADD CONSTRAINT account_roles_role_check
    CHECK (role IN ('moderator', 'admin'));
