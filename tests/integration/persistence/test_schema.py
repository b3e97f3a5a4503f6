"""The schema as a contract: columns, indexes, and who may do what."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.fixtures.postgres import TEMPLATE, Databases

# What the specifications of the data name, table by table: column, type, may be null.
SPECIFIED: dict[str, set[tuple[str, str, bool]]] = {
    "profiles": {
        ("id", "uuid", False),
        ("username", "text", True),
        ("created_at", "timestamptz", False),
        ("xp_total", "int8", False),
        ("display_name", "text", True),
        ("avatar_url", "text", True),
        ("bio", "text", True),
        ("arcanean_id", "text", False),
        ("tier", "text", False),
        ("subscription_status", "text", True),
        ("stripe_customer_id", "text", True),
        ("stripe_subscription_id", "text", True),
        ("preferences", "jsonb", False),
        ("onboarding_completed", "bool", False),
        ("onboarding_step", "int4", False),
        ("creation_count", "int4", False),
        ("follower_count", "int4", False),
        ("following_count", "int4", False),
        ("is_active", "bool", False),
        ("is_verified", "bool", False),
        ("updated_at", "timestamptz", False),
        ("last_active_at", "timestamptz", True),
    },
    "lobbies": {
        ("id", "uuid", False),
        ("host_user_id", "uuid", True),
        ("host_peer_id", "text", True),
        ("status", "lobby_status", False),
        ("config", "jsonb", False),
        ("players", "jsonb", False),
        ("last_heartbeat", "timestamptz", False),
    },
    "matches": {
        ("id", "uuid", False),
        ("started_at", "timestamptz", True),
        ("ended_at", "timestamptz", True),
        ("winner_id", "uuid", True),
        ("replay_url", "text", True),
    },
    "blueprints": {
        ("id", "uuid", False),
        ("owner_id", "uuid", False),
        ("name", "text", False),
        ("version", "int4", False),
        ("data", "jsonb", False),
        ("assets", "jsonb", False),
        ("created_at", "timestamptz", False),
        ("is_public", "bool", False),
    },
    "players": {
        ("id", "uuid", False),
        ("user_id", "text", True),
        ("display_name", "text", False),
        ("avatar_seed", "text", False),
        ("color", "text", False),
        ("is_bot", "bool", False),
        ("account_id", "uuid", True),
        ("platform_links", "jsonb", False),
        ("last_seen", "timestamptz", True),
        ("created_at", "timestamptz", False),
        ("updated_at", "timestamptz", False),
    },
    "games": {
        ("id", "uuid", False),
        ("session_seed", "text", False),
        ("config", "jsonb", False),
        ("status", "text", False),
        ("started_at", "timestamptz", True),
        ("completed_at", "timestamptz", True),
        ("created_at", "timestamptz", False),
    },
    "game_events": {
        # ("id", "uuid", ...): computed when it is read, and nullable then, from PostgreSQL 18 on
        ("game_id", "uuid", False),
        ("event_index", "int4", False),
        ("type", "text", False),
        ("payload", "jsonb", False),
        ("created_at", "timestamptz", False),
    },
    "game_summaries": {
        ("id", "uuid", False),
        ("game_id", "uuid", False),
        ("players", "jsonb", False),
        ("rounds", "jsonb", False),
        ("final_scores", "jsonb", False),
        ("highest_bid", "int4", True),
        ("highest_score", "int4", True),
        ("lowest_score", "int4", True),
        ("most_consecutive_wins", "int4", True),
        ("most_consecutive_losses", "int4", True),
        ("highest_misplay", "int4", True),
        ("created_at", "timestamptz", False),
    },
    "player_lifetime_stats": {
        ("id", "uuid", False),
        ("player_id", "uuid", False),
        ("games_played", "int4", False),
        ("games_won", "int4", False),
        ("highest_score", "int4", True),
        ("lowest_score", "int4", True),
        ("total_points", "int8", False),
        ("total_tricks_won", "int8", False),
        ("most_consecutive_wins", "int4", False),
        ("most_consecutive_losses", "int4", False),
        ("last_game_at", "timestamptz", True),
    },
    "save_slots": {
        ("slot_id", "uuid", False),
        ("account_id", "uuid", False),
        ("narrative_state", "jsonb", False),
        ("progression_version", "int8", False),
    },
    "inventory_items": {
        ("entry_id", "uuid", False),
        ("slot_id", "uuid", False),
        ("item_id", "text", False),
        ("quantity", "int8", False),
        ("metadata", "jsonb", False),
    },
    "quests": {
        ("quest_id", "uuid", False),
        ("title", "text", False),
        ("description", "text", False),
        ("required_flags", "text", False),
        ("reward_bundle", "jsonb", False),
    },
    "quest_progress": {
        ("entry_id", "uuid", False),
        ("slot_id", "uuid", False),
        ("quest_id", "uuid", False),
        ("status", "quest_status", False),
        ("last_updated", "timestamptz", False),
    },
    "telemetry_events": {
        ("event_id", "uuid", False),
        ("account_id", "uuid", False),
        ("event_type", "text", False),
        ("payload", "jsonb", False),
        ("timestamp", "timestamptz", False),
    },
    "room_directory": {
        ("id", "uuid", False),
        ("game_id", "uuid", False),
        ("join_code", "text", False),
        ("is_public", "bool", False),
        ("max_players", "int4", False),
        ("current_players", "int4", False),
        ("created_at", "timestamptz", False),
    },
    "content_packages": {
        ("package_id", "uuid", False),
        ("version", "text", False),
        ("release_notes", "text", False),
        ("checksum", "text", False),
        ("required_client_version", "text", False),
    },
    "luminors": {
        ("id", "uuid", False),
        ("name", "text", False),
        ("slug", "text", False),
        ("title", "text", False),
        ("specialty", "text", False),
        ("color", "text", False),
        ("avatar_url", "text", True),
        ("icon", "text", True),
        ("personality", "jsonb", False),
        ("system_prompt", "text", False),
        ("greeting_message", "text", False),
        ("expertise", "_text", False),
        ("ai_tools", "_text", False),
        ("is_active", "bool", False),
        ("is_public", "bool", False),
        ("interaction_count", "int8", False),
        ("user_count", "int4", False),
        ("average_rating", "numeric", True),
        ("created_at", "timestamptz", False),
        ("updated_at", "timestamptz", False),
    },
    "luminor_conversations": {
        ("id", "uuid", False),
        ("user_id", "uuid", False),
        ("luminor_id", "uuid", False),
        ("title", "text", True),
        ("session_id", "text", True),
        ("context", "jsonb", False),
        ("is_active", "bool", False),
        ("is_archived", "bool", False),
        ("message_count", "int4", False),
        ("created_at", "timestamptz", False),
        ("updated_at", "timestamptz", False),
        ("last_message_at", "timestamptz", True),
    },
    "luminor_messages": {
        ("id", "uuid", False),
        ("conversation_id", "uuid", False),
        ("user_id", "uuid", False),
        ("role", "text", False),
        ("content", "text", False),
        ("model", "text", True),
        ("tokens", "int4", True),
        ("cost", "numeric", True),
        ("user_rating", "int4", True),
        ("was_helpful", "bool", True),
        ("created_at", "timestamptz", False),
    },
    "luminor_relationships": {
        ("id", "uuid", False),
        ("user_id", "uuid", False),
        ("luminor_id", "uuid", False),
        ("bond_level", "int4", False),
        ("bond_xp", "int4", False),
        ("total_interactions", "int4", False),
        ("personality_match", "jsonb", False),
        ("user_preferences", "jsonb", False),
        ("key_memories", "jsonb", False),
        ("created_at", "timestamptz", False),
        ("updated_at", "timestamptz", False),
        ("last_interaction_at", "timestamptz", True),
    },
    "creations": {
        ("id", "uuid", False),
        ("user_id", "uuid", False),
        ("title", "text", False),
        ("description", "text", True),
        ("type", "text", False),
        ("file_url", "text", True),
        ("thumbnail_url", "text", True),
        ("file_size", "int4", True),
        ("file_format", "text", True),
        ("ai_tool", "text", True),
        ("prompt", "text", True),
        ("model", "text", True),
        ("generation_params", "jsonb", False),
        ("seed", "int8", True),
        ("metadata", "jsonb", False),
        ("status", "text", False),
        ("is_public", "bool", False),
        ("is_featured", "bool", False),
        ("is_nsfw", "bool", False),
        ("license", "text", False),
        ("allow_remix", "bool", False),
        ("allow_commercial", "bool", False),
        ("tags", "_text", False),
        ("categories", "_text", False),
        ("view_count", "int8", False),
        ("like_count", "int4", False),
        ("comment_count", "int4", False),
        ("remix_count", "int4", False),
        ("created_at", "timestamptz", False),
        ("updated_at", "timestamptz", False),
        ("published_at", "timestamptz", True),
    },
    "likes": {
        ("id", "uuid", False),
        ("user_id", "uuid", False),
        ("creation_id", "uuid", False),
        ("created_at", "timestamptz", False),
    },
    "comments": {
        ("id", "uuid", False),
        ("user_id", "uuid", True),
        ("creation_id", "uuid", False),
        ("content", "text", False),
        ("parent_comment_id", "uuid", True),
        ("is_edited", "bool", False),
        ("is_flagged", "bool", False),
        ("like_count", "int4", False),
        ("created_at", "timestamptz", False),
        ("updated_at", "timestamptz", False),
    },
    "follows": {
        ("id", "uuid", False),
        ("follower_id", "uuid", False),
        ("following_id", "uuid", False),
        ("notify_creations", "bool", False),
        ("created_at", "timestamptz", False),
    },
    "notifications": {
        ("id", "uuid", False),
        ("user_id", "uuid", False),
        ("type", "text", False),
        ("title", "text", False),
        ("message", "text", False),
        ("action_url", "text", True),
        ("metadata", "jsonb", False),
        ("is_read", "bool", False),
        ("is_archived", "bool", False),
        ("created_at", "timestamptz", False),
        ("read_at", "timestamptz", True),
    },
}
SPECIFIED_INDEXES = {
    "players_user_id_idx",
    "games_status_idx",
    "games_created_at_idx",
    "pls_last_game_idx",
    "idx_comments_created_at",
    "idx_comments_creation_id",
    "idx_comments_parent_id",
    "idx_comments_user_id",
    "idx_conversations_active",
    "idx_conversations_luminor_id",
    "idx_conversations_session",
    "idx_conversations_user_id",
    "idx_creations_created_at",
    "idx_creations_featured",
    "idx_creations_status_public",
    "idx_creations_tags",
    "idx_creations_type",
    "idx_creations_user_id",
    "idx_follows_follower_id",
    "idx_follows_following_id",
    "idx_likes_created_at",
    "idx_likes_creation_id",
    "idx_likes_user_id",
    "idx_luminors_active",
    "idx_luminors_slug",
    "idx_messages_conversation_id",
    "idx_messages_created_at",
    "idx_notifications_created_at",
    "idx_notifications_unread",
    "idx_notifications_user_id",
    "idx_profiles_arcanean_id",
    "idx_profiles_created_at",
    "idx_profiles_tier",
    "idx_profiles_username",
    "idx_relationships_bond_level",
    "idx_relationships_user_luminor",
}

# Table: what the server's role may do with it.
RIGHTS = {
    "alembic_version": "SELECT",
    "profiles": "SELECT INSERT UPDATE",
    "players": "SELECT INSERT UPDATE",
    "lobbies": "SELECT INSERT UPDATE DELETE",
    "lobby_members": "SELECT INSERT UPDATE DELETE",
    "lobby_bans": "SELECT INSERT UPDATE DELETE",
    "nodes": "SELECT INSERT UPDATE DELETE",
    "games": "SELECT INSERT UPDATE",
    "game_events": "SELECT INSERT",
    "game_archives": "SELECT",
    "room_directory": "SELECT INSERT UPDATE DELETE",
    "epoch_mirrors": "SELECT INSERT UPDATE",
    "game_summaries": "SELECT INSERT",
    "player_lifetime_stats": "SELECT INSERT UPDATE",
    "player_ruleset_stats": "SELECT INSERT UPDATE",
    "matches": "SELECT INSERT UPDATE",
    "match_players": "SELECT INSERT UPDATE",
    "blueprints": "SELECT",
    "blueprint_rules": "SELECT INSERT UPDATE",
    "files": "SELECT INSERT UPDATE DELETE",
    "file_uploads": "SELECT INSERT UPDATE DELETE",
    "file_trash": "SELECT INSERT UPDATE DELETE",
    "file_upload_parts": "SELECT INSERT",
    "images": "SELECT INSERT UPDATE DELETE",
    "auth.users": "SELECT INSERT",
    "playhall_auth.sessions": "SELECT INSERT UPDATE DELETE",
    "playhall_auth.refresh_tokens": "SELECT INSERT UPDATE DELETE",
    "playhall_auth.signing_keys": "SELECT INSERT UPDATE",
    "playhall_auth.methods": "SELECT INSERT UPDATE DELETE",
    "playhall_auth.codes": "SELECT INSERT DELETE",
    "playhall_auth.metadata": "SELECT INSERT UPDATE DELETE",
    "account_roles": "SELECT INSERT DELETE",
    "account_merges": "SELECT INSERT UPDATE",
    "playhall_auth.merge_moves": "SELECT INSERT DELETE",
    "account_bans": "SELECT INSERT UPDATE DELETE",
    "audit_log": "SELECT INSERT",
    "event_outbox": "SELECT INSERT UPDATE DELETE",
    "webhook_endpoints": "SELECT INSERT UPDATE DELETE",
    "webhook_deliveries": "SELECT INSERT UPDATE DELETE",
    "telemetry_types": "SELECT INSERT UPDATE",
    "telemetry_schemas": "SELECT INSERT UPDATE",
    "telemetry_events": "SELECT INSERT DELETE",
    "telemetry_dead_letters": "SELECT INSERT UPDATE DELETE",
    "telemetry_targets": "SELECT INSERT UPDATE",
    "telemetry_forwards": "SELECT INSERT DELETE",
    "consents": "SELECT INSERT",
    "game_totals": "SELECT",
    "content_packages": "SELECT UPDATE",
    "content_deltas": "SELECT INSERT UPDATE",
    "content_metadata": "SELECT INSERT DELETE",
    "content_state": "SELECT INSERT UPDATE",
    "playhall_auth.content_keys": "SELECT INSERT UPDATE",
    **{f"game_events_{part}": "" for part in range(8)},
    **{f"save_revisions_{part}": "" for part in range(8)},
    "bot_identities": "SELECT INSERT UPDATE",
    "bot_identity_owners": "SELECT INSERT UPDATE DELETE",
    "bot_avatars": "SELECT INSERT UPDATE",
    "bot_avatar_loadouts": "SELECT INSERT",
    "bot_tokens": "SELECT INSERT UPDATE",
    "bot_stats_snapshots": "SELECT INSERT",
    "wallets": "SELECT INSERT DELETE",
    "wallet_nonces": "SELECT INSERT UPDATE DELETE",
    "epoch_profiles": "SELECT INSERT UPDATE",
    "epochs": "SELECT INSERT UPDATE",
    "epoch_slot_states": "SELECT INSERT UPDATE",
    "epoch_events": "SELECT INSERT",
    "epoch_votes": "SELECT INSERT UPDATE",
    "epoch_contributions": "SELECT INSERT UPDATE DELETE",
    "epoch_payouts": "SELECT INSERT UPDATE DELETE",
    "epoch_settlements": "SELECT INSERT",
    "epoch_editions": "SELECT INSERT UPDATE",
    "epoch_leader": "SELECT INSERT UPDATE",
    "epoch_clock": "SELECT INSERT UPDATE DELETE",
    "save_schemas": "SELECT INSERT",
    "save_slots": "SELECT INSERT UPDATE DELETE",
    "save_revisions": "SELECT INSERT DELETE",  # and UPDATE of `state`, to prune it
    "save_conflicts": "SELECT INSERT UPDATE",
    "progress_streams": "SELECT INSERT UPDATE",
    "progress_changes": "SELECT INSERT DELETE",
    "seasons": "SELECT INSERT UPDATE",
    "timed_events": "SELECT INSERT UPDATE",
    "quests": "SELECT INSERT UPDATE",
    "quest_progress": "SELECT INSERT",  # and UPDATE of what changes as it goes on
    "quest_events_seen": "SELECT INSERT",
    "quest_availability": "SELECT INSERT UPDATE",
    "quest_checks": "SELECT INSERT UPDATE",
    "reward_claims": "SELECT INSERT",
    "reward_assets": "SELECT INSERT DELETE",
    "game_rewards": "SELECT INSERT UPDATE",
    "ruleset_seasons": "SELECT INSERT",
    "board_games": "SELECT INSERT",
    "board_entries": "SELECT INSERT UPDATE DELETE",
    "board_hidden_players": "SELECT INSERT DELETE",
    "match_queues": "SELECT INSERT UPDATE",
    "series": "SELECT INSERT UPDATE DELETE",
    "found_matches": "SELECT INSERT UPDATE DELETE",
    "match_tickets": "SELECT INSERT UPDATE DELETE",
    "player_connections": "SELECT INSERT UPDATE DELETE",
    "match_ticket_players": "SELECT INSERT UPDATE DELETE",
    "player_ratings": "SELECT INSERT UPDATE",
    "rated_games": "SELECT INSERT",
    "rating_changes": "SELECT INSERT UPDATE",
    "slot_games": "SELECT INSERT UPDATE DELETE",
    "stored_objects": "SELECT INSERT UPDATE DELETE",
    "tournaments": "SELECT INSERT UPDATE",
    "tournament_entrants": "SELECT INSERT UPDATE DELETE",
    "tournament_pairings": "SELECT INSERT UPDATE",
    "player_achievements": "SELECT INSERT UPDATE DELETE",
    "achievement_games": "SELECT INSERT DELETE",
    "save_logs": "SELECT INSERT",  # and UPDATE of how far they are
    "save_log_events": "SELECT INSERT",
    "save_log_mutations": "SELECT INSERT",
    "item_definitions": "SELECT INSERT UPDATE DELETE",
    "currencies": "SELECT INSERT UPDATE DELETE",
    "recipes": "SELECT INSERT UPDATE DELETE",
    "inventory_items": "SELECT",
    "currency_balances": "SELECT",
    "ledger_transactions": "SELECT INSERT",
    "ledger_entries": "SELECT INSERT",
    "unlocks": "SELECT INSERT DELETE",
    "economy_flags": "SELECT INSERT UPDATE",
    "chain_cursors": "SELECT INSERT UPDATE",
    "chain_blocks": "SELECT INSERT UPDATE DELETE",
    "chain_transfers": "SELECT INSERT UPDATE DELETE",
    "luminors": "SELECT INSERT UPDATE DELETE",
    "blocks": "SELECT INSERT UPDATE DELETE",
    "mutes": "SELECT INSERT UPDATE DELETE",
    "creation_collaborators": "SELECT INSERT UPDATE DELETE",
    "creations": "SELECT INSERT UPDATE DELETE",
    "likes": "SELECT INSERT UPDATE DELETE",
    "comments": "SELECT INSERT UPDATE DELETE",
    "comment_likes": "SELECT INSERT UPDATE DELETE",
    "follows": "SELECT INSERT UPDATE DELETE",
    "notifications": "SELECT INSERT UPDATE DELETE",
    "notification_keys": "SELECT",
    "maintenance_jobs": "SELECT INSERT UPDATE",
    "view_salts": "SELECT DELETE",
    "announcements": "SELECT INSERT",
    "notification_fanouts": "SELECT INSERT UPDATE DELETE",
    "notification_digests": "SELECT INSERT UPDATE DELETE",
    "creation_views": "SELECT INSERT UPDATE DELETE",
    "luminor_conversations": "SELECT INSERT UPDATE DELETE",
    "luminor_messages": "SELECT INSERT UPDATE DELETE",
    "luminor_relationships": "SELECT INSERT UPDATE DELETE",
    "luminor_memories": "SELECT INSERT UPDATE DELETE",
    "luminor_usage": "SELECT INSERT UPDATE",
    "reports": "SELECT INSERT UPDATE DELETE",
    "stripe_events": "SELECT INSERT UPDATE DELETE",
    "stripe_deletions": "SELECT INSERT UPDATE DELETE",
    "published_creations": "SELECT",
    "creation_days": "SELECT INSERT UPDATE DELETE",
    "bond_rules": "SELECT INSERT UPDATE",
}


@pytest.fixture(scope="module")
async def owner(databases: Databases) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection to a migrated database that these tests only read."""
    dsn = databases.create(template=TEMPLATE)
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()
    databases.drop(dsn)


