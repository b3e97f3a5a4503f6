"""Players who write down, outside the server, what they sent, were answered, and saw.

    Witness   one player's record of one game
    Player    a connection that is taken up again where it broke off, and repeats a move
              until its fate is known

They stand on the `websockets` library alone, so that nothing of Playhall's own can hide a
fault. A player reads only while it waits for something; what passes by is written down.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, Self

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from protocol.ids import GameId

Json = dict[str, Any]
# Gives the address (`http://…`) to try next; asked again after every failure.
Where = Callable[[], str]

# Nothing is measured with these: what takes longer does not happen at all.
PATIENCE_S: Final = 120
ANSWER_TIMEOUT_S: Final = 20
OPEN_TIMEOUT_S: Final = 5
PAUSE_S: Final = 0.05

GONE: Final = (ConnectionClosed, InvalidHandshake, OSError, TimeoutError)


class Refused(Exception):
    """The server said no, and that sending it again would not help."""

    def __init__(self, reply: Json) -> None:
        super().__init__(f"{reply['code']}: {reply['message']}")
        self.reply = reply


@dataclass
class Witness:
    """One player's record of one game; commands are numbered from 1."""

    player_id: str
    game_id: str
    seat: int = -1
    sent: dict[int, Json] = field(default_factory=dict)
    replies: dict[int, list[Json]] = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether the game's last event was seen."""
        return bool(self.events) and self.events[-1]["event"] == "game_completed"


