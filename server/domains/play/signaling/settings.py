"""Signaling: who may use it, and how much."""

from typing import Annotated

from pydantic import Field

from server.core.settings import Origins, Settings


class SignalingSettings(Settings):
    """Keys, origins and rates of peers."""

    peer_keys: str = Field(
        default="peerjs", description="Keys that PeerJS clients may use, comma separated."
    )
    peer_member_keys: str = Field(
        default="", description="Keys that only members of peer lobbies may use, comma separated."
    )
    peer_origins: Origins = Field(
        default="*",
        description="Origins whose pages may signal; * for any, since no cookie is used.",
    )
    peer_messages_per_s: Annotated[float, Field(gt=0)] = Field(
        default=100.0,
        description="Messages per second of a peer; bursts may be five times as large.",
    )
    peer_discovery: bool = Field(default=False, description="Let /peerjs/KEY/peers list ids.")
