"""Who may see a game, and where they sit."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from persistence.games.model import StoredGame
from persistence.games.store import GameStore
from protocol.errors import GameNotFound, NotSeated, PlayhallError, WrongNode
from protocol.ids import GameId, LobbyId, PlayerId
from server.core.clock import Clock
from server.domains.play.games.inputs import Reply
from server.domains.play.games.live_game import LiveGame
from server.domains.play.games.recovery import decode_row
from server.domains.play.games.registry import GameRegistry
from server.gamekit.table import compute_log_commitment, parse_players

# Whether somebody (None: anybody at all) may watch the game of a lobby.
MayWatch = Callable[[LobbyId, PlayerId | None], Awaitable[bool]]


class GameAccess:
    """Answers who may see which game, in memory or not."""

    def __init__(
        self, *, registry: GameRegistry, store: GameStore, may_watch: MayWatch, clock: Clock
    ) -> None:
        self._registry = registry
        self._store = store
        self._may_watch = may_watch
        self._clock = clock

    async def require_readable(self, game_id: GameId, player_id: PlayerId | None) -> StoredGame:
        """Find a game's row; raise `GameNotFound` if there is none that this player may see."""
        stored = await self._store.find(game_id)
        if stored is None:
            raise GameNotFound
        if player_id is None or await self.find_seat(game_id, player_id) is None:
            await self.check_may_watch(stored.lobby_id, player_id)
        return stored

    async def visible_head(
        self, game_id: GameId, player_id: PlayerId | None, *, head: int, delay_s: float
    ) -> int:
        """Say up to which event somebody may see a running game now; -1 for none.

        Who sits at the table sees it to its `head`. All others, also who has left, see as much
        as was there `delay_s` ago, by every way.
        """
        if not delay_s or self.is_seated(game_id, player_id):
            return head
        before = self._clock.now() - timedelta(seconds=delay_s)
        return await self._store.read_head_at(game_id, before)

    async def commitment(self, stored: StoredGame, index: int) -> str | None:
        """Say what the log of a game up to an event commits to; None where there is no event."""
        rows = (
            await self._store.read_events(stored.id, after=index - 1, limit=1) if index >= 0 else []
        )
        return compute_log_commitment(stored.seed, rows[0].hash) if rows else None

    def is_seated(self, game_id: GameId, player_id: PlayerId | None) -> bool:
        """Say whether somebody sits in a game on this node, and has not left."""
        game = self._registry.find_loaded(game_id)
        seat = game.seat_of(player_id) if game is not None and player_id is not None else None
        return game is not None and seat is not None and game.fold.table.seats[seat].present

    async def require_seat(self, game: LiveGame, player_id: PlayerId) -> int:
        """Find a player's seat; for who may not even watch there is no game."""
        seat = game.seat_of(player_id)
        if seat is None:
            await self.check_may_watch_game(game, player_id)
            raise NotSeated("You have no seat in this game; use game.watch to follow it.")
        return seat

    async def may_speak(self, game_id: GameId, player_id: PlayerId) -> bool:
        """Say whether a player may talk at a running game."""
        try:
            game = await self._registry.find(game_id)
            if game.seat_of(player_id) is None:
                await self.check_may_watch_game(game, player_id)
        except WrongNode:  # it runs on another node, and what is said at it reaches all of them
            return await self._may_read(game_id, player_id)
        except PlayhallError:
            return False
        return True

    async def _may_read(self, game_id: GameId, player_id: PlayerId) -> bool:
        try:
            await self.require_readable(game_id, player_id)
        except GameNotFound:
            return False
        return True

    async def find_seat(self, game_id: GameId, player_id: PlayerId) -> int | None:
        """Find a player's seat, whether the game is in memory or not."""
        if (game := self._registry.find_loaded(game_id)) is not None:
            return game.seat_of(player_id)
        first = await self._store.read_events(game_id, after=-1, limit=1)
        if not first:
            return None
        players = parse_players(decode_row(first[0]).event.payload)
        return next((n for n, player in enumerate(players) if player.player_id == player_id), None)

    async def check_may_watch_game(self, game: LiveGame, player_id: PlayerId) -> None:
        """Refuse who may not watch a running game."""
        await self.check_may_watch(game.lobby_id, player_id)

    async def check_may_watch(self, lobby_id: LobbyId | None, player_id: PlayerId | None) -> None:
        """Refuse who may not watch; the refusal does not reveal that there is something.

        A game that came from no lobby is for those who sit in it.
        """
        if lobby_id is None or not await self._may_watch(lobby_id, player_id):
            raise GameNotFound


async def query_when_committed(ask: Callable[[Reply], None]) -> int:
    """Ask something of a live game and wait until it is committed."""
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    ask(partial(_resolve, future))
    return await future


def _resolve(future: asyncio.Future[int], what: int | PlayhallError) -> None:
    if future.done():
        return
    if isinstance(what, int):
        future.set_result(what)
    else:
        future.set_exception(what)
