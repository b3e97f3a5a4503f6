"""A node's connections: routes for commands, one session a connection, all sessions by player.

A handler is either *immediate* (a plain function that answers for itself, now or when
its events are committed) or *awaited* (a coroutine whose result is the reply's fields, or
the whole reply).
A connection's commands are taken up in the order in which they came.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from persistence.hook_points import HookPoint
from protocol.catalog import COMMANDS
from protocol.codec import CommandRefused, decode, encode, encode_ok, encode_refusal
from protocol.envelope import Command, Update, WireModel, type_of
from protocol.errors import (
    AlreadyGreeted,
    CloseReason,
    Forbidden,
    GoingAway,
    HelloRequired,
    Overloaded,
    PlayhallError,
    RateLimited,
    WrongNode,
)
from protocol.ids import PlayerId, SessionId, UserId
from protocol.limits import HEARTBEAT_MS, HELLO_TIMEOUT_S
from protocol.session import Closing, Hello
from server.core.clock import Clock
from server.core.containment import contain_failures
from server.core.events import LocalEventBus, PlayerConnected, PlayerDisconnected, PlayerGreeted
from server.core.periodic import repeat_every
from server.core.rate_limits import TokenBucket
from server.core.tasks import Tasks
from server.gateway.error_counts import Count, ignore_error
from server.gateway.session.identity import Identity, Scope, find_scope_error
from server.gateway.transport.framing import text_frame
from server.gateway.transport.websocket import Socket

Immediate = Callable[["Session", Any], None]
# What an awaited handler gives: the reply's fields, the whole reply, or None for a bare `ok`.
Answer = Mapping[str, object] | WireModel | None
Awaited = Callable[["Session", Any], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class CommandRoute:
    """How one command is carried out. `cost` is what it takes from the rate limit.

    `scope` says whose connection may send it; see `server.gateway.session.identity`. A companion
    connection (`Session.is_companion`) may send only what is `for_companions`.
    """

    immediate: Immediate | None = None
    awaited: Awaited | None = None
    cost: float = 1.0
    greeted: bool = True
    scope: Scope = "player"
    for_companions: bool = False


Routes = dict[type[Command], CommandRoute]


def merge_routes(*tables: Routes) -> dict[str, CommandRoute]:
    """Join the domains' tables; every command of the catalogue has exactly one route."""
    routes: dict[str, CommandRoute] = {}
    for table in tables:
        for command, route in table.items():
            name = type_of(command)
            if name in routes:
                raise ValueError(f"two routes for {name}")
            routes[name] = route
    if missing := COMMANDS.keys() - routes.keys():
        raise ValueError(f"no route for {', '.join(sorted(missing))}")
    return routes


log = logging.getLogger(__name__)

QUEUED_COMMANDS_MAX = 64
# A typing error now and then ends no connection; nothing but errors does.
BAD_FRAMES_PER_S = 0.5
BAD_FRAMES_BURST = 20
COMPANIONS_MAX = 8  # of one player on this node
COMPANIONS_ONLY = "This connection is a companion, for `progress.*` alone; open another one."


@dataclass(slots=True)
class QueuedCommand:
    """A command that waits for the one before it."""

    command: Command
    route: CommandRoute


