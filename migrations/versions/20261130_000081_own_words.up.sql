-- A row is deleted only by those who see it, and comments were seen only with their creation. So who was
-- blocked by its owner could not take back what they had said, nor could anybody once it was archived.
CREATE POLICY own_readable ON comments FOR SELECT TO authenticated USING (user_id = (SELECT auth.uid()));
CREATE POLICY own_readable ON comment_likes FOR SELECT TO authenticated USING (user_id = (SELECT auth.uid()));

-- Saying something else there stays impossible: others would read it.
ALTER POLICY own_changeable ON comments
    USING (user_id = (SELECT auth.uid()) AND removed_at IS NULL AND EXISTS (SELECT FROM creations c WHERE c.id = creation_id));
