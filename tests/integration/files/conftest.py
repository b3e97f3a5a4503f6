"""The room of files on a port, over a folder and over an S3-compatible server."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import pytest

from persistence.accounts.store import AccountStore
from persistence.database import Database
from persistence.objects import ObjectStorage
from persistence.rls import RlsDatabase
from protocol.ids import MatchId, PlayerId, SessionId, UserId, new_id
from server.core.clock import Clock
from server.core.rate_limits import Rate, RateLimiter
from server.domains.content.files.domain import Files
from server.domains.content.files.model import BUCKETS, Buckets
from server.domains.content.files.uploads import UploadLimits
from server.domains.interfaces import ImageIntake
from server.domains.people.accounts.keys import ScopedTokens, SigningKeys
from server.gateway.http.endpoints import build_http
from server.gateway.session.identity import Identity
from server.gateway.transport.limits import TransportLimits
from server.rulesets import find_rulesets
from tests.fixtures.http import bearer, served_app

Json: TypeAlias = dict[str, Any]
QUOTA = 20_000_000
URL_S = 600.0
GLB = b"glTF" + bytes(range(256)) * 40
PNG = b"\x89PNG\r\n\x1a\n" + b"snapshot" * 100
TYPES = {"glb": "model/gltf-binary", "png": "image/png", "jpg": "image/jpeg"}


@dataclass
class Store:
    """The room, and people who use it; `hosts` may report matches between peers."""

    http: aiohttp.ClientSession
    files: Files
    database: Database
    hosts: set[tuple[str, str]]

    async def person(self) -> UserId:
        user_id = UserId(new_id())
        await self.run("INSERT INTO auth.users (id, is_anonymous) VALUES ($1, true)", user_id)
        await self.run("INSERT INTO profiles (id) VALUES ($1)", user_id)
        return user_id

    async def run(self, statement: str, *values: object) -> list[Any]:
        async with self.database.acquire() as connection:
            return list(await connection.fetch(statement, *values))

    async def announce(
        self,
        who: UserId,
        path: str,
        content: bytes,
        *,
        bucket: str = "user-assets",
        **other: object,
    ) -> tuple[int, Json]:
        kind = TYPES.get(path.rpartition(".")[2], "application/octet-stream")
        body = {"bucket": bucket, "path": path, "size": len(content), "content_type": kind, **other}
        return await self.post(who, "/v1/files/uploads", body)

    async def post(self, who: UserId, path: str, body: Json) -> tuple[int, Json]:
        async with self.http.post(path, json=body, headers=bearer(who)) as answer:
            return answer.status, await answer.json()

    async def put(
        self, url: str, content: bytes, content_type: str = TYPES["glb"]
    ) -> tuple[int, Json]:
        headers = {"Content-Type": content_type}
        async with self.http.put(url, data=BytesIO(content), headers=headers) as answer:
            return answer.status, await answer.json()

    async def upload(self, who: UserId, path: str, content: bytes, **other: object) -> str:
        """Upload a file; give its address."""
        status, announced = await self.announce(who, path, content, **other)  # type: ignore[arg-type]  # a bucket
        assert status == 200, announced
        kind = TYPES[path.rpartition(".")[2]]
        status, stored = await self.put(announced["upload_url"], content, kind)
        assert status == 200, stored
        assert stored["url"] == announced["url"]
        return str(stored["url"])

    async def get(
        self, url: str, who: UserId | None = None, **headers: str
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.get(url, headers=sent | (bearer(who) if who else {})) as answer:
            return answer, await answer.read()

    async def keys(self) -> set[str]:
        """List the objects that are in the store."""
        chunks = self.files.objects._store.list()
        return {meta["path"] for chunk in chunks for meta in chunk}


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """A bucket of an S3-compatible server of our own."""
    # Importing these takes a second, which the workers without tests of files are spared.
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        boto3.client("s3", endpoint_url=settings["AWS_ENDPOINT_URL"]).create_bucket(Bucket="hall")
        yield "s3://hall"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStorage:
    """An empty store of either kind."""
    url = ""
    if request.param == "s3":
        url = f"{request.getfixturevalue('s3_url')}/{os.urandom(8).hex()}"
    objects = ObjectStorage(url, folder=tmp_path / "files")
    objects.open()
    return objects


@pytest.fixture
async def store(
    database: Database, rls: RlsDatabase, objects: ObjectStorage, tmp_path: Path
) -> AsyncIterator[Store]:
    async with serving(database, rls, objects, tmp_path) as store:
        yield store


@pytest.fixture
async def hasty(
    database: Database, rls: RlsDatabase, objects: ObjectStorage, tmp_path: Path
) -> AsyncIterator[Store]:
    """A store that soon gives up on a body that stops coming."""
    limits = TransportLimits(body_timeout_s=0.3)
    async with serving(database, rls, objects, tmp_path, limits) as store:
        yield store


@asynccontextmanager
async def serving(
    database: Database,
    rls: RlsDatabase,
    objects: ObjectStorage,
    folder: Path,
    limits: TransportLimits | None = None,
    buckets: Buckets = BUCKETS,
    images: ImageIntake | None = None,
) -> AsyncIterator[Store]:
    """Serve files."""
    clock = Clock()
    keys = SigningKeys(AccountStore(database), now=clock.monotonic)
    await keys.start()
    files = Files(
        database=database,
        rls=rls,
        objects=objects,
        tokens=ScopedTokens("upload", keys=keys, clock=clock, lifetime_s=URL_S),
        clock=clock,
        folder=folder / "uploads",
        limits=UploadLimits(
            url_s=URL_S,
            account_bytes_max=QUOTA,
            announced=RateLimiter("uploads", Rate(10_000, 10_000), "You are uploading too much"),
        ),
        rulesets=find_rulesets(),
        buckets=buckets,
        images=images or NoImages(),
    )
    hosts: set[tuple[str, str]] = set()

    async def may_report(match_id: MatchId, player_id: PlayerId) -> bool:
        return (match_id, player_id) in hosts

    app = build_http(files.endpoints(may_report), _by_user_id)
    files.mount(app, _by_user_id)
    async with served_app(app, limits) as http:
        yield Store(http, files, database, hosts)


class NoImages:
    """Leaves images as they are; `test_images.py` processes them."""

    def takes(self, bucket: str, content_type: str) -> bool:
        return False

    async def require_room(self, owner: UserId) -> None: ...

    def wake(self) -> None: ...


async def _by_user_id(token: str) -> Identity:
    """Take the token for an account's id."""
    return Identity(UserId(token), PlayerId(token), SessionId(token), "", 0.0)