class Session:
    """The peer on one socket. Everything here runs on the event loop, in order."""

    __slots__ = (
        "_bad_frames",
        "_bucket",
        "_closers",
        "_draining",
        "_gone",
        "_queue",
        "greeted_at",
        "identity",
        "is_companion",
        "opened_at",
        "sessions",
        "socket",
    )

    socket: Socket

    def __init__(self, sessions: "Sessions", bucket: TokenBucket, now: float) -> None:
        self.sessions = sessions
        self.identity: Identity | None = None
        # Beside the player's one connection: for what all devices of an account receive.
        self.is_companion = False
        self.opened_at = now
        self._bucket = bucket
        # Not a deque: that takes 700 bytes while it is empty, as it is on most connections.
        self._queue: list[QueuedCommand] = []
        self._draining = False
        self._closers: dict[object, Callable[[], None]] = {}
        self._bad_frames: TokenBucket | None = None  # most connections never need it
        self._gone = False

    # -------------------------------------------------------------- the socket calls these

    def on_open(self, socket: Socket) -> None:
        """Take the socket; the first frame must be `session.hello`."""
        self.socket = socket
        self.sessions.connection_opened(self)

    def on_message(self, message: bytes) -> None:
        """Carry out one command, or answer why not."""
        if (observed := TAKING_MESSAGES.around) is None:
            self._take(message)
        else:
            observed(self, message)

    def _take(self, message: bytes) -> None:
        try:
            command = decode(message)
        except CommandRefused as refused:
            self._bad_frame(refused)
            return
        self.sessions.commands += 1
        route = self.sessions.routes[command.type]
        if (problem := self._may(command, route)) is not None:
            self.refuse(command.id, problem)
        elif self._draining or route.awaited is not None:
            self._enqueue(QueuedCommand(command, route))
        elif (observed := RUNNING_NOW.around) is None:
            self._run_now(command, route)
        else:
            observed(self, command, route)

    def on_close(self) -> None:
        """Let go of everything this connection followed."""
        self._gone = True
        closers, self._closers = self._closers, {}
        for close in closers.values():
            with contain_failures("a connection that stops following"):
                close()
        self._queue.clear()
        self.sessions.connection_closed(self)

    # -------------------------------------------------------------- handlers call these

    @property
    def who(self) -> Identity:
        """The identity; only handlers of greeted connections ask."""
        if self.identity is None:
            raise HelloRequired
        return self.identity

    def reply(self, command_id: int, fields: Mapping[str, object] | None = None) -> None:
        """Answer a command with `ok`."""
        self.socket.send(text_frame(encode_ok(command_id, **(fields or {}))))

    def answer(self, command: Command, work: Awaitable[Answer]) -> Coroutine[Any, Any, None]:
        """Await what carries out a command, and send exactly one reply, whatever it raises.

        The reply is encoded before anything is sent, so an answer that is no JSON is refused too.
        """
        # Not a coroutine function: whoever observes it takes note before anything is awaited.
        if (observed := ANSWERING.around) is None:
            return self._answer(command, work)
        return observed(self, command, work)

    async def _answer(self, command: Command, work: Awaitable[Answer]) -> None:
        try:
            answer = await work
            if isinstance(answer, WireModel):
                reply = encode(answer)
            else:
                reply = encode_ok(command.id, **(answer or {}))
        except PlayhallError as error:
            self.refuse(command.id, error)
        except Exception:
            log.exception("%s failed", command.type)
            self.refuse(command.id, PlayhallError())
        else:
            self.socket.send(text_frame(reply))

    def refuse(self, command_id: int | None, error: PlayhallError) -> None:
        """Answer a command with an error."""
        if (observed := REFUSING.around) is None:
            self._refuse(command_id, error)
        else:
            observed(self, command_id, error)

    def _refuse(self, command_id: int | None, error: PlayhallError) -> None:
        self.sessions.count_refusal(error.wire_code)
        self.socket.send(text_frame(encode_refusal(command_id, error)))
        if isinstance(error, WrongNode):
            self.sessions.redirect(self, error)

    def follow(self, key: object, stop: Callable[[], None]) -> None:
        """Remember how to stop following something; stops what had the key before.

        A connection that is gone follows nothing more.
        """
        self.unfollow(key)
        if self._gone:  # while the command was being carried out
            stop()
        else:
            self._closers[key] = stop

    def unfollow(self, key: object) -> bool:
        """Stop following something; False if it was not followed."""
        stop = self._closers.pop(key, None)
        if stop is None:
            return False
        stop()
        return True

    def follows(self, key: object) -> bool:
        """Say whether this connection follows something."""
        return key in self._closers

    def following(self, kind: str) -> int:
        """Count what this connection follows under keys that begin with `kind`."""
        return sum(isinstance(key, tuple) and key[0] == kind for key in self._closers)

    # -------------------------------------------------------------- details

    def _may(self, command: Command, route: CommandRoute) -> PlayhallError | None:
        is_hello = type(command) is Hello  # an isinstance of a model asks its metaclass
        if self.identity is None and not is_hello and route.greeted:
            return HelloRequired()
        if is_hello and (self.identity is not None or self._draining):
            return AlreadyGreeted()
        if not self._bucket.take(self.sessions.now(), route.cost):
            return RateLimited(retry_after_s=self._bucket.wait_s)
        if self.identity is None:
            return None
        if self.is_companion and not route.for_companions:
            return Forbidden(COMPANIONS_ONLY)
        return find_scope_error(self.identity, route.scope)

    def _bad_frame(self, refused: CommandRefused) -> None:
        self.refuse(refused.command_id, refused.reason)
        if self._bad_frames is None:
            self._bad_frames = TokenBucket(BAD_FRAMES_PER_S, BAD_FRAMES_BURST - 1)
        if not self._bad_frames.take(self.sessions.now()):
            self.socket.close(CloseReason.PROTOCOL_ERROR)

    def _run_now(self, command: Command, route: CommandRoute) -> None:
        assert route.immediate is not None
        try:
            route.immediate(self, command)
        except PlayhallError as error:
            self.refuse(command.id, error)
        except Exception:
            log.exception("%s failed", command.type)
            self.refuse(command.id, PlayhallError())

    def _enqueue(self, queued: QueuedCommand) -> None:
        if len(self._queue) >= QUEUED_COMMANDS_MAX:
            self.refuse(queued.command.id, Overloaded())
            return
        self._queue.append(queued)
        if not self._draining:
            self._draining = True
            self.sessions.tasks.start_work(self._drain(), name="commands of a session")

    async def _drain(self) -> None:
        try:
            while self._queue:
                queued = self._queue.pop(0)
                if queued.route.awaited is None:
                    run_now = RUNNING_NOW.around or Session._run_now
                    run_now(self, queued.command, queued.route)
                else:
                    run_awaited = RUNNING_AWAITED.around or Session._run_awaited
                    await run_awaited(self, queued.command, queued.route)
        finally:
            self._draining = False

    async def _run_awaited(self, command: Command, route: CommandRoute) -> None:
        assert route.awaited is not None
        await self.answer(command, route.awaited(self, command))


