"""An account on a server, the games that it plays, and their events.

A connection that breaks is resumed: events keep coming in order, without a hole or a repeat, and
a move that was sent acts once.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from functools import partial
from types import TracebackType
from typing import Final, NamedTuple

from playhall.account import Account
from playhall.connection import Connection
from playhall.errors import ClientError, Json, RequestRefused
from playhall.game import GAME_COMPLETED, GameStream, LiveView, event_index_of
from playhall.http import HttpClient

# How many events of a game may wait to be read. The rest is asked for again when they were.
EVENTS_MAX: Final = 1024
# How many updates may wait to be read; the oldest go first.
UPDATES_MAX: Final = 256


class Event(NamedTuple):
    """A fact of a game; `payload` is None where this player may not look into it."""

    event_index: int
    type: str
    payload: Json | None
    at: str


def connect(
    url: str, *, name: str | None = None, token: str | None = None, refresh_token: str | None = None
) -> "Client":
    """Make a client for `async with`: it signs in as a guest, or uses a token that it is given."""
    return Client(url, name=name, token=token, refresh_token=refresh_token)


class Client:
    """One account on one server.

    `http` makes requests to the same server, for what has no command.
    """

    def __init__(
        self, url: str, *, name: str | None, token: str | None, refresh_token: str | None
    ) -> None:
        self.http = HttpClient(url)
        self._refresh_token = refresh_token
        self._name = name
        self._token = token
        self._updates: deque[Json] = deque(maxlen=UPDATES_MAX)
        self._updated = asyncio.Event()
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> "Client":
        await self.http.__aenter__()
        try:
            self._connection = Connection(
                self.http.socket_url, await self._account(), on_update=self._take_update
            )
        except BaseException:
            await self.http.__aexit__(None, None, None)
            raise
        await self._tasks.__aenter__()
        self._tasks.create_task(self._connection.run())
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._connection.close()
        try:
            # What the block raised goes on as it is, not wrapped in a group.
            await self._tasks.__aexit__(None, None, None)
        finally:
            await self.http.__aexit__(None, None, None)

    @property
    def connection(self) -> Connection:
        """The connection below, with the account's tokens."""
        return self._connection

    async def player_id(self) -> str:
        """Say who this is."""
        await self._connection.wait_until_ready()
        return str(self._connection.welcome["player_id"])

    async def call(self, command: str, **fields: object) -> Json:
        """Send a command (`"lobby.create"`) and return its reply.

        Raises `RequestRefused` or `ConnectionLost`.
        """
        return await self._connection.call(command, **fields)

    async def quick_play(self, ruleset: str, **options: object) -> "Game":
        """Join players who wait, or get bots; gives the game once it has started."""
        reply = await self.call("lobby.quick_play", ruleset=ruleset, **options)
        return await self.wait_for_game(reply["lobby"])

    async def wait_for_game(self, lobby: Json) -> "Game":
        """Wait until a lobby's game has started, and follow it.

        In a lobby with several tables, it is the game of the table at which you sit.
        """
        me = await self.player_id()
        if (game_id := game_in(lobby, me)) is not None:
            return await self.game(game_id)
        async for update in self.updates():
            if update["type"] == "lobby.update" and update["lobby_id"] == lobby["lobby_id"]:
                if (game_id := game_in(update["lobby"], me)) is not None:
                    return await self.game(game_id)
                if update["lobby"]["status"] == "CLOSED":
                    raise RequestRefused(
                        "lobby_closed", "The lobby was closed before the game started."
                    )
        raise AssertionError("updates end only with an error")

    async def game(self, game_id: str, *, watch: bool = False) -> "Game":
        """Follow a game from its first event on: as its player, or as a spectator."""
        game = Game(self._connection, game_id, watch=watch)
        await self._connection.follow(game.stream)
        return game

    async def updates(self) -> AsyncIterator[Json]:
        """Give what the server says outside any game: lobbies, chat, the closing of sockets."""
        while True:
            while self._updates:
                yield self._updates.popleft()
            if self._connection.failure is not None:
                raise self._connection.failure
            self._updated.clear()
            await self._updated.wait()

    async def _account(self) -> Account:
        if self._token is not None:
            return Account(self.http, self._token)
        if self._refresh_token is not None:
            return await Account.sign_in_again(self.http, self._refresh_token)
        return await Account.sign_in_as_guest(self.http, self._name)

    def _take_update(self, update: Json) -> None:
        self._updates.append(update)
        self._updated.set()


