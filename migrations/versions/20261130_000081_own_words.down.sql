ALTER POLICY own_changeable ON comments USING (user_id = (SELECT auth.uid()) AND removed_at IS NULL);
DROP POLICY own_readable ON comment_likes;
DROP POLICY own_readable ON comments;
