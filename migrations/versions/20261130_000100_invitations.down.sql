DROP TRIGGER creation_collaborators_notified ON creation_collaborators;
DROP FUNCTION collaboration_notified();
DELETE FROM notifications WHERE type = 'collaboration_invited';
ALTER TABLE notifications DROP CONSTRAINT notifications_type_check, ADD CONSTRAINT notifications_type_check
    CHECK (type IN ('creation_liked', 'creation_commented', 'new_follower', 'comment_reply', 'mention',
        'system_announcement', 'bond_level_up', 'comment_liked', 'creation_remixed', 'creation_published',
        'moderation_decision'));
