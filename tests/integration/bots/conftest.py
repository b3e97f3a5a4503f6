"""A whole node in this process: people, their wallets and their bots on its real addresses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect

from persistence.accounts.moderation import ModerationStore
from persistence.bots.store import BotStore
from persistence.database import Database
from persistence.rls import ANONYMOUS_ROLE, RlsDatabase
from protocol.ids import UserId, new_id
from server.app import App
from server.config import Config
from server.core import subscriptions
from server.core.clock import Clock
from server.core.settings import SettingsReader
from server.core.subscriptions import PollPolicy
from server.core.tasks import Tasks
from server.domains.compete.bots.authentication import TokenAuthenticator
from server.domains.compete.epochs.settings import EpochSettings
from server.domains.interfaces import Authenticator
from server.domains.people.accounts.settings import AccountSettings
from server.domains.services import Services
from tests.fixtures.http import bearer, listening
from tests.fixtures.postgres import TEMPLATE, Databases

Json: TypeAlias = dict[str, Any]

CONTRACT = "0x" + "ab" * 20


@dataclass
class Person:
    """Somebody with an account, and the addresses that it is linked to."""

    token: str
    user_id: UserId
    wallets: list[str] = field(default_factory=list)


@dataclass
class Node:
    """A served application, as different people use it."""

    app: App
    http: aiohttp.ClientSession
    database: Database
    url: str

    @property
    def bots(self) -> BotStore:
        """The bots as the node stores them."""
        return BotStore(self.database, self.app.services.rls)

    @property
    def authenticator(self) -> TokenAuthenticator:
        """What says whose a token is."""
        found = self.app.services.interfaces.get(Authenticator)
        assert isinstance(found, TokenAuthenticator)
        return found

    async def ask(
        self, who: Person | str | None, method: str, path: str, body: object = None, **query: object
    ) -> tuple[int, Json]:
        """Ask as a person, with a bot's token, or as nobody."""
        token = who.token if isinstance(who, Person) else who
        headers = bearer(token) if token else {}
        params = {name: str(value) for name, value in query.items()}
        asked = self.http.request(method, path, json=body, params=params, headers=headers)
        async with asked as answer:
            return answer.status, await answer.json()

    async def ok(
        self, who: Person | str | None, method: str, path: str, body: object = None, **query: object
    ) -> Json:
        status, answer = await self.ask(who, method, path, body, **query)
        assert status == 200, answer
        return answer

    async def refusal(
        self, who: Person | str | None, method: str, path: str, body: object = None, **query: object
    ) -> str:
        """Ask for something that must be refused, in words; give the code."""
        status, answer = await self.ask(who, method, path, body, **query)
        assert status >= 400, answer
        assert len(answer["message"].split()) > 3
        return str(answer["code"])

    async def person(self, *, wallets: int = 0, role: str | None = None) -> Person:
        """Make an account with so many linked addresses."""
        made = await self.ok(None, "POST", "/v1/auth/guest", {})
        person = Person(made["access_token"], UserId(made["user_id"]))
        for _ in range(wallets):
            await self.link(person, address())
        if role is not None:
            await ModerationStore(self.database).set_roles(person.user_id, [role], actor="console")
        return person

    async def link(self, person: Person, wallet: str) -> None:
        """Link an address as a proof of it would."""
        async with self.database.acquire() as connection:
            await connection.execute(
                "INSERT INTO wallets (address, user_id) VALUES ($1, $2)", wallet, person.user_id
            )
        person.wallets.append(wallet)

    async def bot(self, owner: Person, **fields: object) -> Json:
        """Register a bot; its maker owns it."""
        number = int(new_id()[:8], 16)
        body = {
            "slug": f"bot-{number}",
            "chain_id": 1,
            "contract_address": CONTRACT,
            "token_id": str(number),
            **fields,
        }
        made = await self.ok(owner, "POST", "/v1/bots", body)
        await self.give(made, owner.wallets[0])
        return made

    async def give(self, bot: Json, wallet: str) -> None:
        """Make an address the bot's owner."""
        await self.bots.set_owner(bot["bot_id"], wallet, actor="console", reason="It is.")

    async def pass_of(self, owner: Person, bot: Json, *scopes: str) -> str:
        """Make a token that the bot signs in with."""
        body = {"scopes": scopes or ["claim", "read"]}
        made = await self.ok(owner, "POST", f"/v1/bots/{bot['slug']}/tokens", body)
        return str(made["token"])

    @asynccontextmanager
    async def socket(self, token: str) -> AsyncIterator[ClientConnection]:
        """Open a websocket that has said hello."""
        async with connect(self.url, subprotocols=["playhall.v1"]) as socket:  # type: ignore[list-item]  # a NewType of str
            welcome = await command(socket, "session.hello", token=token)
            assert welcome["type"] == "session.welcome", welcome
            yield socket


async def command(socket: ClientConnection, command_type: str, /, **fields: object) -> Json:
    """Send a command and give the answer to it."""
    await socket.send(orjson.dumps({"id": 1, "type": command_type, **fields}).decode())
    answer: Json = orjson.loads(await socket.recv())
    return answer


def address() -> str:
    """Make an address that nobody has."""
    return "0x" + (new_id() + new_id()).replace("-", "")[:40]


@pytest.fixture(scope="module")
async def node(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Node]:
    """One node for a file: what different tests make does not meet."""
    dsn = databases.create(template=TEMPLATE)
    database = await Database.open(dsn, embedded=True)
    anonymous = await Database.open(dsn, embedded=True, role=ANONYMOUS_ROLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subscriptions, "SWEEP_POLL", PollPolicy(live_s=0.05, alone_s=0.05))
        patch.setattr(subscriptions, "SWEEP_REST_S", 0.0)
        async with _node(database, anonymous, tmp_path_factory.mktemp("node")) as node:
            yield node
    await anonymous.close()
    await database.close()
    databases.drop(dsn)


@asynccontextmanager
async def _node(database: Database, anonymous: Database, folder: Path) -> AsyncIterator[Node]:
    async with Tasks() as tasks:
        origins = "https://play.example , https://next.example"
        settings = SettingsReader(
            AccountSettings(guests_per_minute=100_000), EpochSettings(epochs=False)
        )
        services = Services(
            Config(data_dir=folder, origins=origins),
            database,
            RlsDatabase(anonymous),
            "n1",
            Clock(),
            tasks,
            {},
            settings=settings,
        )
        app = App(services)
        async with (
            listening(app) as port,
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
        ):
            yield Node(app, http, database, f"ws://127.0.0.1:{port}/ws")
