"""One account's connection to one server: greeted, kept alive, and resumed where it broke off.

What happens on a connection, in order: `session.hello`; `game.resume` (or `game.watch`) for every
followed game, from the event after its last one; then, in any order, commands, events, updates
and a `session.ping` each heartbeat. When the websocket closes:

1. every command that waits for a reply fails with `ConnectionLost`. `call` sends those again that
   only read; moves are repeated by `game.MoveQueue`, under the numbers that they had;
2. unless the close code forbids it, a new websocket is opened after a random pause, which grows
   with every attempt that got no greeting;
3. streams resume, so that what was missed arrives before anything new.
"""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

import orjson

from playhall.account import Account
from playhall.errors import (
    ClientError,
    ConnectionLost,
    EventOutOfOrder,
    Json,
    RequestRefused,
    ServerUnreachable,
)
from playhall.game import GameStream, MoveQueue, OnReply
from playhall.http import full_jitter_pause_s
from playhall.transport import (
    ABNORMAL,
    OnFrame,
    OpenTransport,
    Transport,
    WebsocketClosed,
    open_websocket,
)

CALLS_MAX: Final = 32  # that wait for their replies at once
CALL_TIMEOUT_S: Final = 30.0
ATTEMPTS_MAX: Final = 15  # without one greeting in between
SILENT_INTERVALS: Final = 3  # heartbeats without a frame, after which the connection is dead
# The last update, which is made here: the connection is closed for good.
ENDED: Final = "connection.ended"
# Updates that are made here as well: the connection was lost and is being restored, and is back.
LOST: Final = "connection.lost"
RESTORED: Final = "connection.restored"
# Commands that only read, so that they may be sent again.
READS: Final = frozenset({"session.ping", "game.snapshot", "lobby.list", "lobby.watch"})
CLIENT_NAME: Final = "playhall-python"


