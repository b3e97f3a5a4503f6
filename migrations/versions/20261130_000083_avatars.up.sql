-- Who is not active, or blocks somebody, is hidden from them everywhere: their avatar too.
CREATE POLICY avatar_of_a_visible_person ON files AS RESTRICTIVE FOR SELECT TO anon, authenticated
    USING (CURRENT_USER NOT IN ('anon', 'authenticated') OR bucket <> 'avatars' OR owner_id = (SELECT auth.uid()) OR may_see_person(owner_id));
