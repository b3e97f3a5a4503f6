"""Every error code: its meaning, its HTTP status, and whether a retry can help.

    PlayhallError
    ├── one flat child a code; its docstring is the default message
    └── MoveRefused        the code is the ruleset's own (`must_follow_suit`, …)

`CloseReason` lists the websocket close codes: 40xx mean "try again", 41xx mean "don't".
"""

from collections.abc import Mapping
from enum import Enum
from typing import ClassVar


class PlayhallError(Exception):
    """The server failed to handle this; the failure was logged."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retry: ClassVar[bool] = False
    # How long to wait before the next try, where nobody can know: a guess, for `Retry-After`.
    retry_pause_s: ClassVar[float] = 1.0
    # More than a sentence can say; JSON, told over HTTP and the websocket alike.
    details: Mapping[str, object] | None = None

    def __init__(
        self,
        message: str | None = None,
        *,
        field: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """`retry_after_s`: after so many seconds the same is granted, where that is known."""
        self.message = message or (type(self).__doc__ or "").partition("\n")[0]
        self.field = field
        self.retry_after_s = retry_after_s
        super().__init__(self.message)

    @property
    def wire_code(self) -> str:
        """The stable code that a client sees."""
        return self.code


# ------------------------------------------------------------------ the frame itself


class BadFrame(PlayhallError):
    """The frame is not one JSON object; send one command per text frame."""

    code, status = "bad_frame", 400


class UnknownCommand(PlayhallError):
    """There is no command of this type; /asyncapi.json lists them all."""

    code, status = "unknown_command", 404


class InvalidField(PlayhallError):
    """A field is missing, unknown, or out of bounds."""

    code, status = "invalid_field", 422


class TooLarge(PlayhallError):
    """The message is larger than the limit in session.welcome."""

    code, status = "too_large", 413


class UnsupportedEncoding(PlayhallError):
    """The server does not accept compressed or otherwise encoded bodies; send it unencoded."""

    code, status = "unsupported_encoding", 415


class RequestTimeout(PlayhallError):
    """The request body did not arrive in time; send it again without pauses."""

    code, status, retry = "request_timeout", 408, True


# ------------------------------------------------------------------ session and identity


class HelloRequired(PlayhallError):
    """Send session.hello with an access token first."""

    code, status = "hello_required", 401


class AlreadyGreeted(PlayhallError):
    """This connection has already sent session.hello; use session.refresh to replace the token."""

    code, status = "already_greeted", 409


class BadToken(PlayhallError):
    """The access token is not valid on this server; get a new one from /v1/auth."""

    code, status = "bad_token", 401


class TokenExpired(PlayhallError):
    """The token has expired; get a new one from /v1/auth/refresh."""

    code, status = "token_expired", 401


class Banned(PlayhallError):
    """This account is banned."""

    code, status = "banned", 403


class AccountDeactivated(PlayhallError):
    """This account is deactivated; sign in with `reactivate` set to true to use it again."""

    code, status = "account_deactivated", 403


class WrongCredentials(PlayhallError):
    """The email or password is wrong; POST /v1/auth/email mails a link to choose a new password."""

    code, status = "wrong_credentials", 401


class BadCode(PlayhallError):
    """The link or code is invalid, expired, or already used; request a new one."""

    code, status = "bad_code", 403


class MethodTaken(PlayhallError):
    """This sign-in method belongs to another account; sign in with it, or unlink it there first."""

    code, status = "method_taken", 409


class LastMethod(PlayhallError):
    """This is your only sign-in method; link another one before you unlink it."""

    code, status = "last_method", 409


class MergeChanged(PlayhallError):
    """One of the accounts has changed since the preview; preview the merge again."""

    code, status = "merge_changed", 409


class MergeBlocked(PlayhallError):
    """One of the accounts is in a lobby or a game; leave it or finish it, then try again."""

    code, status = "merge_blocked", 409


class MergeFinal(PlayhallError):
    """This merge cannot be undone."""

    code, status = "merge_final", 409


class NotSetUp(PlayhallError):
    """This sign-in method is not set up on this server; /v1/auth/methods lists those that are."""

    code, status = "not_set_up", 404


class SignInElsewhere(PlayhallError):
    """This server has no accounts of its own; sign in at the address listed in /v1/auth/methods."""

    code, status = "sign_in_elsewhere", 409


class Forbidden(PlayhallError):
    """You do not have permission to do this."""

    code, status = "forbidden", 403


class RateLimited(PlayhallError):
    """Too many requests of this kind; wait a moment and try again."""

    code, status, retry = "rate_limited", 429, True


class Overloaded(PlayhallError):
    """The server is busy and nothing was changed; try again in a moment."""

    code, status, retry = "overloaded", 503, True
    # Two transactions waited for each other, and the database gave this one up.
    is_deadlock = False


class Unavailable(PlayhallError):
    """The database cannot be reached and nothing was changed; try again."""

    code, status, retry = "unavailable", 503, True
    retry_pause_s = 5.0


class StorageFull(PlayhallError):
    """The file store is full and nothing was stored; try again when there is space."""

    code, status, retry = "storage_full", 507, True
    retry_pause_s = 60.0


class GoingAway(PlayhallError):
    """This server is shutting down; reconnect after a random pause."""

    code, status, retry = "going_away", 503, True
    retry_pause_s = 3.0


class NotFound(PlayhallError):
    """There is nothing at this address."""

    code, status = "not_found", 404


class MethodNotAllowed(PlayhallError):
    """This address does not support that HTTP method; /openapi.json lists those it supports."""

    code, status = "method_not_allowed", 405


# ------------------------------------------------------------------ profiles


class ProfileNotFound(PlayhallError):
    """There is no profile with this username or id."""

    code, status = "profile_not_found", 404


class UsernameTaken(PlayhallError):
    """This username is taken; choose another."""

    code, status = "username_taken", 409


class UsernameTooSoon(PlayhallError):
    """A username can be changed only once in 30 days."""

    code, status = "username_too_soon", 409

    def __init__(self, free_at: str | None = None) -> None:
        when = "later" if free_at is None else f"after {free_at}"
        message = f"A username can be changed only once in 30 days; try again {when}."
        super().__init__(message, field="username")


class NotConfirmed(PlayhallError):
    """`confirm` must be your own username; nothing was erased."""

    code, status = "not_confirmed", 403


class SignInAgain(PlayhallError):
    """This requires a sign-in within the last 15 minutes; sign in and try again."""

    code, status = "sign_in_again", 403


# ------------------------------------------------------------------ lobbies


class LobbyNotFound(PlayhallError):
    """There is no lobby with this id or code."""

    code, status = "lobby_not_found", 404


class LobbyFull(PlayhallError):
    """The lobby has no free seat; join as a spectator or look for another."""

    code, status = "lobby_full", 409


class LobbyClosed(PlayhallError):
    """The lobby is no longer open."""

    code, status = "lobby_closed", 409


class WrongPassword(PlayhallError):
    """The lobby password is wrong."""

    code, status = "wrong_password", 403


class NotAMember(PlayhallError):
    """You are not in this lobby; join it first."""

    code, status = "not_a_member", 403


class NotTheHost(PlayhallError):
    """Only the lobby's host can do this."""

    code, status = "not_the_host", 403


