"""Bots' avatars on the wire, and what a bot had come to after a day."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from protocol.bot import Reason, Uri, WireBotId
from protocol.envelope import WireModel
from protocol.ids import UUID_PATTERN
from protocol.record import Cursor, Limit
from protocol.text import TEXT

PROMPT_CHARS_MAX: Final = 2000

Provider = Literal["meshy", "manual", "import"]
Moderation = Literal["pending", "approved", "rejected"]
WireAvatarId = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]


class NewAvatar(WireModel):
    """An avatar to add: where its files are, and how it was made."""

    source_provider: Provider
    glb_uri: Uri
    preview_image_uri: Uri | None = None
    manifest_uri: Uri | None = None
    prompt: (
        Annotated[str, StringConstraints(min_length=1, max_length=PROMPT_CHARS_MAX), TEXT] | None
    ) = None


class Avatar(WireModel):
    """An avatar of a bot, numbered by generation from 1."""

    avatar_id: WireAvatarId
    bot_id: WireBotId
    generation_index: int
    source_provider: Provider
    prompt: str | None = Field(description="Told to the bot's owner and to moderators only.")
    glb_uri: str
    preview_image_uri: str | None
    manifest_uri: str | None
    moderation_status: Moderation
    created_at: str


class Avatars(WireModel):
    """Avatars of a bot, the newest generation first."""

    avatars: list[Avatar]


class AvatarChoice(WireModel):
    """Which avatar the bot shows from now on."""

    avatar_id: WireAvatarId


class AvatarPath(WireModel):
    """The avatar in an address."""

    avatar_id: WireAvatarId


class ModerationRequest(WireModel):
    """What becomes of an avatar, and why."""

    moderation_status: Moderation
    reason: Reason


class QueueQuery(WireModel):
    """Which avatars to look at."""

    moderation_status: Moderation = "pending"
    limit: Limit = 20


# ------------------------------------------------------------------ what a bot had come to


class SnapshotsQuery(WireModel):
    """Which page of a bot's snapshots."""

    cursor: Cursor | None = None
    limit: Limit = 20


class StatsSnapshot(WireModel):
    """What a bot had come to after a day: where that is written, and the SHA-256 of it."""

    epoch_id: str | None
    snapshot_uri: str
    snapshot_hash: str | None = Field(description="SHA-256, hexadecimal.")
    created_at: str


class StatsSnapshots(WireModel):
    """One page of a bot's snapshots, newest first."""

    snapshots: list[StatsSnapshot]
    next: str | None
