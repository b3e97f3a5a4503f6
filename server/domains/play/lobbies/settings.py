"""Lobbies: how long they wait for people, and the servers that peers connect through."""

from typing import Annotated

from pydantic import Field, SecretStr

from server.core.settings import Seconds, Settings


class LobbySettings(Settings):
    """Waiting times, STUN and TURN."""

    lobby_grace_s: Seconds = Field(
        default=30.0,
        description="How long a member may be disconnected before they leave the lobby.",
    )
    quick_play_wait_s: Seconds = Field(
        default=10.0, description="How long quick play waits before bots fill the free seats."
    )
    closed_lobbies_kept_s: Annotated[float, Field(ge=60, le=31_536_000)] = Field(
        default=604_800.0, description="How long a closed lobby without a game or match is kept."
    )
    stun_urls: str = Field(default="", description="stun:…, comma separated, for lobby members.")
    turn_urls: str = Field(
        default="", description="turn:…, turns:…, comma separated, for lobby members."
    )
    turn_secret: SecretStr | None = Field(
        default=None, description="The static-auth-secret of the TURN servers."
    )
    turn_ttl_s: Annotated[int, Field(ge=60, le=86_400)] = Field(
        default=3600, description="How long TURN credentials are valid."
    )
