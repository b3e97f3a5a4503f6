ALTER POLICY host_closes ON lobbies
    WITH CHECK (host_user_id = (SELECT auth.uid()) AND status IN ('OPEN', 'CLOSED'));
ALTER TABLE players
    DROP CONSTRAINT players_look_is_short,
    DROP CONSTRAINT players_display_name_is_a_name;
ALTER TABLE profiles DROP CONSTRAINT profiles_display_name_is_a_name;