class Game:
    """One game: iterate it for its events, act in it, ask for its state."""

    def __init__(self, connection: Connection, game_id: str, *, watch: bool) -> None:
        self.game_id = game_id
        self._seen = asyncio.Event()
        self.stream = GameStream(
            game_id,
            connection.track_moves(game_id),
            on_event=self._take,
            on_failure=lambda _: self._wake(),
            on_view=self._seen.set,
            as_player=not watch,
        )
        self._connection = connection
        # Of a real-time game, which may be followed for its views alone, the oldest go first.
        self._events: deque[Event] = deque(maxlen=EVENTS_MAX)
        self._arrived = asyncio.Event()
        self._ended = False

    @property
    def seat(self) -> int | None:
        """Your seat; None for a spectator."""
        return self.stream.seat

    def __aiter__(self) -> "Game":
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            await self._wait_for_events()
        event = self._events.popleft()
        if event.type == GAME_COMPLETED:
            self._ended = True
            self._connection.unfollow(self.game_id)
        return event

    async def act(self, move: Json, *, expected_head: int | None = None) -> int:
        """Make a move; gives the index of its first event once that is committed.

        With `expected_head`, the move is refused (`game_moved_on`) if anything that counts has
        happened since that event: what a person chose is then played nowhere else.
        """
        if self.stream.failure is not None:
            raise self.stream.failure
        index: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.stream.moves.send_move(move, partial(_settle, index), expected_head=expected_head)
        return await index

    async def view(self) -> Json:
        """Ask for the whole state as you may see it, with your `legal_moves`."""
        view = (await self.snapshot())["view"]
        assert isinstance(view, dict)
        return view

    async def snapshot(self) -> Json:
        """Ask for the state, whose turn it is, and how long it may take."""
        return await self._connection.call("game.snapshot", game_id=self.game_id)

    @property
    def live(self) -> LiveView:
        """What you see of a real-time game now; kept up to date as patches arrive.

        Raises `ClientError` in a game that is not played in real time.
        """
        if self.stream.live is None:
            raise ClientError("This game is not played in real time; use view().")
        return self.stream.live

    async def views(self) -> AsyncIterator[LiveView]:
        """Give the view of a real-time game whenever it has changed, the latest one each time.

        A spectator who sees the game late waits for the first one. Ends when the game has ended;
        raises what the game's events raise.
        """
        while not self.stream.completed:
            self._seen.clear()
            if self.stream.live is not None or not self._may_come_late:
                yield self.live
            if not self._seen.is_set():
                await self._seen.wait()
            if self.stream.failure is not None:
                raise self.stream.failure
            if self.stream.paused:
                await self._connection.resume(self.stream)

    @property
    def _may_come_late(self) -> bool:
        """Whether this may be a real-time game of which nothing is shown yet."""
        return not self.stream.as_player and self.stream.next_index == 0

    async def send_ephemeral(self, data: Json) -> None:
        """Show everybody at the game something that nobody keeps: a cursor, an emote.

        It arrives among `Client.updates` as `game.ephemeral`. Raises `RequestRefused`.
        """
        await self._connection.call("game.send_ephemeral", game_id=self.game_id, data=data)

    async def leave(self) -> None:
        """Give up your seat."""
        await self._connection.call("game.leave", game_id=self.game_id)
        self._connection.unfollow(self.game_id)

    async def _wait_for_events(self) -> None:
        if self._ended:
            raise StopAsyncIteration
        if self.stream.failure is not None:
            raise self.stream.failure
        if self.stream.paused:
            await self._connection.resume(self.stream)
            return
        self._arrived.clear()
        await self._arrived.wait()

    def _wake(self) -> None:
        self._arrived.set()
        self._seen.set()

    def _take(self, message: Json) -> None:
        self._events.append(
            Event(message["event_index"], message["event"], message["payload"], message["at"])
        )
        self._arrived.set()
        if self.stream.completed or self.stream.live is None:
            self._seen.set()
        if len(self._events) >= EVENTS_MAX and self.stream.live is None:
            self.stream.paused = True


def game_in(lobby: Json, player_id: str) -> str | None:
    """Find the game that a member plays, or may watch: of the lobby, or of the member's table."""
    game_id: str | None = lobby["game_id"]
    if "tables" in lobby:
        tables = [m.get("table") for m in lobby["members"] if m["player_id"] == player_id]
        game_id = lobby["tables"][tables[0]]["game_id"] if tables not in ([], [None]) else None
    return game_id


def _settle(index: "asyncio.Future[int]", reply: Json | ClientError, _: float) -> None:
    if index.done():
        return  # whoever waited has given up
    try:
        index.set_result(event_index_of(reply))
    except ClientError as error:
        index.set_exception(error)