# ------------------------------------------------------------------ what is there


@pytest.mark.parametrize("table", SPECIFIED)
async def test_every_specified_column_is_there(owner: asyncpg.Connection, table: str) -> None:
    columns = await owner.fetch(
        """
        SELECT column_name::text, udt_name::text, is_nullable = 'YES'
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1
        """,
        table,
    )
    assert SPECIFIED[table] <= {tuple(column) for column in columns}


async def test_the_specified_id_of_an_event_is_there(owner: asyncpg.Connection) -> None:
    is_newest = owner.get_server_version().major >= 18
    found = await owner.fetchrow(
        """
        SELECT format_type(atttypid, atttypmod), attgenerated::text, attnotnull
        FROM pg_attribute WHERE attrelid = 'game_events'::regclass AND attname = 'id'
        """
    )
    assert tuple(found) == (("uuid", "v", False) if is_newest else ("uuid", "s", True))


async def test_every_specified_index_is_there(owner: asyncpg.Connection) -> None:
    indexes = await owner.fetch("SELECT relname::text FROM pg_class WHERE relkind IN ('i', 'I')")
    assert {name for (name,) in indexes} >= SPECIFIED_INDEXES


async def test_lobby_status_has_the_specified_values(owner: asyncpg.Connection) -> None:
    values = await owner.fetchval("SELECT enum_range(NULL::lobby_status)::text[]")
    assert values == ["OPEN", "PLAYING", "CLOSED"]


