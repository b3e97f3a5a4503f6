"""Who a connection or a request speaks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from persistence.rls import Requester
from protocol.errors import Forbidden
from protocol.ids import BotId, PlayerId, SessionId, UserId

MODERATORS: Final = frozenset({"moderator", "admin"})
ADMINS: Final = frozenset({"admin"})
# Who may use a command or an endpoint: `player` any account, and where no account is required
# anybody, but no bot; `bot` bots too; the others, accounts that were made one of these. `support`
# reads what people have, each time on record; `editor` makes content.
Scope: TypeAlias = Literal["player", "bot", "moderator", "support", "editor", "admin"]
ROLES_OF: Final[Mapping[Scope, frozenset[str]]] = {
    "moderator": MODERATORS,
    "support": frozenset({"support", "admin"}),
    "editor": frozenset({"editor", "admin"}),
    "admin": ADMINS,
}
NOT_FOR_BOTS: Final = "Bots cannot do this; use the token of a person's account."


@dataclass(frozen=True, slots=True)
class BotGrant:
    """A bot that signed in with a token of its own; `scopes` are `claim`, `vote`, `read`."""

    bot_id: BotId
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified access token's holder; `expires_at` is seconds since 1970, UTC.

    `roles` is what the account was made, such as `moderator`. `bot` is set for a competing bot,
    which has no account: its `user_id` is its own id, which no row of a person's has.
    """

    user_id: UserId
    player_id: PlayerId
    session_id: SessionId
    display_name: str
    expires_at: float
    roles: tuple[str, ...] = ()
    bot: BotGrant | None = None

    @property
    def requester(self) -> Requester:
        """Whom the database shall take a request for."""
        return Requester(self.user_id, self.session_id, self.roles)


def find_scope_error(who: Identity, scope: Scope) -> Forbidden | None:
    """Say why somebody may not use what has this scope; None if they may."""
    if who.bot is not None:
        return None if scope == "bot" else Forbidden(NOT_FOR_BOTS)
    roles = ROLES_OF.get(scope)
    return _only_for(roles) if roles is not None and not roles & set(who.roles) else None


def require_role(who: Identity, allowed: frozenset[str]) -> None:
    """Raise `Forbidden` unless somebody was made one of these."""
    if not allowed & set(who.roles):
        raise _only_for(allowed)


def _only_for(roles: frozenset[str]) -> Forbidden:
    return Forbidden(f"Only {' and '.join(sorted(roles))} accounts can do this.")
