"""Who a connection or a request speaks for."""

from dataclasses import dataclass

from protocol.ids import PlayerId, SessionId, UserId


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified access token's holder; `expires_at` is seconds since 1970, UTC."""

    user_id: UserId
    player_id: PlayerId
    session_id: SessionId
    display_name: str
    expires_at: float
