"""People with accounts, and the room of blueprints on a port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import aiohttp
import pytest

from persistence.blueprints.store import BlueprintRuleStore, BlueprintStore
from persistence.database import Database
from persistence.files.store import FileStore
from persistence.rls import Requester, RlsDatabase
from protocol.ids import PlayerId, SessionId, UserId, new_id
from server.domains.content.blueprints.domain import store_name_rule
from server.domains.content.blueprints.http import BlueprintRoutes
from server.domains.content.blueprints.model import NameRule, version_from_name
from server.domains.content.blueprints.settings import BlueprintSettings
from server.gateway.session.identity import Identity
from tests.fixtures.http import bearer, served

Json: TypeAlias = dict[str, Any]


@dataclass
class Market:
    """The addresses of blueprints, as different people use them."""

    http: aiohttp.ClientSession
    database: Database

    async def store(self, link: str) -> None:
        """Put a file (bucket/path) on record."""
        bucket, _, path = link.partition("/")
        async with self.database.acquire() as connection:
            await connection.execute(
                "INSERT INTO files (owner_id, bucket, path, key, size, content_type, sha256,"
                " is_public) VALUES ($1, $2, $3, $4, 1, 'x', $5, true)",
                path.partition("/")[0],
                bucket,
                path,
                link,
                bytes(32),
            )

    async def lose(self, link: str) -> None:
        """Take a file off the record."""
        async with self.database.acquire() as connection:
            await connection.execute("DELETE FROM files WHERE key = $1", link)

    async def person(self, name: str) -> UserId:
        user_id = UserId(new_id())
        async with self.database.acquire() as connection:
            await connection.execute(
                "INSERT INTO auth.users (id, is_anonymous) VALUES ($1, true)", user_id
            )
            await connection.execute(
                "INSERT INTO profiles (id, username, display_name) VALUES ($1, $2, $3)",
                user_id,
                f"{name.lower()}-{user_id[:8]}",
                name,
            )
        return user_id

    async def ask(
        self, who: UserId | None, method: str, path: str, body: Json | None = None, **query: object
    ) -> tuple[int, Json]:
        headers = bearer(who) if who else {}
        params = {name: str(value) for name, value in query.items()}
        asked = self.http.request(method, path, json=body, params=params, headers=headers)
        async with asked as answer:
            return answer.status, await answer.json()

    async def make(
        self, who: UserId, name: str, *, publish: bool = False, **fields: object
    ) -> Json:
        body = {"name": name, "data": {"capacity": (version_from_name(name) or 0) * 10}, **fields}
        status, made = await self.ask(who, "POST", "/v1/blueprints", body)
        assert status == 200, made
        if publish:
            path = f"/v1/blueprints/{made['blueprint_id']}/publish"
            status, made = await self.ask(who, "POST", path)
            assert status == 200, made
        return made

    async def refusal(
        self, who: UserId | None, method: str, path: str, body: Json | None = None
    ) -> tuple[str, str]:
        """Ask for something that must be refused; give the code and the sentence."""
        status, answer = await self.ask(who, method, path, body)
        assert status >= 400, answer
        return answer["code"], answer["message"]


def requester(who: UserId) -> Requester:
    return Requester(who, SessionId(new_id()))


async def by_user_id(token: str) -> Identity:
    """Take the token for an account's id."""
    return Identity(UserId(token), PlayerId(token), SessionId(token), "", 0.0)


@asynccontextmanager
async def serving(
    database: Database, rls: RlsDatabase, settings: BlueprintSettings
) -> AsyncIterator[Market]:
    """Serve blueprints under some rules."""
    await store_name_rule(BlueprintRuleStore(database), settings)
    routes = BlueprintRoutes(
        store=BlueprintStore(rls),
        missing=FileStore(database, rls).find_missing,
        naming=NameRule(settings.blueprint_name_help, settings.blueprint_capacity_per_version),
    )
    async with served(routes.endpoints(), by_user_id) as http:
        yield Market(http, database)


@pytest.fixture
async def market(database: Database, rls: RlsDatabase) -> AsyncIterator[Market]:
    """Blueprints under the rules that there are when nobody sets any."""
    async with serving(database, rls, BlueprintSettings()) as market:
        yield market
