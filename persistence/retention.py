"""What is stored about people, table by table: why, for how long, and how it goes.

Every table of the schema is here, or in `NOTHING_PERSONAL`: a test compares the list with the
database, with what exports read, and with what foreign keys do when somebody is erased. `playhall
spec` writes it into docs/operations/privacy.md. What has a period is deleted by the job
"retention" (`server.core.retention`).
"""

from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple


class Export(Enum):
    """Where a person's export has the rows."""

    TABLE = "yes"
    """As `tables/….jsonl`."""

    WALLET = "by wallet"
    """As `wallets/….jsonl`, for the addresses that are linked."""

    GAMES = "with games"
    """In `games/….jsonl`, where the person played."""

    NOT = "no"


class Erasure(Enum):
    """What erasing a person does with the rows."""

    DELETED = "deleted"
    UNLINKED = "unlinked"
    """The row stays, and no longer refers to the account."""

    NAMELESS = "nameless"
    """The row stays under the player's id, without the name."""

    STAYS = "stays"


class Period(NamedTuple):
    """For how long rows are kept; `setting` is what operators choose it with."""

    text: str
    setting: str | None = None


class Kept(NamedTuple):
    """A table with personal data; `period` is None where only the erasure ends it."""

    columns: str
    why: str
    export: Export
    erasure: Erasure
    period: Period | None = None


_T, _W, _G, _NO = Export.TABLE, Export.WALLET, Export.GAMES, Export.NOT
_DELETED, _UNLINKED, _STAYS = Erasure.DELETED, Erasure.UNLINKED, Erasure.STAYS

