"""Who a connection or a request speaks for."""

from dataclasses import dataclass
from typing import Final

from persistence.rls import Requester
from protocol.errors import Forbidden
from protocol.ids import BotId, PlayerId, SessionId, UserId

MODERATORS: Final = frozenset({"moderator", "admin"})
ADMINS: Final = frozenset({"admin"})
NOT_FOR_BOTS: Final = "Bots cannot do this; use the token of a person's account."


@dataclass(frozen=True, slots=True)
class BotPass:
    """A bot that signed in with a token of its own; `scopes` are `claim`, `vote`, `read`."""

    bot_id: BotId
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified access token's holder; `expires_at` is seconds since 1970, UTC.

    `roles` is what the account was made: `moderator`, `admin`. `bot` is set for a competing bot,
    which has no account: its `user_id` is its own id, which no row of a person's has.
    """

    user_id: UserId
    player_id: PlayerId
    session_id: SessionId
    display_name: str
    expires_at: float
    roles: tuple[str, ...] = ()
    bot: BotPass | None = None

    @property
    def requester(self) -> Requester:
        """Whom the database shall take a request for."""
        return Requester(self.user_id, self.session_id, self.roles)


def require_role(who: Identity, allowed: frozenset[str]) -> None:
    """Raise `Forbidden` unless somebody was made one of these."""
    if not allowed & set(who.roles):
        raise Forbidden(f"Only {' and '.join(sorted(allowed))} accounts can do this.")