async def test_every_foreign_key_leads_an_index(owner: asyncpg.Connection) -> None:
    without = await owner.fetch(
        """
        SELECT conrelid::regclass::text, conname::text FROM pg_constraint
        WHERE contype = 'f' AND NOT EXISTS (
            SELECT FROM pg_index WHERE indrelid = conrelid AND indkey[0] = conkey[1]
        )
        """
    )
    assert without == []


async def test_every_table_of_ours_says_what_it_is_for(owner: asyncpg.Connection) -> None:
    silent = await owner.fetch(
        """
        SELECT oid::regclass::text FROM pg_class
        WHERE relnamespace::regnamespace::text IN ('public', 'playhall_auth', 'auth')
            AND relkind IN ('r', 'p')
            AND relname <> 'alembic_version'
            AND obj_description(oid, 'pg_class') IS NULL
        """
    )
    assert silent == []


# ------------------------------------------------------------------ lists


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (
            "SELECT FROM player_lifetime_stats ORDER BY games_won DESC, player_id",
            "pls_games_won_idx",
        ),
        (
            "SELECT FROM player_lifetime_stats WHERE highest_score IS NOT NULL"
            " ORDER BY highest_score DESC, player_id",
            "pls_highest_score_idx",
        ),
        (
            "SELECT FROM player_lifetime_stats ORDER BY total_tricks_won DESC, player_id",
            "pls_total_tricks_won_idx",
        ),
        (
            "SELECT FROM player_lifetime_stats WHERE games_played > 0"
            " ORDER BY games_won::float8 / games_played DESC, player_id",
            "pls_win_rate_idx",
        ),
        (
            "SELECT FROM lobbies WHERE status = 'OPEN' AND is_public ORDER BY created_at DESC, id",
            "lobbies_open_public_idx",
        ),
        (
            "SELECT FROM lobbies WHERE status = 'OPEN' AND fill_at < now() ORDER BY fill_at",
            "lobbies_fill_at_idx",
        ),
        (
            "SELECT FROM lobbies WHERE status = 'OPEN' ORDER BY last_heartbeat",
            "lobbies_last_heartbeat_idx",
        ),
        ("SELECT FROM games WHERE owner_node = 'n' AND status = 'in_progress'", "games_owned_idx"),
        (
            "SELECT FROM match_players WHERE player_id = '00000000-0000-4000-8000-000000000001'"
            " ORDER BY ended_at DESC, match_id",
            "match_players_history_idx",
        ),
    ],
)
async def test_lists_are_read_from_their_indexes(
    owner: asyncpg.Connection, query: str, index: str
) -> None:
    await owner.execute(
        "SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off"
    )
    plan = "\n".join(line for (line,) in await owner.fetch(f"EXPLAIN {query} LIMIT 20"))
    assert index in plan
    assert "Sort" not in plan


# ------------------------------------------------------------------ rights


async def test_the_servers_role_may_do_exactly_what_it_needs(owner: asyncpg.Connection) -> None:
    rights = await owner.fetch(
        """
        SELECT CASE nspname WHEN 'public' THEN '' ELSE nspname || '.' END || relname,
            concat_ws(' ', VARIADIC ARRAY(
                SELECT verb FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'])
                    WITH ORDINALITY AS verbs (verb, place)
                WHERE has_table_privilege('playhall_server', pg_class.oid, verb) ORDER BY place
            ))
        FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname IN ('public', 'auth', 'playhall_auth') AND relkind IN ('r', 'p')
        """
    )
    assert dict(map(tuple, rights)) == RIGHTS
