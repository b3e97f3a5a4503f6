"""Realtime channels: which tables' changes, and how much of everything."""

from typing import Annotated

from pydantic import Field

from server.core.settings import Settings

DEFAULT_TABLES = (
    "comments,creations,follows,likes,luminor_conversations,luminor_messages,"
    "luminor_relationships,notifications"
)


class RealtimeSettings(Settings):
    """Realtime channels; they are served only where `PLAYHALL_SUPABASE_API_SECRET` is set."""

    realtime_tables: str = Field(
        default=DEFAULT_TABLES,
        description="Tables whose changes channels can carry, comma separated; with a schema, "
        "such as shop.goods, unless that is public.",
    )
    realtime_private_only: bool = Field(
        default=False, description="Refuse channels that are not private."
    )
    realtime_channels_max: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=100, description="Channels of one connection."
    )
    realtime_bindings_max: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=100, description="Subscriptions to changes of tables of one connection."
    )
    realtime_subscriptions_max: Annotated[int, Field(ge=1)] = Field(
        default=20_000, description="Subscriptions to changes of tables of one node."
    )
    realtime_messages_per_s: Annotated[float, Field(gt=0)] = Field(
        default=100.0,
        description="Messages per second of a connection; bursts may be twice as large.",
    )
    realtime_broadcasts_per_minute: Annotated[float, Field(gt=0)] = Field(
        default=600.0, description="Broadcasts over HTTP of an account or a network."
    )
    realtime_changes_kept_s: Annotated[float, Field(ge=30, le=86_400)] = Field(
        default=300.0,
        description="For how long changes are kept for nodes that have not read them.",
    )
