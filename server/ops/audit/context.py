"""Where an audit of a database is made: games as evidence, players as recounts."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

from persistence.audit.store import AuditStore
from persistence.database import Database
from persistence.games.store import GameStore
from protocol.ids import GameId
from server.gamekit.fold import AnyRuleset
from server.ops.audit.evidence import Evidence, gather, gather_log
from server.ops.audit.findings import Report
from server.ops.audit.rebuild import Rebuild
from server.ops.audit.verify import verify


class AdminContext:
    """An audit of one database. One game at a time is in memory."""

    def __init__(self, database: Database, rulesets: Mapping[str, AnyRuleset]) -> None:
        self._store = AuditStore(database)
        self._games = GameStore(database, node="")
        self._rulesets = rulesets

    async def log(self, game_id: GameId) -> Evidence:
        """Read a game's log as evidence; raise `GameNotFound`."""
        async with self._store.snapshot() as books:
            return await gather_log(books, game_id)

    async def verify(self, game_id: GameId) -> Report:
        """Check a game and all that was concluded from it; raise `GameNotFound`."""
        async with self._store.snapshot() as books:
            evidence = await gather(books, game_id)
        return verify(evidence, self._rulesets)

    async def verify_since(self, since: datetime) -> AsyncIterator[Report]:
        """Check every game made since a time; players' statistics once, with their newest."""
        async for game_id in self._store.games_since(since):
            async with self._store.snapshot() as books:
                evidence = await gather(books, game_id, newest_only=True)
            yield verify(evidence, self._rulesets)

    def rebuild(self, *, repair: bool) -> Rebuild:
        """Count players' statistics again."""
        return Rebuild(store=self._store, games=self._games, rulesets=self._rulesets, repair=repair)


@asynccontextmanager
async def open_context(dsn: str, rulesets: Mapping[str, AnyRuleset]) -> AsyncIterator[AdminContext]:
    """Sit down at a database; raise `StartRefused` where that is not safe."""
    database = await Database.open(dsn)
    try:
        yield AdminContext(database, rulesets)
    finally:
        await database.close()