class Connection:
    """One account's connection to one server.

    `run` keeps it up; everything else may be used while it runs. `on_update` gets what is
    neither a reply nor an event. `on_frame`, if given, gets every frame, and passes on to
    `receive` what it does not handle itself.
    """

    def __init__(
        self,
        url: str,
        account: Account,
        *,
        on_update: Callable[[Json], None],
        open_transport: OpenTransport = open_websocket,
        on_frame: OnFrame | None = None,
    ) -> None:
        self.account = account
        self.welcome: Json = {}  # the server's last greeting
        self.failure: ClientError | None = None  # why it will not come up again
        self.reconnects = 0
        self.streams: dict[str, GameStream] = {}  # what is followed, by game id
        self._url = url
        self._open_transport = open_transport
        self._on_update = on_update
        self._on_frame: OnFrame = on_frame or self.handle_frame
        self._transport: Transport | None = None
        self._ready = asyncio.Event()  # greeted and resumed, or failed for good
        self._closing = asyncio.Event()
        self._calls = asyncio.BoundedSemaphore(CALLS_MAX)
        self._waiting: dict[int, OnReply] = {}  # by the id of their command
        self._next_id = 0
        self._heard_at = 0.0  # when the last frame came, monotonic
        self._is_lost = False  # whether it was said that the connection is lost
        self._pause_s = 0.0  # what a closing server asked for, before the next attempt
        self._refusal: RequestRefused | None = None  # of the greeting, where a retry is of no use

    # ------------------------------------------------------------------ what is asked

    async def call(self, command: str, **fields: object) -> Json:
        """Send a command and wait for its reply; raise `RequestRefused` or `ConnectionLost`.

        A command that only reads is sent again if the connection was lost meanwhile.
        """
        async with self._calls:
            try:
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    return await self._call(command, fields)
            except TimeoutError:
                raise ConnectionLost(
                    f"{command} was not answered within {CALL_TIMEOUT_S:.0f} s."
                ) from None

    async def wait_until_ready(self) -> None:
        """Wait until the connection is up; raise what keeps it from coming up for good."""
        if not self._ready.is_set():
            await self._ready.wait()
        if self.failure is not None:
            raise self.failure

    async def follow(self, stream: GameStream) -> None:
        """Follow a game from its next index on, now and after every interruption."""
        await self.wait_until_ready()
        self.streams[stream.game_id] = stream
        try:
            await self._start_stream(stream)
        except ConnectionLost:
            await self.wait_until_ready()  # by then, the new connection has resumed it
        except RequestRefused:
            self.unfollow(stream.game_id)
            raise

    async def resume(self, stream: GameStream) -> None:
        """Ask again for a stream that was paused, from its next index on."""
        if self._ready.is_set():
            try:
                await self._stop_sending(stream)
                await self._start_stream(stream)
            except ConnectionLost:
                pass  # the next connection resumes it
        await self.wait_until_ready()

    def unfollow(self, game_id: str) -> None:
        """Stop following a game."""
        self.streams.pop(game_id, None)

    def track_moves(self, game_id: str) -> MoveQueue:
        """Make the moves of a game that is about to be followed."""

        def later(tries: int, action: Callable[[], None]) -> None:
            asyncio.get_running_loop().call_later(
                full_jitter_pause_s(tries) if tries else 0, action
            )

        def send(fields: Json, on_reply: OnReply) -> None:
            self._send("game.act", {"game_id": game_id, **fields}, on_reply)

        return MoveQueue(send, later)

    def request_snapshot(self, game_id: str, on_reply: OnReply) -> None:
        """Ask for a game's snapshot, without waiting."""
        self._send("game.snapshot", {"game_id": game_id}, on_reply)

    def close(self) -> None:
        """Close for good."""
        self._closing.set()
        if self._transport is not None:
            self._transport.close()

    def drop_websocket(self) -> None:
        """Drop the present websocket, as a bad network would."""
        if self._transport is not None:
            self._transport.close()

    # ------------------------------------------------------------------ keeping it up

    async def run(self) -> None:
        """Keep the connection up until it is closed here or the server forbids coming back."""
        attempt = 0
        end: ClientError | None = None
        while end is None:
            greeted, closed = await self._connect_once()
            attempt = 0 if greeted else attempt + 1
            end = self._end_after(closed, attempt)
            if end is None:
                self.reconnects += greeted
                await self._pause(attempt)
        self._end(end)

    def _end_after(self, closed: WebsocketClosed, attempt: int) -> ClientError | None:
        """Say why connecting again is of no use; None if it is."""
        if self._closing.is_set():
            return ConnectionLost("The connection was closed.")
        if self._refusal is not None:
            return self._refusal
        if closed.retry and attempt < ATTEMPTS_MAX:
            return None
        return ConnectionLost(f"The connection is lost ({closed.code} {closed.reason}).")

    async def _connect_once(self) -> tuple[bool, WebsocketClosed]:
        """Connect, greet, and carry frames until the close; says whether it was greeted."""
        try:
            await self._renew()
            transport = await self._open_transport(self._url, self._on_frame)
        except RequestRefused as refused:
            self._refusal = None if refused.retry else refused
            return False, WebsocketClosed(ABNORMAL, refused.code)
        except ServerUnreachable as error:
            return False, WebsocketClosed(ABNORMAL, str(error))
        self._transport = transport
        if self._closing.is_set():
            transport.close()  # it was closed while it was being opened
        try:
            async with asyncio.TaskGroup() as tasks:
                keeping_alive = tasks.create_task(self._keep_alive(transport))
                closed = await transport.run()
                keeping_alive.cancel()
            return self._ready.is_set(), closed
        finally:
            transport.close()
            self._disconnected()

    async def _keep_alive(self, transport: Transport) -> None:
        """Greet, resume the games, then send heartbeats until the server falls silent."""
        try:
            await self._greet()
            self._ready.set()
            if self._is_lost:
                self._is_lost = False
                self._on_update({"type": RESTORED})
            heartbeat_s = self.welcome["heartbeat_ms"] / 1000
            while time.monotonic() - self._heard_at < SILENT_INTERVALS * heartbeat_s:
                await asyncio.sleep(heartbeat_s)
                self._send("session.ping", {}, _ignore)
                if self.account.needs_renewal:
                    await self._renew()
                    await self._ask("session.refresh", {"token": self.account.token})
        except RequestRefused as refused:
            self._refusal = None if refused.retry else refused
        except (ClientError, TimeoutError):
            pass  # the transport is closed below, and `run` begins anew
        transport.close()

    async def _greet(self) -> None:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            hello = {"token": self.account.token, "client": CLIENT_NAME, "version": "1"}
            self.welcome = await self._ask("session.hello", hello)
            for stream in list(self.streams.values()):
                await self._start_or_fail(stream)

    async def _start_or_fail(self, stream: GameStream) -> None:
        try:
            await self._start_stream(stream)
        except RequestRefused as refused:
            if refused.retry:
                raise
            stream.fail(refused)
            self.unfollow(stream.game_id)

    async def _stop_sending(self, stream: GameStream) -> None:
        with suppress(RequestRefused):  # it was not being sent any more
            await self._ask("game.unwatch", {"game_id": stream.game_id})

    async def _start_stream(self, stream: GameStream) -> None:
        """Ask for the events after the last one; those that exist come before the reply."""
        command = "game.resume" if stream.as_player else "game.watch"
        stream.paused = False
        reply = await self._ask(
            command, {"game_id": stream.game_id, "after": stream.next_index - 1}
        )
        is_whole = stream.live is not None or stream.next_index > reply["head"]
        if not stream.paused and not is_whole:
            stream.fail(EventOutOfOrder(f"the stream ended before event {reply['head']}"))
        stream.seat = reply["seat"]
        stream.moves.on_connected(reply["cmd_no"])

    async def _renew(self) -> None:
        if self.account.needs_renewal:
            await self.account.renew()

    async def _pause(self, attempt: int) -> None:
        pause_s, self._pause_s = max(self._pause_s, full_jitter_pause_s(attempt)), 0.0
        with suppress(TimeoutError):  # the pause is over
            await asyncio.wait_for(self._closing.wait(), pause_s)

    def _disconnected(self) -> None:
        if self._ready.is_set() and not self._closing.is_set():
            self._is_lost = True
            self._on_update({"type": LOST})
        self._ready.clear()
        self._transport = None
        for stream in self.streams.values():
            stream.moves.on_disconnected()
        waiting, self._waiting = self._waiting, {}
        for on_reply in waiting.values():
            on_reply(ConnectionLost("The connection was lost before the answer came."))

    def _end(self, error: ClientError) -> None:
        self.failure = error
        self._ready.set()
        for stream in self.streams.values():
            stream.fail(error)
        self._on_update({"type": ENDED})

    def _stop(self, message: Json) -> None:
        """Note that the server cannot go on with a game."""
        stream = self.streams.pop(message["game_id"], None)
        if stream is not None:
            stream.fail(RequestRefused(message["code"], message["message"]))

    # ------------------------------------------------------------------ frames

    async def _call(self, command: str, fields: dict[str, object]) -> Json:
        while True:
            await self.wait_until_ready()
            try:
                return await self._ask(command, fields)
            except ConnectionLost:
                if command not in READS:
                    raise

    async def _ask(self, command: str, fields: Json | dict[str, object]) -> Json:
        reply: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._send(command, fields, partial(_settle, reply))
        return await reply

    def _send(self, command: str, fields: Json | dict[str, object], on_reply: OnReply) -> None:
        if self._transport is None:
            on_reply(ConnectionLost("There is no connection."))
            return
        self._next_id += 1
        self._waiting[self._next_id] = on_reply
        self._transport.send(orjson.dumps({"id": self._next_id, "type": command, **fields}))

    def handle_frame(self, frame: bytes) -> None:
        """Take one frame from the server."""
        self._heard_at = time.monotonic()
        message = orjson.loads(frame)
        if "re" in message:
            on_reply = self._waiting.pop(message["re"], None)
            if on_reply is not None:
                on_reply(message)
        elif message["type"] == "game.event":
            stream = self.streams.get(message["game_id"])
            if stream is not None:
                stream.handle_event(message)
        elif message["type"] == "game.patch":
            stream = self.streams.get(message["game_id"])
            if stream is not None:
                stream.handle_patch(message)
        elif message["type"] == "game.state":
            stream = self.streams.get(message["game_id"])
            if stream is not None:
                stream.handle_state(message)
        else:
            if message["type"] == "game.stopped":
                self._stop(message)
            elif message["type"] == "session.closing":
                self._pause_s = random.uniform(0, message["pause_ms"] / 1000)  # noqa: S311 - no secret
            self._on_update(message)


def _ignore(_: Json | ClientError) -> None:
    """Drop a ping's reply: that it came was noted."""


def _settle(waiting: "asyncio.Future[Json]", reply: Json | ClientError) -> None:
    if waiting.done():
        return  # whoever waited has given up
    if isinstance(reply, ClientError):
        waiting.set_exception(reply)
    elif reply["type"] == "error":
        waiting.set_exception(RequestRefused.from_reply(reply))
    else:
        waiting.set_result(reply)