class Kicked(PlayhallError):
    """The host removed you from this lobby; you cannot come back."""

    code, status = "kicked", 403


class NotReady(PlayhallError):
    """The game cannot start yet."""

    code, status = "not_ready", 409


class TooManyLobbies(PlayhallError):
    """You are in the maximum number of open lobbies; leave one first."""

    code, status = "too_many_lobbies", 409


class UnknownRuleset(PlayhallError):
    """There is no such ruleset; /v1/rulesets lists them."""

    code, status = "unknown_ruleset", 404


class UnknownBot(PlayhallError):
    """The ruleset has no bot with this name; /v1/rulesets lists them."""

    code, status = "unknown_bot", 404


# ------------------------------------------------------------------ games


class GameNotFound(PlayhallError):
    """There is no such game, or you may not see it."""

    code, status = "game_not_found", 404


class GameOver(PlayhallError):
    """The game has ended; its log and summary stay readable."""

    code, status = "game_over", 409


class NotSeated(PlayhallError):
    """You have no seat in this game."""

    code, status = "not_seated", 403


class BadIndex(PlayhallError):
    """`after` must be between -1 and the index of the game's last event."""

    code, status = "bad_index", 422


class CmdNoGap(PlayhallError):
    """The command number skips one; your commands in a game are numbered 1, 2, 3, …"""

    code, status = "cmd_no_gap", 409


class CmdNoForgotten(PlayhallError):
    """This command was executed long ago and its reply is no longer available."""

    code, status = "cmd_no_forgotten", 409


class TooManyMisplays(PlayhallError):
    """Too many of your moves in this game were illegal; this one was not counted."""

    code, status = "too_many_misplays", 429


class NotCommitted(PlayhallError):
    """The events could not be written and nothing was changed; send the command again."""

    code, status, retry = "not_committed", 503, True


class WrongNode(PlayhallError):
    """Another server hosts this game; connect to its `address`, or try again in a moment."""

    code, status, retry = "wrong_node", 421, True

    def __init__(self, message: str | None = None, *, address: str | None = None) -> None:
        super().__init__(message)
        self.address = address


class GameMovedOn(PlayhallError):
    """The game has moved past `expected_head`; read the new events, then reuse the number."""

    code, status = "game_moved_on", 409

    def __init__(self, *, expected: int, head: int) -> None:
        super().__init__(
            f"The game is at event {head}, past the expected {expected}; the move was not played.",
            field="expected_head",
        )
        self.head = head


class Quarantined(PlayhallError):
    """The game is quarantined because its log or rules failed; an operator must investigate."""

    code, status = "quarantined", 409


class MoveRefused(PlayhallError):
    """The rules do not allow this move; the code is defined by the ruleset."""

    code, status = "move_refused", 409

    def __init__(self, message: str, *, rule: str, event_index: int) -> None:
        super().__init__(message)
        self.rule = rule
        self.event_index = event_index

    @property
    def wire_code(self) -> str:
        """The ruleset's own code, for example `must_follow_suit`."""
        return self.rule


# ------------------------------------------------------------------ closing a socket


class CloseReason(Enum):
    """Why the server closes a websocket: `(code, reason)`; the reason travels with it."""

    SLOW_CONSUMER = (4000, "slow_consumer")
    GOING_AWAY = (4001, "going_away")
    SUPERSEDED = (4002, "superseded")
    SILENT = (4003, "silent")
    HELLO_TIMEOUT = (4004, "hello_timeout")
    OVERLOADED = (4005, "overloaded")
    WRONG_NODE = (4006, "wrong_node")
    BAD_TOKEN = (4100, "bad_token")
    BANNED = (4101, "banned")
    PROTOCOL_ERROR = (4102, "protocol_error")
    LOGGED_OUT = (4103, "logged_out")
    FLOODING = (4104, "flooding")
    TOKEN_EXPIRED = (4105, "token_expired")
    DEACTIVATED = (4106, "deactivated")

    @property
    def code(self) -> int:
        """The number in the close frame."""
        return self.value[0]

    @property
    def reason(self) -> str:
        """The word in the close frame."""
        return self.value[1]

    @property
    def retry(self) -> bool:
        """Whether reconnecting can help."""
        return self.code < 4100
