"""Watchers of a day: as little for each of them as can be, for there are thousands."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import cycle
from typing import Final

import orjson

from loadtest.epochs.stream_check import EVENT, DayState, DayStream, StreamCheck
from loadtest.transport import open_picows
from playhall import Json
from playhall.account import Account
from playhall.errors import RequestRefused, ServerUnreachable
from playhall.transport import Transport

AT_ONCE: Final = 32
ANSWER_TIMEOUT_S: Final = 30.0
# Life is shown twice in the time that the server asks for, by some watchers at a time.
SLICES: Final = 20
HEARTBEAT_MIN_S: Final = 1.0  # until the server has said how often it wants a sign

OnCount = Callable[[int], None]


class SnapshotCache:
    """Snapshots, each kept once however many watchers got it."""

    def __init__(self) -> None:
        self._known: dict[bytes, DayState] = {}

    def intern(self, snapshot: Json) -> DayState:
        """Give the one that is kept of a snapshot's state."""
        state = DayState.from_snapshot(snapshot)
        return self._known.setdefault(orjson.dumps(tuple(state)), state)


class Watcher:
    """One connection that follows one day."""

    __slots__ = (
        "_account",
        "_answer",
        "_closing",
        "_snapshots",
        "_transport",
        "heartbeat_s",
        "stream_check",
    )

    def __init__(self, account: Account, stream: DayStream, snapshots: SnapshotCache) -> None:
        self.stream_check = StreamCheck(stream)
        self.heartbeat_s = 0.0
        self._account = account
        self._snapshots = snapshots
        self._transport: Transport | None = None
        self._answer: asyncio.Future[Json] | None = None
        self._closing = False

    async def watch(self, url: str, epoch_id: str) -> None:
        """Connect, and follow; raises what the server answers."""
        self._transport = await open_picows(url, self._take)
        hello = {"token": self._account.token, "client": "playhall-loadtest", "version": "1"}
        self.heartbeat_s = (await self._ask("session.hello", hello))["heartbeat_ms"] / 1000
        await self._ask("epoch.watch", {"epoch_id": epoch_id})

    async def run(self) -> None:
        """Carry frames until it is closed; that the server closed it is a fault."""
        assert self._transport is not None
        closed = await self._transport.run()
        if not self._closing:
            self.stream_check.fault = (
                self.stream_check.fault or f"closed: {closed.code} {closed.reason}"
            )

    def send_heartbeat(self) -> None:
        """Let the server know that somebody is there, once it knows who."""
        if self._transport is not None and self.heartbeat_s:
            self._transport.send(b'{"id":3,"type":"session.ping"}')

    def close(self) -> None:
        """Close the connection."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    async def _ask(self, command: str, fields: Json) -> Json:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.send(orjson.dumps({"id": 1, "type": command, **fields}))
        try:
            return await asyncio.wait_for(self._answer, ANSWER_TIMEOUT_S)
        except TimeoutError:
            raise ServerUnreachable(
                f"{command} was not answered in {ANSWER_TIMEOUT_S:.0f} s."
            ) from None
        finally:
            self._answer = None

    def _take(self, frame: bytes) -> None:
        if self.stream_check.take_if_same(frame):
            return
        message = orjson.loads(frame)
        if message["type"] == EVENT:
            self.stream_check.take_event(frame, message)
        elif message.get("re") == 1 and self._answer is not None and not self._answer.done():
            self._hear(message, self._answer)

    def _hear(self, reply: Json, answer: "asyncio.Future[Json]") -> None:
        """Take a reply; a snapshot at once, for the next frame may be the change after it."""
        if reply["type"] == "error":
            answer.set_exception(RequestRefused.from_reply(reply))
            return
        if (snapshot := reply.get("snapshot")) is not None:
            self.stream_check.start_from(self._snapshots.intern(snapshot), snapshot["version"])
        answer.set_result(reply)


@asynccontextmanager
async def connected_watchers(
    url: str, accounts: Sequence[Account], epoch_id: str, *, stream: DayStream, on_count: OnCount
) -> AsyncIterator[list[Watcher]]:
    """Let each account watch a day for a block; `came` is called with how many do so far."""
    snapshots = SnapshotCache()
    watchers = [Watcher(account, stream, snapshots) for account in accounts]
    async with asyncio.TaskGroup() as tasks:
        living = tasks.create_task(_show_life(watchers))
        try:
            for start in range(0, len(watchers), AT_ONCE):
                group = watchers[start : start + AT_ONCE]
                await asyncio.gather(*(watcher.watch(url, epoch_id) for watcher in group))
                for watcher in group:
                    tasks.create_task(watcher.run())
                on_count(start + len(group))
            yield watchers
        finally:
            living.cancel()
            for watcher in watchers:
                watcher.close()


async def _show_life(watchers: Sequence[Watcher]) -> None:
    """Show life often enough for the first watcher's server, in slices."""
    slices = [watchers[start::SLICES] for start in range(SLICES)]
    for some in cycle(slices):
        await asyncio.sleep((watchers[0].heartbeat_s or HEARTBEAT_MIN_S) / SLICES / 2)
        for watcher in some:
            watcher.send_heartbeat()