PERSONAL: Final[dict[str, Kept]] = {
    "auth.users": Kept("id email", "the account", _T, _DELETED),
    "playhall_auth.sessions": Kept("user_id method created_at", "being signed in", _T, _DELETED),
    "playhall_auth.refresh_tokens": Kept(
        "session_id issued_at used_at",
        "being signed in; the session goes with its last token",
        _T,
        _DELETED,
        Period("until it expires", "PLAYHALL_REFRESH_TOKEN_S"),
    ),
    "playhall_auth.methods": Kept(
        "user_id lookup sealed password_hash", "signing in", _T, _DELETED
    ),
    "playhall_auth.metadata": Kept(
        "user_id user_data app_data", "what an application keeps of an account", _T, _DELETED
    ),
    "playhall_auth.codes": Kept(
        "user_id sealed lookup",
        "confirming what was mailed",
        _T,
        _DELETED,
        Period("until it expires"),
    ),
    "playhall_auth.merge_moves": Kept(
        "key",
        "undoing a merge",
        _T,
        _DELETED,
        Period("until the merge is final", "PLAYHALL_MERGE_UNDO_S"),
    ),
    "public.account_merges": Kept("user_id merged_user_id", "which accounts are one", _T, _DELETED),
    "public.account_bans": Kept("user_id reason", "keeping a banned account out", _T, _DELETED),
    "public.account_roles": Kept("user_id role", "what staff may do", _T, _DELETED),
    "public.audit_log": Kept(
        "actor target before after", "who did what with whose account", _NO, _STAYS
    ),
    "public.profiles": Kept(
        "id username display_name preferences merged_into avatar_url bio stripe_customer_id",
        "the profile",
        _T,
        _DELETED,
    ),
    "public.players": Kept(
        "account_id user_id display_name platform_links last_seen",
        "who plays; logs and histories refer to its id",
        _T,
        Erasure.NAMELESS,
    ),
    "public.lobbies": Kept(
        "host_user_id host_player_id name players lineup",
        "meeting for a game",
        _T,
        _UNLINKED,
        Period(
            "after it was closed, unless a game or a match came of it",
            "PLAYHALL_CLOSED_LOBBIES_KEPT_S",
        ),
    ),
    "public.lobby_members": Kept("player_id", "who is in a lobby; goes with it", _T, _STAYS),
    "public.lobby_bans": Kept("player_id", "who was removed; goes with the lobby", _T, _STAYS),
    "public.game_events": Kept("payload", "the log of a game, by seats and players", _G, _STAYS),
    "public.game_archives": Kept("object_key", "where the log of an archived game is", _G, _STAYS),
    "public.game_summaries": Kept(
        "players", "results with the names at the time", _G, Erasure.NAMELESS
    ),
    "public.matches": Kept("winner_id reported_by", "the history of matches", _T, _UNLINKED),
    "public.match_players": Kept("player_id", "the history of matches", _T, _STAYS),
    "public.player_lifetime_stats": Kept("player_id", "statistics", _T, _DELETED),
    "public.player_ruleset_stats": Kept("player_id", "statistics", _T, _DELETED),
    "public.board_entries": Kept(
        "player_id",
        "leaderboards",
        _T,
        _DELETED,
        Period("days and weeks: 90 days after they ended", "PLAYHALL_BOARDS_DAYS_KEPT_S"),
    ),
    "public.board_hidden_players": Kept("player_id", "who is on no leaderboard", _T, _DELETED),
    "public.player_connections": Kept("player_id", "where a player is connected", _T, _DELETED),
    "public.match_ticket_players": Kept("player_id", "matchmaking", _T, _DELETED),
    "public.series": Kept(
        "seats agreed wins winner_id",
        "rematches",
        _NO,
        _STAYS,
        Period("7 days after its last change"),
    ),
    "public.player_ratings": Kept("player_id", "ratings", _T, _DELETED),
    "public.rating_changes": Kept("player_id", "how ratings changed", _T, _DELETED),
    "public.blueprints": Kept("owner_id", "what they created", _T, _DELETED),
    "public.files": Kept("owner_id path", "what they uploaded", _T, _DELETED),
    "public.images": Kept("file_id", "what their images show", _T, _DELETED),
    "public.file_uploads": Kept(
        "owner_id path",
        "an upload under way",
        _T,
        _DELETED,
        Period("until it expires", "PLAYHALL_UPLOAD_URL_S"),
    ),
    "public.file_upload_parts": Kept(
        "upload_id key", "what has come of an upload; it goes with the upload", _T, _DELETED
    ),
    "public.wallets": Kept("address user_id", "linked addresses", _T, _DELETED),
    "public.wallet_nonces": Kept(
        "user_id",
        "linking a wallet",
        _T,
        _DELETED,
        Period("ten minutes"),
    ),
    "public.bot_identities": Kept(
        "created_by_user_id player_id", "who registered a bot", _T, _UNLINKED
    ),
    "public.bot_identity_owners": Kept(
        "owner_address", "who owned a bot, as its chain says", _W, _STAYS
    ),
    "public.bot_avatar_loadouts": Kept("selected_by_address", "who chose an avatar", _W, _STAYS),
    "public.bot_tokens": Kept("created_by_address", "who made a bot's token", _W, _STAYS),
    "public.epoch_votes": Kept("voter_address voter_session_id", "votes of a day", _W, _STAYS),
    "public.epoch_payouts": Kept("recipient_address", "payouts of a day", _W, _STAYS),
    "public.epoch_events": Kept(
        "actor_wallet_address", "what happened on a day; public", _NO, _STAYS
    ),
    "public.epoch_settlements": Kept("result", "how a day was counted", _NO, _STAYS),
    "public.chain_transfers": Kept(
        "from_address to_address", "what a public chain says", _NO, _STAYS
    ),
    "public.event_outbox": Kept(
        "payload",
        "events on their way to their listeners",
        _NO,
        _STAYS,
        Period("after every listener has it", "PLAYHALL_EVENTS_KEPT_S"),
    ),
    "playhall_realtime.changes": Kept(
        "record old_record",
        "changes of tables on their way to channels",
        _NO,
        _STAYS,
        Period("at most a minute longer", "PLAYHALL_REALTIME_CHANGES_KEPT_S"),
    ),
    "public.webhook_deliveries": Kept(
        "payload",
        "events on their way to webhooks",
        _NO,
        _STAYS,
        Period("unless it is still tried", "PLAYHALL_WEBHOOK_DELIVERIES_KEPT_S"),
    ),
    "public.save_slots": Kept("account_id name device narrative_state", "saves", _T, _DELETED),
    "public.save_revisions": Kept(
        "account_id device state", "earlier states; bounded in number", _T, _DELETED
    ),
    "public.save_conflicts": Kept("account_id", "branches to decide about", _T, _DELETED),
    "public.save_logs": Kept("account_id player_id", "saves that are logs", _T, _DELETED),
    "public.save_log_events": Kept("payload", "saves that are logs", _T, _DELETED),
    "public.save_log_mutations": Kept("mutation_id", "repeating a request safely", _T, _DELETED),
    "public.progress_streams": Kept("account_id", "telling devices of changes", _T, _DELETED),
    "public.progress_changes": Kept(
        "account_id data", "telling devices of changes; the newest 200", _T, _DELETED
    ),
    "public.inventory_items": Kept("account_id metadata", "what is held", _T, _DELETED),
    "public.currency_balances": Kept("account_id balance", "what is held", _T, _DELETED),
    "public.ledger_transactions": Kept(
        "account_id reason", "accounting for what is held", _T, _DELETED
    ),
    "public.ledger_entries": Kept("account_id metadata", "what moved of it", _T, _DELETED),
    "public.unlocks": Kept("account_id", "what is unlocked", _T, _DELETED),
    "public.economy_flags": Kept("account_id reason note", "reviewing gains", _T, _DELETED),
    "public.quest_progress": Kept("account_id", "how far quests are", _T, _DELETED),
    "public.quest_events_seen": Kept("event_id", "counting each game once", _T, _DELETED),
    "public.quest_availability": Kept("slot_id", "telling of a quest once", _T, _DELETED),
    "public.stored_objects": Kept("account_id value", "what games keep for a player", _T, _DELETED),
    "public.slot_games": Kept("account_id", "games that count for a save", _T, _DELETED),
    "public.tournaments": Kept("created_by", "who organised a tournament", _T, _UNLINKED),
    "public.tournament_entrants": Kept("player_id", "who took part in a tournament", _T, _STAYS),
    "public.player_achievements": Kept("player_id", "what a player achieved", _T, _STAYS),
    "public.achievement_games": Kept("player_id", "counting each game once", _T, _STAYS),
    "public.reward_claims": Kept("account_id", "giving a reward once", _T, _DELETED),
    "public.luminor_conversations": Kept(
        "user_id title context", "talking to companions", _T, _DELETED
    ),
    "public.luminor_messages": Kept("user_id content", "talking to companions", _T, _DELETED),
    "public.luminor_relationships": Kept(
        "user_id user_preferences personality_match key_memories",
        "bonds with companions",
        _T,
        _DELETED,
    ),
    "public.luminor_memories": Kept("user_id content", "what companions remember", _T, _DELETED),
    "public.luminor_usage": Kept("user_id", "quotas of companions", _T, _DELETED),
    "public.creations": Kept("user_id title description prompt", "what people share", _T, _DELETED),
    "public.published_creations": Kept("user_id", "lists and search", _T, _DELETED),
    "public.likes": Kept("user_id", "likes", _T, _DELETED),
    "public.comments": Kept("user_id content", "comments", _T, _DELETED),
    "public.comment_likes": Kept("user_id", "likes", _T, _DELETED),
    "public.follows": Kept("follower_id following_id", "who follows whom", _T, _DELETED),
    "public.blocks": Kept("blocker_id blocked_id", "who blocks whom", _T, _DELETED),
    "public.mutes": Kept("muter_id muted_id", "who mutes whom", _T, _DELETED),
    "public.creation_collaborators": Kept("user_id", "working on one creation", _T, _DELETED),
    "public.notifications": Kept(
        "user_id actor_id message",
        "notifying people",
        _T,
        _DELETED,
        Period("`expires_at`, 90 days after it was added"),
    ),
    "public.notification_keys": Kept("user_id", "notifying of a thing once", _T, _DELETED),
    "public.notification_fanouts": Kept(
        "creation_id reached_id", "notifying followers once", _T, _DELETED
    ),
    "public.notification_digests": Kept("user_id", "mailing a daily digest", _T, _DELETED),
    "public.announcements": Kept("created_by", "what was announced, and by whom", _T, _UNLINKED),
    "public.creation_views": Kept(
        "viewer_id",
        "counting a viewer once a day",
        _T,
        _DELETED,
        Period("until the day is over and the view is counted"),
    ),
    "public.view_salts": Kept(
        "salt",
        "hashing the networks of viewers without an account",
        _NO,
        _STAYS,
        Period("until the day is over"),
    ),
    "public.creation_days": Kept("creation_id", "analytics of what people share", _T, _DELETED),
    "public.reports": Kept("reporter_id profile_id decided_by", "moderation", _T, _DELETED),
    "public.stripe_events": Kept(
        "event_id",
        "following an event of Stripe's once; the id leads to a customer at Stripe alone",
        _NO,
        _STAYS,
        Period("30 days after it came in"),
    ),
    "public.stripe_deletions": Kept(
        "customer_id", "having Stripe delete who was erased, until that is done", _NO, _STAYS
    ),
    "public.telemetry_events": Kept(
        "account_id payload session",
        "what the type's purpose says",
        _T,
        _DELETED,
        Period("`kept_days` of the type"),
    ),
    "public.telemetry_dead_letters": Kept(
        "account_id payload session",
        "correcting schemas",
        _T,
        _DELETED,
        Period("", "PLAYHALL_TELEMETRY_DEAD_LETTERS_KEPT_DAYS"),
    ),
    "public.telemetry_forwards": Kept(
        "account_id event_ids",
        "forwarding what may be shared",
        _T,
        _DELETED,
        Period("", "PLAYHALL_TELEMETRY_FORWARDS_KEPT_DAYS"),
    ),
    "public.consents": Kept(
        "account_id source", "proving what was decided, and when", _T, _DELETED
    ),
}

