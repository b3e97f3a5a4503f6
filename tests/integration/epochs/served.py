"""A whole node to play days on, as bots and people have them: over HTTP and websockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import aiohttp

from persistence.database import Database
from persistence.rls import ANONYMOUS_ROLE, RlsDatabase
from server.app import App
from server.config import Config
from server.core.clock import Clock
from server.core.settings import SettingsReader
from server.core.tasks import Tasks
from server.domains.compete.epochs.scheduler import Scheduler
from server.domains.compete.epochs.settings import EpochSettings
from server.domains.compete.epochs.steps import EpochSteps
from server.domains.people.accounts.settings import AccountSettings
from server.domains.services import Services
from tests.fixtures.http import listening
from tests.integration.bots.conftest import Json, Node, Person
from tests.integration.epochs.line import Line
from tests.integration.epochs.stage import Stage


@dataclass(frozen=True)
class Player:
    """A bot that has a token, and who owns it."""

    bot_id: str
    slug: str
    token: str
    owner: Person


class Served(Node):
    """A node whose days a test advances: `stage` moves the clock and takes the steps."""

    stage: Stage

    @classmethod
    def of(cls, node: Node, rls: RlsDatabase) -> Self:
        """Put a node on the stage."""
        served = cls(node.app, node.http, node.database, node.url)
        stage = served.stage = Stage(node.database, rls)
        stage.steps = EpochSteps(
            stage.store,
            stage.days,
            owners_at=stage.owners_at,
            owners_known=stage.are_owners_known,
            put=node.app.services.objects.put,
            node=stage.node,
        )
        stage.scheduler = Scheduler(stage.days, stage.store, stage.steps, node=stage.node)
        return served

    async def player(self, *scopes: str, owner: Person | None = None) -> Player:
        """Make a bot that was its owner's before any day of a test, and a token for it."""
        owner = owner or await self.person(wallets=1)
        bot: Json = await self.bot(owner)
        async with self.database.acquire() as connection:
            await connection.execute(
                "UPDATE bot_identity_owners SET effective_from = '2026-01-01Z'"
            )
        token = await self.pass_of(owner, bot, *(scopes or ("claim", "vote", "read")))
        return Player(bot["bot_id"], bot["slug"], token, owner)

    @asynccontextmanager
    async def line(self, who: Player | Person | None = None) -> AsyncIterator[Line]:
        """Open a websocket as somebody; each has only one at a time, so else as a new person."""
        async with Line.open(self.url, (who or await self.person()).token) as line:
            yield line


@asynccontextmanager
async def serving(dsn: str, folder: Path, *, scheduling: bool = False) -> AsyncIterator[Served]:
    """Serve on a database; the days advance by themselves only if they are scheduled."""
    database = await Database.open(dsn, embedded=True)
    anonymous = await Database.open(dsn, embedded=True, role=ANONYMOUS_ROLE)
    config = Config(data_dir=folder, commands_per_s=100_000, commands_burst=100_000)
    settings = SettingsReader(
        AccountSettings(guests_per_minute=100_000), EpochSettings(epochs=scheduling)
    )
    async with Tasks() as tasks:
        rls = RlsDatabase(anonymous)
        app = App(Services(config, database, rls, "n1", Clock(), tasks, {}, settings=settings))
        async with (
            listening(app) as port,
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
        ):
            node = Node(app, http, database, f"ws://127.0.0.1:{port}/ws")
            yield Served.of(node, rls)
    await anonymous.close()
    await database.close()
