-- Whoever is not active, or blocks somebody, is hidden from them: also as a collaborator of somebody
-- else's creation, and in what they store for everybody to read.
CREATE POLICY visible_people ON creation_collaborators AS RESTRICTIVE FOR SELECT TO authenticated
    USING (CURRENT_USER NOT IN ('anon', 'authenticated') OR user_id = (SELECT auth.uid()) OR owns_creation(creation_id) OR may_see_person(user_id));
CREATE POLICY visible_people ON stored_objects AS RESTRICTIVE FOR SELECT TO anon, authenticated
    USING (CURRENT_USER NOT IN ('anon', 'authenticated') OR account_id IS NULL OR account_id = (SELECT auth.uid()) OR may_see_person(account_id));