NOTHING_PERSONAL: Final = frozenset(
    {
        "playhall_auth.content_keys",
        "playhall_auth.signing_keys",
        "playhall_realtime.messages",
        "public.alembic_version",
        "public.maintenance_jobs",
        "public.blueprint_rules",
        "public.bot_avatars",
        "public.board_games",
        "public.found_matches",
        "public.match_queues",
        "public.match_tickets",
        "public.bot_stats_snapshots",
        "public.rated_games",
        "public.ruleset_seasons",
        "public.chain_blocks",
        "public.chain_cursors",
        "public.content_deltas",
        "public.content_metadata",
        "public.content_packages",
        "public.bond_rules",
        "public.content_state",
        "public.currencies",
        "public.epoch_clock",
        "public.epoch_contributions",
        "public.epoch_editions",
        "public.epoch_leader",
        "public.epoch_mirrors",
        "public.epoch_profiles",
        "public.epoch_slot_states",
        "public.epochs",
        "public.file_trash",
        "public.game_totals",
        "public.games",
        "public.item_definitions",
        "public.nodes",
        "public.game_rewards",
        "public.quest_checks",
        "public.luminors",
        "public.quests",
        "public.recipes",
        "public.reward_assets",
        "public.room_directory",
        "public.save_schemas",
        "public.seasons",
        "public.telemetry_schemas",
        "public.telemetry_targets",
        "public.telemetry_types",
        "public.tournament_pairings",
        "public.timed_events",
        "public.webhook_endpoints",
    }
)


def matrix() -> Iterator[str]:
    """Write the rows of the table in docs/operations/privacy.md."""
    yield "| table | personal columns | why | kept | removed by | export | erasure |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for table, kept in PERSONAL.items():
        columns = ", ".join(f"`{column}`" for column in kept.columns.split())
        cells = (
            f"`{table.removeprefix('public.')}`",
            columns,
            kept.why,
            _period(kept),
            "" if kept.period is None else "`retention`",
            kept.export.value,
            kept.erasure.value,
        )
        yield f"| {' | '.join(cells)} |".replace("|  |", "| |")
    others = ", ".join(f"`{table.removeprefix('public.')}`" for table in sorted(NOTHING_PERSONAL))
    yield ""
    yield f"Nothing personal is in {others}."


def _period(kept: Kept) -> str:
    if kept.period is None:
        is_gone = kept.erasure is Erasure.DELETED
        return "until the person is erased" if is_gone else "no end"
    text, setting = kept.period
    return ", ".join(part for part in (f"`{setting}`" if setting else "", text) if part)