class Player:
    """One guest. `witness` is set once it sits at a game."""

    def __init__(self, where: Where, tokens: Json) -> None:
        self.where = where
        self.tokens = tokens
        self.player_id: str = tokens["player_id"]
        self.returns = 0
        self.resumed_in_s: list[float] = []
        self._address: str | None = None  # where the server said to go
        self._socket: ClientConnection | None = None
        self._next_id = 0
        self._witness: Witness | None = None

    @classmethod
    async def arrive(cls, where: Where) -> Self:
        """Sign in as a new guest, and greet."""
        async with (
            aiohttp.ClientSession() as web,
            web.post(f"{where()}/v1/auth/guest", json={}, raise_for_status=True) as answer,
        ):
            player = cls(where, await answer.json())
        await player.come_back()
        return player

    @property
    def witness(self) -> Witness:
        """The record of the game that it sits at."""
        assert self._witness is not None
        return self._witness

    @property
    def game_id(self) -> GameId:
        """The game that it sits at."""
        return GameId(self.witness.game_id)

    @property
    def asked(self) -> int:
        """The id of the last command sent."""
        return self._next_id

    def again(self, where: Where) -> "Player":
        """Make a second self: the same account and the same record, another connection."""
        other = Player(where, self.tokens)
        other._witness = self._witness
        return other

    async def leave(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.transport.abort()
            self._socket = None

    # ------------------------------------------------------------------ playing

    async def sit(self, game_id: str) -> None:
        """Take a seat's stream, from the first event on."""
        self._witness = Witness(self.player_id, game_id)
        try:
            await self.resume()
        except (*GONE, Refused):
            await self.come_back()

    async def act(self, move: Json) -> Json:
        """Make a move; gives the reply once its fate is known."""
        cmd_no = len(self.witness.sent) + 1
        self.witness.sent[cmd_no] = move
        return await self.repeat(cmd_no)

    async def repeat(self, cmd_no: int) -> Json:
        """Send a command until it is answered for good."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    reply = await self.send_once(cmd_no)
                except GONE:
                    await self.come_back()
                    continue
                if not reply.get("retry"):
                    return reply
                await asyncio.sleep(PAUSE_S)

    async def send_once(self, cmd_no: int) -> Json:
        """Send a command and take its reply, whatever that is."""
        move, game_id = self.witness.sent[cmd_no], self.witness.game_id
        reply = await self.exchange("game.act", game_id=game_id, cmd_no=cmd_no, move=move)
        self.witness.replies.setdefault(cmd_no, []).append(reply)
        return reply

    async def see(self, index: int) -> None:
        """Read on until an event was seen, or the game's last one."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.witness.events) <= index and not self.witness.is_over:
                try:
                    await self.read()
                except GONE:
                    await self.come_back()

    async def see_the_end(self) -> None:
        """Read on until the game is over."""
        while not self.witness.is_over:
            await self.see(len(self.witness.events))

    async def call(self, command: str, **fields: object) -> Json:
        """Ask for something that may be repeated; raise `Refused` if that cannot help."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    return await self.ask(command, **fields)
                except GONE:
                    await self.come_back()
                except Refused as refused:
                    if not refused.reply["retry"]:
                        raise
                    await asyncio.sleep(PAUSE_S)

    # ------------------------------------------------------------------ the connection

    async def come_back(self) -> None:
        """Connect anew, wherever the game is now, and go on after the last event seen."""
        self.returns += 1
        async with asyncio.timeout(PATIENCE_S):
            while not await self._came_back():
                await asyncio.sleep(PAUSE_S)

    async def _came_back(self) -> bool:
        try:
            await self.greet()
            if self._witness is not None:
                await self.resume()
        except GONE:
            return False
        except Refused as refused:
            if refused.reply["code"] == "token_expired":
                return await self._refreshed()
            if not refused.reply["retry"]:
                raise
            return False
        return True

    async def _refreshed(self) -> bool:
        """Get a new access token, as any client does in a run of more than ten minutes."""
        body = {"refresh_token": self.tokens["refresh_token"]}
        try:
            async with (
                aiohttp.ClientSession(self.where()) as web,
                web.post("/v1/auth/refresh", json=body) as answer,
            ):
                assert answer.status == 200, await answer.text()
                self.tokens |= await answer.json()
        except aiohttp.ClientError:
            pass  # that node is gone; it is tried again at another
        return False

    async def greet(self) -> None:
        """Connect anew and say who it is, no more."""
        await self.leave()
        address, self._address = self._address or self.where(), None
        self._socket = await connect(
            address.replace("http", "ws", 1) + "/ws",
            subprotocols=[Subprotocol("playhall.v1")],
            compression=None,
            max_queue=None,
            open_timeout=OPEN_TIMEOUT_S,
            ping_interval=None,
            proxy=None,
        )
        await self.ask("session.hello", token=self.tokens["access_token"])

    async def resume(self) -> None:
        """Take the game up after the last event seen."""
        witness = self.witness
        after = len(witness.events) - 1
        asked_at = monotonic()
        reply = await self.ask("game.resume", game_id=witness.game_id, after=after)
        self.resumed_in_s.append(monotonic() - asked_at)
        witness.seat = reply["seat"]

    async def ask(self, command: str, **fields: object) -> Json:
        """Ask on the present connection; raise `Refused`, or one of `GONE`."""
        reply = await self.exchange(command, **fields)
        if reply["type"] == "error":
            raise Refused(reply)
        return reply

    async def exchange(self, command: str, **fields: object) -> Json:
        """Ask on the present connection; gives the reply, whatever it says."""
        command_id = await self.say(command, **fields)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while (message := await self.read()).get("re") != command_id:
                pass
        return message

    async def say(self, command: str, **fields: object) -> int:
        """Send a command and wait for nothing; gives its id."""
        if self._socket is None:
            raise ConnectionError("not connected")
        self._next_id += 1
        frame = json.dumps({"id": self._next_id, "type": command, **fields})
        await self._socket.send(frame)
        return self._next_id

    async def read(self) -> Json:
        """Take the next message, and write down what it tells."""
        if self._socket is None:
            raise ConnectionError("not connected")
        message: Json = json.loads(await self._socket.recv())
        if message["type"] == "game.event":
            self.witness.events.append(message)
        self._address = message.get("address") or self._address
        return message

    async def read_to_the_close(self) -> tuple[list[Json], int | None]:
        """Take all that comes on this connection until it closes; gives it, and the code."""
        said: list[Json] = []
        assert self._socket is not None
        async with asyncio.timeout(PATIENCE_S):
            with suppress(ConnectionClosed):
                while True:
                    said.append(json.loads(await self._socket.recv()))
        return said, self._socket.close_code


@asynccontextmanager
async def table(
    where: Where, ruleset: str, *, humans: int, bots: tuple[str, ...] = (), **config: object
) -> AsyncIterator[list[Player]]:
    """Seat some players at a game that has started; they hang up at the end."""
    players = [await Player.arrive(where) for _ in range(humans)]
    try:
        await _start(players, ruleset, bots, config)
        yield players
    finally:
        for player in players:
            await player.leave()


async def _start(
    players: list[Player], ruleset: str, bots: tuple[str, ...], config: dict[str, object]
) -> None:
    host, *guests = players
    seats = len(players) + len(bots)
    made = await host.ask("lobby.create", ruleset=ruleset, seats=seats, config=config)
    lobby_id, code = made["lobby"]["lobby_id"], made["lobby"]["join_code"]
    for guest in guests:
        await guest.ask("lobby.join", code=code)
        await guest.ask("lobby.ready", lobby_id=lobby_id)
    for bot in bots:
        await host.ask("lobby.add_bot", lobby_id=lobby_id, bot=bot)
    started = await host.ask("lobby.start", lobby_id=lobby_id)
    for player in players:
        await player.sit(started["lobby"]["game_id"])
