"""One client's connection: who it is, what it asked, what it is owed."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocol.codec import CommandRefused, decode, encode, ok, refusal
from protocol.envelope import Command, WireModel
from protocol.errors import (
    AlreadyGreeted,
    CloseReason,
    Forbidden,
    HelloRequired,
    Overloaded,
    PlayhallError,
    RateLimited,
    WrongNode,
)
from protocol.session import Hello
from server.gateway.dispatch import Answer, Route
from server.gateway.framing import text_frame
from server.gateway.identity import NOT_FOR_BOTS, Identity
from server.gateway.limits import TokenBucket
from server.gateway.websocket import Socket
from server.kernel.containment import contained

if TYPE_CHECKING:
    from server.gateway.sessions import Sessions

log = logging.getLogger(__name__)

QUEUED_COMMANDS_MAX = 64
# A typing error now and then ends no connection; nothing but errors does.
BAD_FRAMES_PER_S = 0.5
BAD_FRAMES_BURST = 20


@dataclass(slots=True)
class Queued:
    """A command that waits for the one before it."""

    command: Command
    route: Route


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
        "opened_at",
        "sessions",
        "socket",
    )

    socket: Socket

    def __init__(self, sessions: "Sessions", bucket: TokenBucket, now: float) -> None:
        self.sessions = sessions
        self.identity: Identity | None = None
        self.opened_at = now
        self._bucket = bucket
        self._queue: deque[Queued] = deque()
        self._draining = False
        self._closers: dict[object, Callable[[], None]] = {}
        self._bad_frames: TokenBucket | None = None  # most connections never need it
        self._gone = False

    # -------------------------------------------------------------- the socket calls these

    def on_open(self, socket: Socket) -> None:
        """Take the socket; the first frame must be `session.hello`."""
        self.socket = socket
        self.sessions.opened(self)

    def on_message(self, message: bytes) -> None:
        """Carry out one command, or answer why not."""
        try:
            command = decode(message)
        except CommandRefused as refused:
            self._bad_frame(refused)
            return
        route = self.sessions.routes[command.type]
        if (problem := self._may(command, route)) is not None:
            self.refuse(command.id, problem)
        elif self._draining or route.awaited is not None:
            self._enqueue(Queued(command, route))
        else:
            self._run_now(command, route)

    def on_close(self) -> None:
        """Let go of everything this connection followed."""
        self._gone = True
        closers, self._closers = self._closers, {}
        for close in closers.values():
            with contained("a connection that stops following"):
                close()
        self._queue.clear()
        self.sessions.closed(self)

    # -------------------------------------------------------------- handlers call these

    @property
    def who(self) -> Identity:
        """The identity; only handlers of greeted connections ask."""
        if self.identity is None:
            raise HelloRequired
        return self.identity

    def reply(self, command_id: int, fields: Mapping[str, object] | None = None) -> None:
        """Answer a command with `ok`."""
        self.socket.send(text_frame(ok(command_id, **(fields or {}))))

    async def answer(self, command: Command, work: Awaitable[Answer]) -> None:
        """Await what carries out a command, and send exactly one reply, whatever it raises.

        The reply is encoded before anything is sent, so an answer that is no JSON is refused too.
        """
        try:
            answer = await work
            if isinstance(answer, WireModel):
                told = encode(answer)
            else:
                told = ok(command.id, **(answer or {}))
        except PlayhallError as error:
            self.refuse(command.id, error)
        except Exception:
            log.exception("%s failed", command.type)
            self.refuse(command.id, PlayhallError())
        else:
            self.socket.send(text_frame(told))

    def refuse(self, command_id: int | None, error: PlayhallError) -> None:
        """Answer a command with an error."""
        self.sessions.count_refusal(error.wire_code)
        self.socket.send(text_frame(refusal(command_id, error)))
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

    def _may(self, command: Command, route: Route) -> PlayhallError | None:
        is_hello = type(command) is Hello  # an isinstance of a model asks its metaclass
        if self.identity is None and not is_hello and route.greeted:
            return HelloRequired()
        if is_hello and (self.identity is not None or self._draining):
            return AlreadyGreeted()
        if not self._bucket.take(self.sessions.now(), route.cost):
            return RateLimited(retry_after_s=self._bucket.wait_s)
        if self.identity is not None and self.identity.bot is not None and not route.bots:
            return Forbidden(NOT_FOR_BOTS)
        return None

    def _bad_frame(self, refused: CommandRefused) -> None:
        self.refuse(refused.command_id, refused.reason)
        if self._bad_frames is None:
            self._bad_frames = TokenBucket(BAD_FRAMES_PER_S, BAD_FRAMES_BURST - 1)
        if not self._bad_frames.take(self.sessions.now()):
            self.socket.close(CloseReason.PROTOCOL_ERROR)

    def _run_now(self, command: Command, route: Route) -> None:
        assert route.immediate is not None
        try:
            route.immediate(self, command)
        except PlayhallError as error:
            self.refuse(command.id, error)
        except Exception:
            log.exception("%s failed", command.type)
            self.refuse(command.id, PlayhallError())

    def _enqueue(self, queued: Queued) -> None:
        if len(self._queue) >= QUEUED_COMMANDS_MAX:
            self.refuse(queued.command.id, Overloaded())
            return
        self._queue.append(queued)
        if not self._draining:
            self._draining = True
            self.sessions.tasks.work(self._drain(), name="commands of a session")

    async def _drain(self) -> None:
        try:
            while self._queue:
                queued = self._queue.popleft()
                if queued.route.awaited is None:
                    self._run_now(queued.command, queued.route)
                else:
                    await self._run_awaited(queued.command, queued.route)
        finally:
            self._draining = False

    async def _run_awaited(self, command: Command, route: Route) -> None:
        assert route.awaited is not None
        await self.answer(command, route.awaited(self, command))
