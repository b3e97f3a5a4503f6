"""Take apart what the replies to moves wait for.

From the moment at which a move's frame is taken up to the end of the turn in which its reply is
written, by stage::

    decide    the command is parsed, decided, folded, and handed to the log
    queue     its rows wait for the batch before them, or for a place in the solo lane
    commit    the statement that writes them, until the loop comes to its answer
    release   the events of the batch, and the replies before this one
    write     what else the turn does, until all that waits is written to the sockets

A move that ends its game is committed in the solo lane with the game's result; so are rows that the
shared statement could not settle. Both are counted apart from the others.

Measured are moves of players who are connected to the game's own node, once they are committed.
How long a frame waits before it is taken up is `playhall_loop_lag_seconds`, for all of them.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from prometheus_client.registry import Collector

from persistence.eventlog.writer import APPENDING, WRITING_ALONE, EventLogWriter, _Writer
from protocol.errors import PlayhallError
from server.core.durations import Durations
from server.core.loop_watch import CollectorWatch
from server.domains.play.games.inputs import Reply
from server.domains.play.games.live_game import ACTING, LiveGame
from server.gateway.metrics import DurationCollector
from server.gateway.session.sessions import TAKING_MESSAGES, Session
from server.gateway.transport.send_buffer import FLUSHING, BufferFlusher

log = logging.getLogger(__name__)

STAGES: Final = ("decide", "queue", "commit", "release", "write")
TOTAL: Final = "total"
SHARED: Final = "shared"
SOLO: Final = "solo"


class _Commit(NamedTuple):
    """The statement whose games are being settled."""

    lane: str
    began_s: float
    ended_s: float


class _Start(NamedTuple):
    """The moment at which a move was taken up, and what had been used until then."""

    at_s: float
    ran_s: float  # processor time of the loop's thread
    collected_s: float


class _TimedReply:
    """A reply that notes when it is given; it is only counted if it says that a move was made."""

    __slots__ = ("_reply", "_times", "commit", "decided_s", "replied_s", "start")

    def __init__(self, reply: Reply, times: "ReplyTimes", start: _Start) -> None:
        self._reply = reply
        self._times = times
        self.start = start
        self.decided_s = 0.0  # 0 until the handler has returned
        self.replied_s = 0.0
        self.commit: _Commit | None = None

    def __call__(self, what: int | PlayhallError) -> None:
        self._reply(what)
        if self.decided_s and isinstance(what, int):
            self.replied_s = time.perf_counter()
            self._times.note_reply(self)


class ReplyTimes:
    """Durations by stage and lane; replies slower than `slow_s` are logged."""

    def __init__(self, *, slow_s: float) -> None:
        self._slow_s = slow_s
        self._durations: dict[tuple[str, ...], Durations] = {
            (stage, lane): Durations() for lane in (SHARED, SOLO) for stage in (*STAGES, TOTAL)
        }
        self._collector = CollectorWatch()
        self._start: _Start | None = None  # of the frame that is being taken up
        self._commit: _Commit | None = None
        self._unwritten: list[_TimedReply] = []

    def observe(self) -> Collector:
        """Measure this process's replies from now on, and give their metrics; once."""
        self._collector.start()
        self._observe_moves()
        self._observe_commits()
        FLUSHING.observe(self._wrap_flush)
        return DurationCollector(
            "reply_seconds",
            "What replies to moves waited for.",
            ("stage", "lane"),
            lambda: {**self._durations},
        )

    def note_reply(self, reply: _TimedReply) -> None:
        """Note a reply that was given, in the turn in which its commit was settled."""
        reply.commit = self._commit
        self._unwritten.append(reply)

    # ------------------------------------------------------------------ what is observed

    def _observe_moves(self) -> None:
        def wrap_message(original: Callable[..., None]) -> Callable[..., None]:
            def on_message(session: Session, message: bytes) -> None:
                self._start = _Start(
                    time.perf_counter(), time.thread_time(), self._collector.total_s
                )
                try:
                    original(session, message)
                finally:
                    self._start = None

            return on_message

        def wrap_act(original: Callable[..., None]) -> Callable[..., None]:
            def act(
                game: LiveGame,
                seat: int,
                cmd_no: int,
                move: Any,
                reply: Reply,
                expected_head: int | None,
            ) -> None:
                if self._start is None:  # of a bot, or of another node's player
                    original(game, seat, cmd_no, move, reply, expected_head)
                    return
                timed = _TimedReply(reply, self, self._start)
                original(game, seat, cmd_no, move, timed, expected_head)
                timed.decided_s = time.perf_counter()

            return act

        TAKING_MESSAGES.observe(wrap_message)
        ACTING.observe(wrap_act)

    def _observe_commits(self) -> None:
        # Nothing is awaited between the statement's answer and the calls of the owners, so the
        # commit that was noted last is theirs.
        def wrap_append(original: Callable[..., Any]) -> Callable[..., Any]:
            async def append(writer: _Writer, batches: Sequence[Any]) -> Any:
                began_s = time.perf_counter()
                passed = await original(writer, batches)
                self._commit = _Commit(SHARED, began_s, time.perf_counter())
                return passed

            return append

        def wrap_write_alone(original: Callable[..., Any]) -> Callable[..., Any]:
            async def write_alone(writer: EventLogWriter, batch: Any) -> None:
                began_s = time.perf_counter()
                await original(writer, batch)
                self._commit = _Commit(SOLO, began_s, time.perf_counter())

            return write_alone

        APPENDING.observe(wrap_append)
        WRITING_ALONE.observe(wrap_write_alone)

    def _wrap_flush(self, original: Callable[..., None]) -> Callable[..., None]:
        def flush(flusher: BufferFlusher) -> None:
            original(flusher)
            if self._unwritten:
                written_s = time.perf_counter()
                replies, self._unwritten = self._unwritten, []
                for reply in replies:
                    self._record(reply, written_s)

        return flush

    # ------------------------------------------------------------------ counting

    def _record(self, reply: _TimedReply, written_s: float) -> None:
        commit, start = reply.commit, reply.start
        if commit is None or commit.began_s < reply.decided_s:
            return  # it waited for no commit, or for one before it: a command that came again
        spans = (
            (start.at_s, reply.decided_s),
            (reply.decided_s, commit.began_s),
            (commit.began_s, commit.ended_s),
            (commit.ended_s, reply.replied_s),
            (reply.replied_s, written_s),
        )
        by_stage = [ended - began for began, ended in spans]
        for stage, seconds in zip(STAGES, by_stage, strict=True):
            self._durations[stage, commit.lane].record(seconds)
        total_s = written_s - start.at_s
        self._durations[TOTAL, commit.lane].record(total_s)
        if total_s >= self._slow_s:
            self._log_slow(commit.lane, total_s, by_stage, start)

    def _log_slow(
        self, lane: str, total_s: float, by_stage: Iterable[float], start: _Start
    ) -> None:
        stages = zip(STAGES, by_stage, strict=True)
        log.warning(
            "a reply took %.1f ms: %s; %s lane; meanwhile the loop ran for %.1f ms, "
            "and the garbage collector for %.1f ms of it",
            total_s * 1000,
            ", ".join(f"{stage} {seconds * 1000:.1f}" for stage, seconds in stages),
            lane,
            (time.thread_time() - start.ran_s) * 1000,
            (self._collector.total_s - start.collected_s) * 1000,
        )
