"""What a merge of two accounts does with each column that names a person: the whole list.

A test fails when a table names a person and no decision is listed here. Tables of title packages
are not listed: theirs move.
"""

from enum import Enum
from typing import Final


class MergeDecision(Enum):
    """What becomes of the rows of the account that is merged into another one."""

    MOVE = "move"
    """They become those of the account that stays; one that it has already stays where it is."""

    STAY = "stay"
    """They stay as they are, and are read through the alias `profiles.merged_into`."""

    END = "end"
    """They are of no use any more: sessions end, codes are deleted."""

    RESEAL = "reseal"
    """Like `MOVE`, but sealed anew: what is sealed opens in its own account only."""

    ADD = "add"
    """Their amounts are added to those of the account that stays."""


MERGE_DECISIONS: Final[dict[str, tuple[MergeDecision, str]]] = {
    "public.profiles.id": (MergeDecision.STAY, "the alias itself; its XP is added when it is read"),
    "public.profiles.merged_into": (
        MergeDecision.MOVE,
        "what was merged earlier is merged into the account that stays",
    ),
    "public.account_merges.user_id": (MergeDecision.STAY, "history"),
    "public.account_merges.merged_user_id": (MergeDecision.STAY, "history"),
    "public.account_bans.user_id": (MergeDecision.STAY, "a banned account cannot be merged"),
    "public.account_roles.user_id": (
        MergeDecision.STAY,
        "a role is granted to an account by an admin, and no merge grants one",
    ),
    "playhall_auth.sessions.user_id": (MergeDecision.END, "both accounts sign in again"),
    "playhall_auth.codes.user_id": (
        MergeDecision.END,
        "what they would link is not theirs any more",
    ),
    "playhall_auth.methods.user_id": (
        MergeDecision.RESEAL,
        "one of a kind that both have stays, and signs in to the account that stays",
    ),
    "playhall_auth.metadata.user_id": (
        MergeDecision.MOVE,
        "what the account that stays has already, stays",
    ),
    "public.blueprints.owner_id": (MergeDecision.MOVE, "a name that both have stays"),
    "public.bot_identities.created_by_user_id": (MergeDecision.MOVE, "who registered the bot"),
    "public.bot_identities.player_id": (MergeDecision.STAY, "the bot's own player"),
    "public.file_uploads.owner_id": (MergeDecision.STAY, "an upload under way expires"),
    "public.files.owner_id": (MergeDecision.MOVE, "paths stay, with the former id in them"),
    "public.wallets.user_id": (
        MergeDecision.MOVE,
        "with all that goes by address: votes, bots, payouts",
    ),
    "public.wallet_nonces.user_id": (MergeDecision.STAY, "a message to sign expires"),
    "public.lobbies.host_user_id": (
        MergeDecision.STAY,
        "closed ones: nobody merges while in a lobby",
    ),
    "public.lobbies.host_player_id": (
        MergeDecision.STAY,
        "closed ones: nobody merges while in a lobby",
    ),
    "public.lobby_members.player_id": (MergeDecision.STAY, "of closed lobbies"),
    "public.lobby_bans.player_id": (MergeDecision.STAY, "the host removed that player"),
    "public.matches.winner_id": (MergeDecision.STAY, "the history of finished games never changes"),
    "public.matches.reported_by": (
        MergeDecision.STAY,
        "the history of finished games never changes",
    ),
    "public.match_players.player_id": (
        MergeDecision.STAY,
        "the history of finished games never changes",
    ),
    "public.player_lifetime_stats.player_id": (
        MergeDecision.STAY,
        "computed from the logs, which name the player",
    ),
    "public.player_ruleset_stats.player_id": (
        MergeDecision.STAY,
        "computed from the logs, which name the player",
    ),
    "public.board_entries.player_id": (
        MergeDecision.STAY,
        "computed from the logs, which name the player",
    ),
    "public.board_hidden_players.player_id": (MergeDecision.STAY, "that player's own choice"),
    "public.player_ratings.player_id": (
        MergeDecision.STAY,
        "computed from the logs, which name the player",
    ),
    "public.rating_changes.player_id": (
        MergeDecision.STAY,
        "computed from the logs, which name the player",
    ),
    "public.player_connections.player_id": (
        MergeDecision.STAY,
        "that player's own connection, as long as it is open",
    ),
    "public.match_ticket_players.player_id": (
        MergeDecision.STAY,
        "a search ends when its player stays away",
    ),
    "public.players.account_id": (MergeDecision.STAY, "kept by a trigger"),
    "public.stored_objects.account_id": (MergeDecision.MOVE, "one that both have stays"),
    "public.save_slots.account_id": (
        MergeDecision.MOVE,
        "with all that is in them; one whose name is taken is renamed",
    ),
    "public.ledger_transactions.account_id": (
        MergeDecision.MOVE,
        "with their entries and keys; a key that both have used stays used",
    ),
    "public.currency_balances.account_id": (
        MergeDecision.ADD,
        "those of slots go with their slots",
    ),
    "public.unlocks.account_id": (MergeDecision.MOVE, "one that both have stays"),
    "public.reward_claims.account_id": (
        MergeDecision.MOVE,
        "what either has claimed is claimed; one that both have stays",
    ),
    "public.economy_flags.account_id": (
        MergeDecision.MOVE,
        "one that is open for both stays, and is listed with the account that stays",
    ),
    "public.progress_streams.account_id": (
        MergeDecision.STAY,
        "devices follow the stream of the account that stays from now on",
    ),
    "public.consents.account_id": (
        MergeDecision.STAY,
        "history; what it refuses, the account that stays refuses as well",
    ),
    "public.telemetry_forwards.account_id": (MergeDecision.STAY, "is on its way already"),
    "public.telemetry_dead_letters.account_id": (
        MergeDecision.STAY,
        "no schema fits it, and it expires",
    ),
    "public.creations.user_id": (MergeDecision.MOVE, "with their counters, which triggers keep"),
    "public.published_creations.user_id": (MergeDecision.STAY, "kept by a trigger"),
    "public.likes.user_id": (MergeDecision.MOVE, "one that both have stays"),
    "public.comments.user_id": (MergeDecision.MOVE, "who wrote it"),
    "public.comment_likes.user_id": (MergeDecision.MOVE, "one that both have stays"),
    "public.follows.follower_id": (MergeDecision.MOVE, "one that both have stays"),
    "public.follows.following_id": (MergeDecision.MOVE, "one that both have stays"),
    "public.blocks.blocker_id": (MergeDecision.MOVE, "whom either account blocked"),
    "public.blocks.blocked_id": (MergeDecision.MOVE, "who blocked either account"),
    "public.mutes.muter_id": (MergeDecision.MOVE, "whom either account muted"),
    "public.mutes.muted_id": (MergeDecision.MOVE, "who muted either account"),
    "public.creation_collaborators.user_id": (MergeDecision.MOVE, "one that both have stays"),
    "public.notifications.user_id": (MergeDecision.MOVE, "what either account was told"),
    "public.notifications.actor_id": (MergeDecision.MOVE, "whose doing it is"),
    "public.notification_keys.user_id": (MergeDecision.STAY, "moved by a trigger"),
    "public.notification_digests.user_id": (MergeDecision.MOVE, "who wants a daily email"),
    "public.announcements.created_by": (MergeDecision.STAY, "who announced it; history"),
    "public.creation_views.viewer_id": (MergeDecision.STAY, "of one day, and counted already"),
    "public.player_achievements.player_id": (
        MergeDecision.STAY,
        "computed from the logs, which name the player",
    ),
    "public.achievement_games.player_id": (
        MergeDecision.STAY,
        "computed from the logs, which name the player",
    ),
    "public.tournaments.created_by": (MergeDecision.MOVE, "who organised it"),
    "public.tournament_entrants.player_id": (
        MergeDecision.STAY,
        "the player who plays its games; history",
    ),
    "public.reports.reporter_id": (MergeDecision.MOVE, "who reported it"),
    "public.reports.profile_id": (
        MergeDecision.MOVE,
        "moderators decide about the account that stays",
    ),
    "public.reports.decided_by": (MergeDecision.STAY, "the moderator who decided"),
    "public.luminor_conversations.user_id": (
        MergeDecision.STAY,
        "a companion's memory and bond belong to the account that it talked with",
    ),
    "public.luminor_messages.user_id": (MergeDecision.STAY, "they belong to their conversation"),
    "public.luminor_relationships.user_id": (
        MergeDecision.STAY,
        "a bond has a level of its own, which does not add up with another one's",
    ),
    "public.luminor_memories.user_id": (MergeDecision.STAY, "they belong to their bond"),
    "public.luminor_usage.user_id": (
        MergeDecision.STAY,
        "quotas are those of the account that wrote",
    ),
}


def find_merge_decision(column: str) -> MergeDecision:
    """Say what becomes of a column `schema.table.column`."""
    return MERGE_DECISIONS[column][0] if column in MERGE_DECISIONS else MergeDecision.MOVE
