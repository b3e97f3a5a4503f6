"""A connection following a game: from any index on, without a hole or a repeat.

A follower reads the committed log until it has caught up with the head, and is admitted
to the subscribers in the same turn of the loop in which it has: there is no moment between.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import orjson

from persistence.eventlog.writer import EventRow
from persistence.games.store import GameStore
from protocol.errors import BadIndex, CloseReason, Overloaded, PlayhallError
from protocol.ids import GameId
from protocol.limits import CHUNK_BYTES_MAX, EVENT_INDEX_MAX
from server.core.clock import Clock
from server.core.subscriptions import Deliver, TooManySubscribers, TopicKind
from server.domains.play.games.access import query_when_committed
from server.domains.play.games.live_game import LiveGame
from server.domains.play.games.recorder import RecordedEvent
from server.domains.play.games.recovery import decode_row
from server.domains.play.games.subscribers import Subscribers, ViewEncoder, encode_stopped_frame
from server.gamekit.contract import Viewer
from server.gamekit.table import GAME_COMPLETED, TICK
from server.gateway.session.sessions import Session
from server.gateway.transport.framing import text_frame

READ_ROWS: Final = 200
# How much may wait in a connection's outbox before more of the log is read for it.
AHEAD_BYTES_MAX: Final = 4 * CHUNK_BYTES_MAX
AHEAD_LOOK_S: Final = 0.02


class SessionFollower:
    """A connection that subscribes to a game. One connection follows a game once."""

    __slots__ = ("deliver", "game_id", "session")

    def __init__(self, session: Session, game_id: GameId) -> None:
        self.session = session
        self.game_id = game_id
        self.deliver: Deliver = session.socket.send

    @property
    def is_behind(self) -> bool:
        """Whether the connection takes frames more slowly than they come."""
        return self.session.socket.queued_bytes > CHUNK_BYTES_MAX

    def end(self) -> None:
        """Have the connection forget the game; what was queued still goes out."""
        stop_streams(self.session, self.game_id)

    def disconnect(self, why: CloseReason) -> None:
        """Close the connection; its client resumes from the last index it has."""
        self.session.sessions.dismiss(self.session, why, "Reconnect and resume the game.")


def require_index(after: int, head: int) -> None:
    """Refuse an index that the game does not have."""
    if not -1 <= after <= min(head, EVENT_INDEX_MAX):
        raise BadIndex(
            f"after: send an index from -1 to {head}, the game's last event.", field="after"
        )


def stop_streams(session: Session, game_id: GameId) -> None:
    """Stop what a connection is sent of a game, or it would run into what it is sent now."""
    session.unfollow(("game", game_id))
    session.unfollow(("game-chat", game_id))


class FollowedGame(Protocol):
    """A game, as far as following it needs: a `LiveGame` or a `RemoteGame`."""

    game_id: GameId
    tail: deque[RecordedEvent]
    subscribers: Subscribers

    @property
    def head(self) -> int:
        """The last committed event, as far as it was delivered here."""

    @property
    def closed(self) -> bool:
        """Whether nothing more will come."""

    @property
    def is_lost(self) -> bool:
        """Whether this object is not the game any more."""

    def require_sound(self) -> None:
        """Raise `Quarantined` where the game was set aside."""


async def follow_game(
    game: FollowedGame, store: GameStore, session: Session, viewer: Viewer, *, after: int
) -> int:
    """Send everything after an index, then admit the connection; returns the head."""
    follower = SessionFollower(session, game.game_id)
    cursor = after
    while cursor < game.head:
        recorded = _at_hand(game, cursor)
        if recorded is None:
            rows = await store.read_events(game.game_id, after=cursor, limit=READ_ROWS)
            recorded = [decode_row(row) for row in rows if row.event_index <= game.head]
        await send_chunks(session, game.subscribers.encoder, recorded, viewer)
        cursor = recorded[-1].event_index if recorded else cursor
        if session.socket.closing:
            return cursor
    game.require_sound()
    if game.is_lost:
        raise Overloaded("The game had to be reloaded; reconnect and resume it.")
    if not game.closed:  # else it is over, and all of it was sent
        session.follow(("game", game.game_id), game.subscribers.admit(follower, viewer))
    return game.head


async def follow_in_real_time(game: LiveGame, session: Session, viewer: Viewer) -> int:
    """Send a snapshot of a real-time game, and what changes from then on; returns the head.

    The snapshot takes its place among the patches, so none that builds on it is missed. Nothing is
    sent before it: what is committed until then is in it, or comes right after it.
    """
    assert game.patches is not None
    game.require_sound()
    if game.is_lost:
        raise Overloaded("The game had to be reloaded; reconnect and resume it.")
    snapshot = game.snapshot(viewer)
    update = {"type": "game.state", "game_id": game.game_id, **snapshot}
    frame = text_frame(orjson.dumps(update))
    head, is_shown = game.fold.next_index - 1, False

    def deliver(later: bytes) -> None:
        if is_shown:
            session.socket.send(later)

    def show(_: int | PlayhallError) -> None:
        nonlocal is_shown
        is_shown = True
        session.socket.send(frame)
        # What followed may have been committed together with it, and was published already.
        missed = [e for e in game.tail if e.event_index > head and e.event.type != TICK]
        if missed:
            session.socket.send(game.subscribers.encoder.frames(missed, viewer))

    if not game.closed:
        view = snapshot["view"]
        assert isinstance(view, dict)
        game.patches.bring_up_to_date(viewer, view)
        follower = SessionFollower(session, game.game_id)
        follower.deliver = deliver
        session.follow(("game", game.game_id), game.subscribers.admit(follower, viewer))
    game.call_when_committed(show)
    return await query_when_committed(game.call_when_committed)


async def send_snapshot_if_behind(
    game: LiveGame, session: Session, viewer: Viewer, *, after: int
) -> int:
    """Send the whole snapshot to who is far behind; returns the index to go on after.

    How far is far, the ruleset says; the snapshot leaves when what it shows is committed.
    """
    if game.head - after <= game.fold.ruleset.resume_events_max:
        return after
    snapshot = game.snapshot(viewer)
    head = await query_when_committed(game.call_when_committed)
    update = {"type": "game.state", "game_id": game.game_id, **snapshot}
    session.socket.send(text_frame(orjson.dumps(update)))
    return head


def follow_chat(chat: TopicKind[Session], session: Session, game_id: GameId) -> None:
    """Have what is said at a game sent to a connection."""
    try:
        stop = chat.subscribe(game_id, session, session.socket.send)
    except TooManySubscribers:
        return  # the game itself goes on; only the talk is missed
    session.follow(("game-chat", game_id), stop)


def _at_hand(game: FollowedGame, cursor: int) -> list[RecordedEvent] | None:
    """Take what follows from the game's tail, if it reaches back that far."""
    if not game.tail or game.tail[0].event_index > cursor + 1:
        return None
    return [item for item in game.tail if item.event_index > cursor]


