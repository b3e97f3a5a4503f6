"""Who may do what with rows: the whole table, to be read and changed by people.

`S` is SELECT; `U:` names the columns that may be updated; `I` and `D` are INSERT and DELETE.
A table that is not listed is closed. A row is somebody's own if it belongs to their account.
"""

from typing import Final

# What a stranger, signed in or not, may do with public rows.
EVERYBODY: Final = {
    "profiles": "S",
    "players": "S",
    "lobbies": "S",
    "lobby_members": "S",
    "games": "S",
    "game_events": "S",
    "game_summaries": "S",
    "room_directory": "S",
    "matches": "S",
    "match_players": "S",
    "player_lifetime_stats": "S",
    "player_ruleset_stats": "S",
    "blueprints": "S",
    "files": "S",
    "bot_identities": "S",
    "bot_avatars": "S",
    "bot_avatar_loadouts": "S",
    "bot_stats_snapshots": "S",
    "epoch_profiles": "S",
    "epochs": "S",
    "epoch_slot_states": "S",
    "epoch_events": "S",
    "epoch_editions": "S",
    "content_packages": "S",
    "save_schemas": "S",
    "item_definitions": "S",
    "currencies": "S",
    "recipes": "S",
    "seasons": "S",
    "timed_events": "S",
    "luminors": "S",
    "creations": "S",
    "likes": "S",
    "comments": "S",
    "comment_likes": "S",
    "follows": "S",
    "stored_objects": "S",
}

# What somebody may do with rows of their own, beyond that.
OWN: Final = {
    "profiles": "S U:avatar_url,bio,display_name,onboarding_completed,onboarding_step,preferences,"
    "username",
    "players": "S U:avatar_seed,color,display_name",
    "lobbies": "S",  # and a host closes one, which is a test of its own
    "blueprints": "S U:is_public D",
    "files": "S D",
    "images": "S",
    "file_uploads": "S D",
    "content_packages": "S U:release_notes,rollout_percent I D",  # Ada is an editor
    "wallets": "S",
    "save_slots": "S U:name,thumbnail",
    "save_revisions": "S U:is_pinned",
    "save_conflicts": "S",
    "progress_streams": "S",
    "progress_changes": "S",
    "inventory_items": "S",
    "currency_balances": "S",
    "ledger_transactions": "S",
    "ledger_entries": "S",
    "unlocks": "S",
    "quest_progress": "S",
    "reward_claims": "S",
    "slot_games": "S",
    "epoch_votes": "S U:score,voter_session_id",
    "creations": "S U:ai_tool,allow_commercial,allow_remix,categories,description,file_format,"
    "file_size,file_url,generation_params,is_nsfw,is_public,license,metadata,model,prompt,seed,"
    "status,tags,thumbnail_url,title,type D",
    "creation_days": "S",
    "likes": "S D",
    "comments": "S U:content D",
    "comment_likes": "S D",
    "stored_objects": "S U:read_by,value D",
    "follows": "S U:notify_creations D",
    "notifications": "S U:is_archived,is_read D",
    "notification_digests": "S D",
    "blocks": "S D",
    "mutes": "S D",
    "creation_collaborators": "S U:accepted_at,role D",
    "reports": "S",
    "luminor_conversations": "S U:context,is_active,is_archived,session_id,title D",
    "luminor_messages": "S U:user_rating,was_helpful",
    "luminor_relationships": "S U:personality_match,user_preferences",
    "luminor_memories": "S U:content,importance,memory_type D",
    "luminor_usage": "S",
    "consents": "S",  # and a person decides anew, which is a test of its own
}
