"""All connections of this node, by player; the newest of a player's connections wins."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from protocol.codec import encode
from protocol.envelope import Update
from protocol.errors import CloseReason, GoingAway, WrongNode
from protocol.ids import PlayerId
from protocol.limits import HEARTBEAT_MS, HELLO_TIMEOUT_S
from protocol.session import Closing
from server.gateway.dispatch import Route
from server.gateway.framing import text_frame
from server.gateway.identity import Identity
from server.gateway.limits import TokenBucket
from server.gateway.refusals import Count, uncounted
from server.gateway.session import Session
from server.kernel.clock import Clock
from server.kernel.containment import contained
from server.kernel.sweeping import every
from server.kernel.tasks import Tasks

SWEEP_EVERY_S = 1.0
SILENT_INTERVALS = 2
TOKEN_GRACE_S = 60.0


@dataclass(frozen=True, slots=True)
class CommandRate:
    """How many commands a connection may send: a rate, and a burst above it."""

    per_s: float = 50.0
    burst: float = 200.0


class Sessions:
    """The connections of one node.

    `on_arrival` and `on_departure` are told when a player's first connection came, and
    when the last one went.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        tasks: Tasks,
        rate: CommandRate,
        count_refusal: Count = uncounted,
    ) -> None:
        self.clock = clock
        self.tasks = tasks
        self.rate = rate
        self.routes: dict[str, Route] = {}
        self.count_refusal = count_refusal  # of an error reply's code, for the metrics
        self.on_arrival: list[Callable[[PlayerId], None]] = []
        self.on_departure: list[Callable[[PlayerId], None]] = []
        self.now = asyncio.get_running_loop().time
        self._open: set[Session] = set()
        self._by_player: dict[PlayerId, Session] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._open)

    def new(self) -> Session:
        """Make the peer for a socket that is about to open."""
        bucket = TokenBucket(rate_per_s=self.rate.per_s, burst=self.rate.burst)
        return Session(self, bucket, self.now())

    def of(self, player_id: PlayerId) -> Session | None:
        """Find a player's connection on this node."""
        return self._by_player.get(player_id)

    def is_here(self, player_id: PlayerId) -> bool:
        """Say whether a player has a connection on this node."""
        return player_id in self._by_player

    def opened(self, session: Session) -> None:
        """Count a new connection in."""
        self._open.add(session)

    def closed(self, session: Session) -> None:
        """Count a connection out; its player has departed unless a newer one is there."""
        self._open.discard(session)
        who = session.identity
        if who is not None and self._by_player.get(who.player_id) is session:
            del self._by_player[who.player_id]
            for tell in self.on_departure:
                with contained("telling of a departure"):
                    tell(who.player_id)

    def greet(self, session: Session, identity: Identity) -> None:
        """Give a connection its identity; an older connection of the player is closed."""
        if session.socket.closing:
            raise GoingAway("The connection was closed meanwhile.")
        older = self._by_player.get(identity.player_id)
        session.identity = identity
        self._by_player[identity.player_id] = session
        if older is not None:
            self.dismiss(older, CloseReason.SUPERSEDED, "You connected from somewhere else.")
            return
        for tell in self.on_arrival:
            with contained("telling of an arrival"):
                tell(identity.player_id)

    def dismiss(
        self, session: Session, why: CloseReason, message: str, *, pause_ms: int = 0
    ) -> None:
        """Tell a connection why it is closed, and close it."""
        closing = Closing(reason=why.reason, retry=why.retry, message=message, pause_ms=pause_ms)
        self._part(session, closing, why)

    def _part(self, session: Session, closing: Closing, why: CloseReason) -> None:
        session.socket.send(text_frame(encode(closing)))
        session.socket.close(why)

    def redirect(self, session: Session, error: WrongNode) -> None:
        """Send a connection to the node that has what it asked for."""
        why = CloseReason.WRONG_NODE
        told = Closing(
            reason=why.reason,
            retry=why.retry,
            message=error.message,
            pause_ms=0,
            address=error.address,
        )
        self._part(session, told, why)

    def end_session(self, session_id: str) -> None:
        """Close the connections of a session that was logged out."""
        for session in list(self._open):
            if session.identity is not None and session.identity.session_id == session_id:
                with contained("closing a connection"):
                    self.dismiss(session, CloseReason.LOGGED_OUT, "This session was ended.")

    async def sweep(self) -> None:
        """Close, until cancelled, what is silent, never said hello, or holds an expired token."""
        await every(SWEEP_EVERY_S, self._close_overdue, "closing silent connections")

    async def _close_overdue(self) -> None:
        now, wall = self.now(), self.clock.now().timestamp()
        for session in list(self._open):
            with contained("closing a silent connection"):
                if (why := _overdue(session, now, wall)) is not None:
                    self.dismiss(session, why, _EXPLAINED[why])


_EXPLAINED = {
    CloseReason.HELLO_TIMEOUT: f"No session.hello came within {HELLO_TIMEOUT_S:.0f} s.",
    CloseReason.SILENT: "Nothing was heard for two heartbeats; send session.ping.",
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