async def send_chunks(
    session: Session, encoder: ViewEncoder, recorded: Sequence[RecordedEvent], viewer: Viewer
) -> None:
    """Send part of a log in chunks, no faster than the connection takes them."""
    chunk: list[bytes] = []
    size = 0
    for item in recorded:
        frame = encoder.frames((item,), viewer)
        if size + len(frame) > CHUNK_BYTES_MAX:
            session.socket.send(b"".join(chunk))
            chunk, size = [], 0
            await _wait_for_room(session)
        chunk.append(frame)
        size += len(frame)
    if chunk:
        session.socket.send(b"".join(chunk))


async def _wait_for_room(session: Session) -> None:
    socket = session.socket  # whose own limits end this wait
    while socket.queued_bytes > AHEAD_BYTES_MAX and not socket.closing:  # noqa: ASYNC110 - bytes
        await asyncio.sleep(AHEAD_LOOK_S)


LOOK_EVERY_S = 0.5


class DelayedStream:
    """Reads the committed log, and sends each event `delay_s` after it happened.

    So nobody can play by what a stream shows.
    """

    def __init__(
        self,
        game_id: GameId,
        encoder: ViewEncoder,
        *,
        store: GameStore,
        clock: Clock,
        delay_s: float,
        is_stopped: Callable[[], Awaitable[bool]],
    ) -> None:
        self._game_id = game_id
        self._encoder = encoder
        self._store = store
        self._clock = clock
        self._delay_s = delay_s
        self._is_stopped = is_stopped

    async def run(self, session: Session, *, after: int) -> None:
        """Send until the game's last event is out; cancelled when nobody watches any more.

        Where the game was quarantined, its end comes after the last event that it has.
        """
        cursor = after
        while not session.socket.closing:
            rows = await self._store.read_events(self._game_id, after=cursor, limit=READ_ROWS)
            due = self._due(rows)
            await send_chunks(session, self._encoder, [decode_row(row) for row in due], None)
            if due:
                cursor = due[-1].event_index
                if due[-1].type == GAME_COMPLETED:
                    return
            if not rows and await self._is_stopped():
                session.socket.send(encode_stopped_frame(self._game_id))
                return
            if len(due) < READ_ROWS:
                await asyncio.sleep(LOOK_EVERY_S)

    def _due(self, rows: list[EventRow]) -> list[EventRow]:
        before = self._clock.now().timestamp() - self._delay_s
        return [row for row in rows if row.at.timestamp() <= before]
