"""What a game asks of the database, from its lobby to its last listener: no more for each player.

A proxy before the database reads along. Sweeps, which run whether anybody plays or not, are told
apart by running while nobody does.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg

from persistence.query_times import find_query_name
from tests.faults.client_line import Line, lines, new_guests, until
from tests.faults.proxy import APPEND, Proxy, proxied
from tests.fixtures.node import Node

IDLE_S = 3.0
# So many games at once share the statements that commit for many.
CROWD = 20
OF_A_CROWDS_GAME_MAX = 7
# Of a change of a lobby that is not known: locked, read, written, and read again for the next one.
OF_A_LATE_CHANGE_MAX = 5
# Of a game: its lobby, its start, its end, and its replay.
OF_A_GAME_MAX = 8
# Of the listeners of games that ended at about the same time, however many these are.
OF_A_BATCH_MAX = 24
# Appends are left out, of which one serves many games, and so is what begins and ends transactions.
SOURCES = (
    "eventlog/",
    "lobbies/",
    "games/",
    "files/",
    "audit/",
    "event_outbox.",
    "webhooks/",
    "quests/",
    "slot_games/",
    "achievements/",
    "leaderboards/",
    "ratings/",
    "series/store.concerned",
    "tournaments/",
)
SHORT = {"rounds": 1, "turn_timeout_s": 1.0}
# Sweeps that come too rarely to be seen while nobody plays.
RARE = {
    "lobbies/store.beat",
    "lobbies/store.silent_lobbies",
    "lobbies/store.silent_hosts",
    "lobbies/store.lobby_versions",
    "lobbies/store.lobby_bans",
    "games/administration.read_ended",
    "tournaments/store.stopped_games",
    "files/store.take_trash",
    "files/store.put_trash_off",
    "files/store.forget_trash",
}
UNFINISHED = """
    SELECT count(*) FROM (
        SELECT FROM games WHERE status <> 'completed'
        UNION ALL SELECT FROM event_outbox WHERE done_at IS NULL
        UNION ALL SELECT FROM matches WHERE replay_url IS NULL) AS waiting
"""


class CountedNode:
    """A node whose statements are counted by name."""

    def __init__(self, node: Node, proxy: Proxy, owner: asyncpg.Connection) -> None:
        self.node = node
        self._proxy = proxy
        self._owner = owner
        self._sweeps: set[str] = set(RARE)

    async def learn_sweeps(self) -> None:
        """Note what is asked while nobody plays."""
        self._proxy.seen = []
        await asyncio.sleep(IDLE_S)
        self._sweeps |= self._names().keys()

    async def count(self, tables: list[list[Line]]) -> Counter[str]:
        """Play a game at each table at once; gives what was asked for all of them together."""
        self._proxy.seen = []
        async with asyncio.TaskGroup() as group:
            for table in tables:
                group.create_task(_play(table))

        async def unfinished() -> object:
            return await self._owner.fetchval(UNFINISHED)

        await until(unfinished, 0)
        names = self._names()
        return Counter(
            {
                name: n
                for name, n in names.items()
                if name.startswith(SOURCES) and name not in self._sweeps
            }
        )

    def _names(self) -> Counter[str]:
        seen = self._proxy.seen or []
        asked = [text for text in seen if not text.startswith(("BEGIN", "COMMIT", "ROLLBACK"))]
        append = APPEND.removeprefix("^")
        return Counter(find_query_name(each) for each in asked if not each.startswith(append))


async def _play(table: list[Line]) -> None:
    """Play a short game of El Dorado, which the others leave and the host lets time play."""
    host, *others = table
    game = {"ruleset": "el_dorado", "seats": len(table), "config": SHORT}
    lobby = (await host.ok("lobby.create", **game))["lobby"]
    for guest in others:
        await guest.ok("lobby.join", code=lobby["join_code"])
    for guest in others:
        await guest.ok("lobby.ready", lobby_id=lobby["lobby_id"], ready=True)
    started = await host.ok("lobby.start", lobby_id=lobby["lobby_id"])
    for guest in others:
        await guest.ok("game.leave", game_id=started["lobby"]["game_id"])


@asynccontextmanager
async def counted_node(folder: Path, dsn: str, owner_dsn: str) -> AsyncIterator[CountedNode]:
    owner = await asyncpg.connect(owner_dsn)
    async with proxied(dsn) as proxy:
        node = Node(folder, proxy.dsn)
        await asyncio.to_thread(node.start)
        try:
            yield CountedNode(node, proxy, owner)
        finally:
            await asyncio.to_thread(node.stop)
            await owner.close()


async def seat_tables(stack: AsyncExitStack, node: Node, sizes: list[int]) -> list[list[Line]]:
    """Give the lines of so many tables."""
    guests = iter(await new_guests(node, sum(sizes)))
    crowds = [[next(guests) for _ in range(size)] for size in sizes]
    return [await stack.enter_async_context(lines(node, crowd)) for crowd in crowds]


async def test_a_game_asks_for_no_more_per_player_nor_its_listeners_per_game(
    fresh_dsn: str, serving_dsn: str, tmp_path: Path
) -> None:
    async with (
        counted_node(tmp_path / "node", serving_dsn, fresh_dsn) as counted,
        AsyncExitStack() as stack,
    ):
        tables = await seat_tables(stack, counted.node, [2, 4, 4, 4, 4])
        await counted.count(tables[:1])  # what a first game prepares is not counted
        await counted.learn_sweeps()
        two = await counted.count(tables[:1])
        four = await counted.count(tables[1:2])
        together = await counted.count(tables[1:])
    for asked, games, members in ((two, 1, 1), (four, 1, 3), (together, 4, 12)):
        # A join and a `ready` of each member but the host; who left shows in the directory.
        assert asked.pop("lobbies/store.change_lobbies") <= 2 * members
        assert asked.pop("games/directory.set_players") <= members + games
        assert asked["eventlog/writer.create_games"] <= games
        assert asked["eventlog/writer.complete_game"] == games
        batches = asked["event_outbox.finish_events"]
        assert asked.total() <= OF_A_GAME_MAX * games + OF_A_BATCH_MAX * batches, asked


async def test_many_games_at_once_share_their_statements(
    fresh_dsn: str, serving_dsn: str, tmp_path: Path
) -> None:
    async with (
        counted_node(tmp_path / "node", serving_dsn, fresh_dsn) as counted,
        AsyncExitStack() as stack,
    ):
        first = await seat_tables(stack, counted.node, [2])
        await counted.count(first)
        await counted.learn_sweeps()
        tables = await seat_tables(stack, counted.node, [4] * CROWD)
        asked = await counted.count(tables)
    # In how many batches listeners hear of the ends is a matter of time, and so is how many lobbies
    # were last read so long ago, on a busy machine, that a change has to read them again.
    batches, late = asked["event_outbox.finish_events"], asked["lobbies/store.lock_lobby"]
    of_games = asked.total() - OF_A_BATCH_MAX * batches - OF_A_LATE_CHANGE_MAX * late
    assert of_games <= OF_A_CROWDS_GAME_MAX * CROWD, asked
