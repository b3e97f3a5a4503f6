-- Everything of the social platform goes, with its rows. What profiles had before stays.

-- Takes its trigger along, on a table that may belong to another role.
DROP FUNCTION handle_new_user() CASCADE;
DROP TRIGGER profiles_erasure_locks_counters ON profiles;
DROP TRIGGER players_erasure_locks_counters ON players;
DROP TRIGGER profiles_activity_changed ON profiles;
ALTER POLICY readable ON profiles USING (true);
DROP FUNCTION own_profile();

-- CASCADE takes along the functions whose bodies or results are bound to these tables.
DROP TABLE stripe_events, reports, luminor_memories, luminor_relationships, bond_rules, luminor_messages,
    luminor_conversations, creation_days, creation_views, notifications, follows, comment_likes, comments, likes,
    published_creations, creations, mutes, blocks, luminors CASCADE;
DROP FUNCTION IF EXISTS
    search_creations, list_creations, get_user_feed, get_user_feed_page, list_feed, shows_nsfw,
    creation_cards, mark_all_notifications_read, mark_notification_read, delete_comment, unfollow_user,
    follow_user, set_like, toggle_like, increment_creation_views, archive_creation, publish_creation,
    add_key_memory, check_bond_level_up, add_message_to_conversation, get_or_create_conversation,
    get_user_stats, update_last_active, report_flags_comment, erasure_locks_counters, lock_counters_of,
    relationship_counted, message_deleted, conversation_unrated, message_rated, change_rating, message_added,
    message_allowed, apply_bond_levels, bond_progress_percent, bond_xp_for_next_level, mirror_key_memories,
    conversation_stamped, flush_creation_views, remix_notified, block_ends_ties, follow_notified,
    follow_moved, follow_counted, follow_locks_people, comment_like_notified, comment_like_counted,
    comment_like_allowed, comment_notified, comment_recounted, comment_counted, comment_tombstone_pruned,
    comment_kept_for_replies, comment_edited, comment_allowed, like_notified, like_counted, like_allowed,
    lock_people, lock_creation, require_open_creation, shown_name, notify_person, notification_stamped,
    creation_counted, profile_activity_changed, creation_listed, list_creation, creation_checked,
    refuse_social, similar_titles, escape_like, cjk_pairs, may_see_person, is_blocked_between, has_block,
    require_self, is_user_request, fold_text;
DROP TYPE creation_card;

REVOKE EXECUTE ON FUNCTION is_reserved_name(text) FROM playhall_server;
DROP TRIGGER profiles_username_seldom ON profiles;
CREATE TRIGGER profiles_username_seldom BEFORE UPDATE OF username ON profiles
    FOR EACH ROW WHEN (NEW.username IS DISTINCT FROM OLD.username)
    EXECUTE FUNCTION username_changes_seldom();
DROP TRIGGER profiles_stamped ON profiles;
CREATE TRIGGER profiles_stamped BEFORE UPDATE ON profiles
    FOR EACH ROW EXECUTE FUNCTION stamp_update();
ALTER TABLE profiles RENAME CONSTRAINT idx_profiles_username TO profiles_username_key;
DROP INDEX idx_profiles_created_at;
ALTER TABLE profiles
    DROP COLUMN avatar_url, DROP COLUMN bio, DROP COLUMN arcanean_id, DROP COLUMN tier,
    DROP COLUMN subscription_status, DROP COLUMN stripe_customer_id, DROP COLUMN stripe_subscription_id,
    DROP COLUMN onboarding_completed, DROP COLUMN onboarding_step, DROP COLUMN creation_count,
    DROP COLUMN follower_count, DROP COLUMN following_count, DROP COLUMN is_active, DROP COLUMN is_verified,
    DROP COLUMN last_active_at;
DROP FUNCTION next_arcanean_id();
DROP SEQUENCE arcanean_ids;

DO $$
DECLARE
    ours text;
BEGIN
    FOR ours IN SELECT extname FROM pg_extension
        WHERE obj_description(oid, 'pg_extension') = 'Playhall: search'
    LOOP
        EXECUTE format('DROP EXTENSION %I', ours);
    END LOOP;
    IF obj_description(to_regnamespace('extensions'), 'pg_namespace') LIKE 'Playhall:%' THEN
        DROP SCHEMA extensions;
    END IF;
END
$$;
