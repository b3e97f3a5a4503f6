"""A connection that is kept up: greeted, shown alive, and taken up again where it broke off."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

import orjson

from loadtest.line.account import Account
from loadtest.line.backoff import full_jitter_s
from loadtest.line.errors import ClientError, Lost, OutOfOrder, Refused, Unreachable
from loadtest.line.following import Following
from loadtest.line.moves import Moves, OnReply
from loadtest.line.wires import ABNORMAL, Closed, Dial, OnFrame, Wire
from protocol.game import Json

CALLS_MAX: Final = 32  # that wait for their replies at once
CALL_TIMEOUT_S: Final = 30.0
ATTEMPTS_MAX: Final = 15  # without one greeting in between
SILENT_INTERVALS: Final = 3
# The last update, which is made here: the connection is closed for good.
ENDED: Final = "link.ended"
READS: Final = frozenset({"session.ping", "game.snapshot", "lobby.list", "lobby.watch"})
CLIENT_NAME: Final = "playhall-python"


class Link:
    """One account's connection to one server.

    `run` keeps it up; everything else may be used while it runs. `on_update` gets what is
    neither a reply nor an event. `on_frame`, if given, gets every frame, and passes on to
    `receive` what it does not deal with itself.
    """

    def __init__(
        self,
        url: str,
        account: Account,
        *,
        dial: Dial,
        on_update: Callable[[Json], None],
        on_frame: OnFrame | None = None,
    ) -> None:
        self.account = account
        self.welcome: Json = {}
        self.failure: ClientError | None = None
        self.reconnects = 0
        self.following: dict[str, Following] = {}
        self._url = url
        self._dial = dial
        self._on_update = on_update
        self._on_frame: OnFrame = on_frame or self.receive
        self._wire: Wire | None = None
        self._up = asyncio.Event()
        self._closing = asyncio.Event()
        self._calls = asyncio.BoundedSemaphore(CALLS_MAX)
        self._waiting: dict[int, OnReply] = {}
        self._next_id = 0
        self._heard_at = 0.0
        self._pause_s = 0.0
        self._refusal: Refused | None = None

    # ------------------------------------------------------------------ what is asked

    async def call(self, command: str, **fields: object) -> Json:
        """Send a command and wait for its reply; raise `Refused` or `Lost`.

        A command that only reads is sent again if the connection was lost meanwhile.
        """
        async with self._calls:
            try:
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    return await self._call(command, fields)
            except TimeoutError:
                raise Lost(f"No answer to {command} came within {CALL_TIMEOUT_S:.0f} s.") from None

    async def up(self) -> None:
        """Wait until the connection is up; raise what keeps it from coming up for good."""
        if not self._up.is_set():
            await self._up.wait()
        if self.failure is not None:
            raise self.failure

    async def follow(self, following: Following) -> None:
        """Take up a game's stream from its next index on, now and after every interruption."""
        await self.up()
        self.following[following.game_id] = following
        try:
            await self._take_up(following)
        except Lost:
            await self.up()  # by then, the new connection has taken it up
        except Refused:
            self.unfollow(following.game_id)
            raise

    async def take_up_again(self, following: Following) -> None:
        """Ask again for a stream that was paused, from its next index on."""
        if self._up.is_set():
            try:
                await self._stop_sending(following)
                await self._take_up(following)
            except Lost:
                pass  # the next connection takes it up
        await self.up()

    def unfollow(self, game_id: str) -> None:
        """Take up a game's stream no more."""
        self.following.pop(game_id, None)

    def moves_of(self, game_id: str) -> Moves:
        """Make the moves of a game that is about to be followed."""

        def later(tries: int, action: Callable[[], None]) -> None:
            asyncio.get_running_loop().call_later(full_jitter_s(tries) if tries else 0, action)

        def send(fields: Json, on_reply: OnReply) -> None:
            self._send("game.act", {"game_id": game_id, **fields}, on_reply)

        return Moves(send, later)

    def look(self, game_id: str, on_reply: OnReply) -> None:
        """Ask for a game's picture."""
        self._send("game.snapshot", {"game_id": game_id}, on_reply)

    def close(self) -> None:
        """Close for good."""
        self._closing.set()
        if self._wire is not None:
            self._wire.close()

    def interrupt(self) -> None:
        """Drop the present connection, as a bad network would."""
        if self._wire is not None:
            self._wire.close()

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

    def _end_after(self, closed: Closed, attempt: int) -> ClientError | None:
        """Say why connecting again is of no use; None if it is."""
        if self._closing.is_set():
            return Lost("The connection was closed.")
        if self._refusal is not None:
            return self._refusal
        if closed.retry and attempt < ATTEMPTS_MAX:
            return None
        return Lost(f"The connection is lost ({closed.code} {closed.reason}).")

    async def _connect_once(self) -> tuple[bool, Closed]:
        """Dial, greet, and carry frames until the end; says whether the greeting succeeded."""
        try:
            await self._renew()
            wire = await self._dial(self._url, self._on_frame)
        except Refused as refused:
            self._refusal = None if refused.retry else refused
            return False, Closed(ABNORMAL, refused.code)
        except Unreachable as error:
            return False, Closed(ABNORMAL, str(error))
        self._wire = wire
        if self._closing.is_set():
            wire.close()  # it was closed while it was being opened
        try:
            async with asyncio.TaskGroup() as tasks:
                tending = tasks.create_task(self._tend(wire))
                closed = await wire.run()
                tending.cancel()
            return self._up.is_set(), closed
        finally:
            wire.close()
            self._hang()

    async def _tend(self, wire: Wire) -> None:
        """Greet, take up the games, then show life until the wire closes."""
        try:
            await self._greet()
            self._up.set()
            heartbeat_s = self.welcome["heartbeat_ms"] / 1000
            while time.monotonic() - self._heard_at < SILENT_INTERVALS * heartbeat_s:
                await asyncio.sleep(heartbeat_s)
                self._send("session.ping", {}, _ignore)
                if self.account.is_due:
                    await self._renew()
                    await self._ask("session.refresh", {"token": self.account.token})
        except Refused as refused:
            self._refusal = None if refused.retry else refused
        except (ClientError, TimeoutError):
            pass  # the wire is closed below, and `run` begins anew
        wire.close()

    async def _greet(self) -> None:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            hello = {"token": self.account.token, "client": CLIENT_NAME, "version": "1"}
            self.welcome = await self._ask("session.hello", hello)
            for following in list(self.following.values()):
                await self._take_up_or_fail(following)

    async def _take_up_or_fail(self, following: Following) -> None:
        try:
            await self._take_up(following)
        except Refused as refused:
            if refused.retry:
                raise
            following.fail(refused)
            self.unfollow(following.game_id)

    async def _stop_sending(self, following: Following) -> None:
        with suppress(Refused):  # it was not being sent any more
            await self._ask("game.unwatch", {"game_id": following.game_id})

    async def _take_up(self, following: Following) -> None:
        command = "game.resume" if following.as_player else "game.watch"
        following.paused = False
        reply = await self._ask(
            command, {"game_id": following.game_id, "after": following.next_index - 1}
        )
        if not following.paused and following.next_index <= reply["head"]:
            following.fail(OutOfOrder(f"the stream ended before event {reply['head']}"))
        following.seat = reply["seat"]
        following.moves.open(reply["cmd_no"])

    async def _renew(self) -> None:
        if self.account.is_due:
            await self.account.renew()

    async def _pause(self, attempt: int) -> None:
        pause_s, self._pause_s = max(self._pause_s, full_jitter_s(attempt)), 0.0
        with suppress(TimeoutError):  # the pause is over
            await asyncio.wait_for(self._closing.wait(), pause_s)

    def _hang(self) -> None:
        self._up.clear()
        self._wire = None
        for following in self.following.values():
            following.moves.hang()
        waiting, self._waiting = self._waiting, {}
        for on_reply in waiting.values():
            on_reply(Lost("The connection was lost before the answer came."))

    def _end(self, error: ClientError) -> None:
        self.failure = error
        self._up.set()
        for following in self.following.values():
            following.fail(error)
        self._on_update({"type": ENDED})

    def _stop(self, message: Json) -> None:
        """Take note that a game does not go on."""
        following = self.following.pop(message["game_id"], None)
        if following is not None:
            following.fail(Refused(message["code"], message["message"]))

    # ------------------------------------------------------------------ frames

    async def _call(self, command: str, fields: dict[str, object]) -> Json:
        while True:
            await self.up()
            try:
                return await self._ask(command, fields)
            except Lost:
                if command not in READS:
                    raise

    async def _ask(self, command: str, fields: Json | dict[str, object]) -> Json:
        reply: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._send(command, fields, partial(_settle, reply))
        return await reply

    def _send(self, command: str, fields: Json | dict[str, object], on_reply: OnReply) -> None:
        if self._wire is None:
            on_reply(Lost("There is no connection."))
            return
        self._next_id += 1
        self._waiting[self._next_id] = on_reply
        self._wire.send(orjson.dumps({"id": self._next_id, "type": command, **fields}))

    def receive(self, frame: bytes) -> None:
        """Take one frame from the server."""
        self._heard_at = time.monotonic()
        message = orjson.loads(frame)
        if "re" in message:
            on_reply = self._waiting.pop(message["re"], None)
            if on_reply is not None:
                on_reply(message)
        elif message["type"] == "game.event":
            following = self.following.get(message["game_id"])
            if following is not None:
                following.take(message)
        else:
            if message["type"] == "game.stopped":
                self._stop(message)
            elif message["type"] == "session.closing":
                self._pause_s = random.uniform(0, message["pause_ms"] / 1000)  # noqa: S311 - no secret
            self._on_update(message)


def _ignore(_: Json | ClientError) -> None:
    """Let a ping's reply go: that it came was noted."""


def _settle(waiting: "asyncio.Future[Json]", reply: Json | ClientError) -> None:
    if waiting.done():
        return  # whoever waited has given up
    if isinstance(reply, ClientError):
        waiting.set_exception(reply)
    elif reply["type"] == "error":
        waiting.set_exception(Refused.of(reply))
    else:
        waiting.set_result(reply)