TAKING_MESSAGES: Final = HookPoint(Session._take)
RUNNING_NOW: Final = HookPoint(Session._run_now)
RUNNING_AWAITED: Final = HookPoint(Session._run_awaited)
ANSWERING: Final = HookPoint(Session._answer)
REFUSING: Final = HookPoint(Session._refuse)

SWEEP_EVERY_S = 1.0
SILENT_INTERVALS = 2
TOKEN_GRACE_S = 60.0


@dataclass(frozen=True, slots=True)
class CommandRate:
    """How many commands a connection may send: a rate, and a burst above it."""

    per_s: float = 50.0
    burst: float = 200.0


class Sessions:
    """The connections of one node; publishes when a player's first came and the last one went."""

    def __init__(
        self,
        *,
        clock: Clock,
        tasks: Tasks,
        rate: CommandRate,
        events: LocalEventBus,
        count_refusal: Count = ignore_error,
    ) -> None:
        self.clock = clock
        self.tasks = tasks
        self.rate = rate
        self.routes: dict[str, CommandRoute] = {}
        self.commands = 0  # since the start, whatever came of them
        self.count_refusal = count_refusal  # of an error reply's code, for the metrics
        self._events = events
        self.now = asyncio.get_running_loop().time
        self._open: set[Session] = set()
        # The newest connection of each; an older one of the same player is being closed.
        self._by_player: dict[PlayerId, Session] = {}
        self._by_user: dict[UserId, Session] = {}
        self._by_session: dict[SessionId, Session] = {}
        # By the ids of their player, account and session alike.
        self._companions: dict[str, set[Session]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._open)

    def create_session(self) -> Session:
        """Make the peer for a socket that is about to open."""
        bucket = TokenBucket(rate_per_s=self.rate.per_s, burst=self.rate.burst)
        return Session(self, bucket, self.now())

    def connection_of_player(self, player_id: PlayerId) -> Session | None:
        """Find a player's connection on this node."""
        return self._by_player.get(player_id)

    def connection_of_user(self, user_id: UserId) -> Session | None:
        """Find the connection of an account, or of a bot, on this node."""
        return self._by_user.get(user_id)

    def connection_of_session(self, session_id: SessionId) -> Session | None:
        """Find the connection on this node of a session that somebody signed in to."""
        return self._by_session.get(session_id)

    def companions_of(self, key: PlayerId | UserId | SessionId) -> list[Session]:
        """List the companion connections of a player, an account or a session on this node."""
        return list(self._companions.get(key, ()))

    def players(self) -> Iterator[PlayerId]:
        """List the players who have a connection on this node."""
        return iter(self._by_player)

    def is_here(self, player_id: PlayerId) -> bool:
        """Say whether a player has a connection on this node."""
        return player_id in self._by_player

    def connection_opened(self, session: Session) -> None:
        """Count a new connection in."""
        self._open.add(session)

    def connection_closed(self, session: Session) -> None:
        """Count a connection out; its player has departed unless a newer one is there."""
        self._open.discard(session)
        who = session.identity
        if who is None:
            return
        was_last = self._by_player.get(who.player_id) is session
        self._unlist(session, who)
        if was_last:
            self._events.publish(PlayerDisconnected(who.player_id))

    def greet(self, session: Session, identity: Identity, *, is_companion: bool = False) -> None:
        """Give a connection its identity; an older connection of the player is closed.

        A companion closes none. Raise `Overloaded` where the player has too many of them.
        """
        if session.socket.closing:
            raise GoingAway("The connection was closed in the meantime.")
        if is_companion:
            if len(self.companions_of(identity.player_id)) >= COMPANIONS_MAX:
                raise Overloaded(f"There are {COMPANIONS_MAX} companion connections already.")
            session.is_companion = True
            self._list(session, identity)
            return
        older = self._by_player.get(identity.player_id)
        self._list(session, identity)
        self._events.publish(PlayerGreeted(identity.player_id))
        if older is not None:
            self.supersede(older)
            return
        self._events.publish(PlayerConnected(identity.player_id))

    def supersede(self, session: Session) -> None:
        """Close a connection whose player has a newer one, here or on another node."""
        self.dismiss(session, CloseReason.SUPERSEDED, "Your account connected from somewhere else.")

    def renew(self, session: Session, identity: Identity) -> None:
        """Give a connection the identity of a newer token of its account.

        The token may be of another session, whose end is then this connection's end.
        """
        is_listed = session.is_companion or self._by_player.get(session.who.player_id) is session
        if not is_listed:
            session.identity = identity  # superseded or gone meanwhile: a newer one may be listed
            return
        self._unlist(session, session.who)
        self._list(session, identity)

    def _list(self, session: Session, who: Identity) -> None:
        session.identity = who
        if session.is_companion:
            for key in (who.player_id, who.user_id, who.session_id):
                self._companions.setdefault(key, set()).add(session)
            return
        self._by_player[who.player_id] = session
        self._by_user[who.user_id] = session
        self._by_session[who.session_id] = session

    def _unlist(self, session: Session, who: Identity) -> None:
        """Remove a connection, where no newer one has taken its place."""
        if session.is_companion:
            for key in (who.player_id, who.user_id, who.session_id):
                companions = self._companions.get(key, set())
                companions.discard(session)
                if not companions:
                    self._companions.pop(key, None)
            return
        if self._by_player.get(who.player_id) is session:
            del self._by_player[who.player_id]
        if self._by_user.get(who.user_id) is session:
            del self._by_user[who.user_id]
        if self._by_session.get(who.session_id) is session:
            del self._by_session[who.session_id]

    def dismiss(
        self, session: Session, why: CloseReason, message: str, *, pause_ms: int = 0
    ) -> None:
        """Send a connection the reason, and close it."""
        closing = Closing(reason=why.reason, retry=why.retry, message=message, pause_ms=pause_ms)
        self._part(session, closing, why)

    def _part(self, session: Session, closing: Closing, why: CloseReason) -> None:
        session.socket.send(text_frame(encode(closing)))
        session.socket.close(why)

    def redirect(self, session: Session, error: WrongNode) -> None:
        """Send a connection to the node that has what it asked for."""
        why = CloseReason.WRONG_NODE
        closing = Closing(
            reason=why.reason,
            retry=why.retry,
            message=error.message,
            pause_ms=0,
            address=error.address,
        )
        self._part(session, closing, why)

    async def close_silent(self) -> None:
        """Close, until cancelled, what is silent, never said hello, or holds an expired token."""
        await repeat_every(SWEEP_EVERY_S, self._close_overdue, "closing silent connections")

    async def _close_overdue(self) -> None:
        now, wall = self.now(), self.clock.now().timestamp()
        for session in list(self._open):
            with contain_failures("closing a silent connection"):
                if (why := _overdue(session, now, wall)) is not None:
                    self.dismiss(session, why, _EXPLAINED[why])


_EXPLAINED = {
    CloseReason.HELLO_TIMEOUT: f"No session.hello was received within {HELLO_TIMEOUT_S:.0f} s.",
    CloseReason.SILENT: "Nothing was received for two heartbeats; send session.ping in time.",
    CloseReason.TOKEN_EXPIRED: "The token expired; send session.refresh in time.",
}


def _overdue(session: Session, now: float, wall: float) -> CloseReason | None:
    if session.socket.closing:
        return None
    if session.identity is None:
        return CloseReason.HELLO_TIMEOUT if now - session.opened_at > HELLO_TIMEOUT_S else None
    if wall > session.identity.expires_at + TOKEN_GRACE_S:
        return CloseReason.TOKEN_EXPIRED
    if now - session.socket.last_seen > SILENT_INTERVALS * HEARTBEAT_MS / 1000:
        return CloseReason.SILENT
    return None


def update_frame(update: Update) -> bytes:
    """Encode an update once, to be sent to many."""
    return text_frame(encode(update))
