"""`/storage/v1` on a real node: the client's uploads, downloads, lists and signed URLs."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
import asyncpg
import pytest

from server.gateway.supabase_keys import make_api_key
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases

SECRET: Final = "a secret of the tests, long enough to sign"
KEY: Final = make_api_key(SECRET, "anon", issued_at=1_700_000_000)
GLB: Final = b"glTF" + bytes(range(200))
BLUEPRINT: Final = "11111111-1111-4111-8111-111111111111"
# A bucket of the operator's own, for files that not everybody may read.
BUCKETS: Final = (
    '{"notes": {"path": "<user id>/<name>", "types": ["pdf"], "bytes_max": 1000, '
    '"is_public": false, "is_settled": false}, '
    '"models": {"path": "<user id>/<name>", "types": ["glb"], "bytes_max": 1000, '
    '"is_public": true, "is_settled": false}}'
)


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    dsn = databases.create(template=TEMPLATE)
    yield dsn
    databases.drop(dsn)


@pytest.fixture(scope="module")
def node(
    databases: Databases, dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    settings: dict[str, Any] = {"supabase_api_secret": SECRET, "files_buckets": BUCKETS}
    with Node(folder, databases.serving_dsn(dsn), **settings) as node:
        yield node
    assert "Traceback" not in (said := "\n".join(node.output)), said


@pytest.fixture
async def web(node: Node) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(node.url) as web:
        yield web


async def guest(web: aiohttp.ClientSession) -> tuple[str, str]:
    async with web.post("/v1/auth/guest", json={"display_name": "Ann"}) as answer:
        session = await answer.json()
    return session["user_id"], session["access_token"]


async def ask(
    web: aiohttp.ClientSession, method: str, path: str, token: str = KEY, **options: Any
) -> tuple[int, Any]:
    headers = {"apikey": KEY, **bearer(token), **options.pop("headers", {})}
    async with web.request(method, f"/storage/v1/{path}", headers=headers, **options) as answer:
        is_json = answer.content_type == "application/json" and method != "HEAD"
        return answer.status, await answer.json() if is_json else await answer.read()


async def test_a_file_is_uploaded_read_listed_and_deleted(web: aiohttp.ClientSession) -> None:
    ann, token = await guest(web)
    _, other = await guest(web)
    path = f"user-assets/{ann}/{BLUEPRINT}/model.glb"
    form = aiohttp.FormData()
    form.add_field("cacheControl", "3600")
    form.add_field("", GLB, filename="model.glb", content_type="model/gltf-binary")
    status, said = await ask(web, "POST", f"object/{path}", token, data=form)
    assert (status, said["Key"]) == (200, path), said
    raw = {"Content-Type": "model/gltf-binary"}
    status, said = await ask(web, "POST", f"object/{path}", token, data=GLB, headers=raw)
    assert (status, said["error"]) == (409, "Duplicate")
    status, said = await ask(web, "POST", f"object/{path}", other, data=GLB, headers=raw)
    assert status in (400, 409)
    status, said = await ask(web, "POST", f"object/{path}", data=GLB, headers=raw)
    assert (status, said["error"]) == (403, "forbidden")
    assert (await ask(web, "GET", f"object/{path}", other))[1] == GLB
    async with web.get(f"/storage/v1/object/public/{path}") as answer:
        assert await answer.read() == GLB
    assert (await ask(web, "HEAD", f"object/{path}", token))[0] == 200
    status, info = await ask(web, "GET", f"object/info/{path}", token)
    assert (info["size"], info["content_type"]) == (len(GLB), "model/gltf-binary")
    listed = (await ask(web, "POST", "object/list/user-assets", token, json={"prefix": ""}))[1]
    assert [(each["name"], each["id"]) for each in listed] == [(ann, None)]
    folder = {"prefix": f"{ann}/{BLUEPRINT}"}
    listed = (await ask(web, "POST", "object/list/user-assets", token, json=folder))[1]
    assert [(each["name"], each["metadata"]["size"]) for each in listed] == [
        ("model.glb", len(GLB))
    ]
    names = {"prefixes": [path.partition("/")[2], f"{ann}/nothing", "../x"]}
    assert (await ask(web, "DELETE", "object/user-assets", other, json=names))[1] == []
    gone = (await ask(web, "DELETE", "object/user-assets", token, json=names))[1]
    assert [each["name"] for each in gone] == [path.partition("/")[2]]
    assert (await ask(web, "GET", f"object/{path}", token))[0] == 404


async def test_private_files_are_read_by_signed_urls_alone(web: aiohttp.ClientSession) -> None:
    ann, token = await guest(web)
    _, other = await guest(web)
    path, pdf = f"notes/{ann}/plan.pdf", b"%PDF-1.7 plan"
    status, signed = await ask(web, "POST", f"object/upload/sign/{path}", token, json={})
    assert status == 200, signed
    headers = {"Content-Type": "application/pdf"}
    status, said = await ask(web, "PUT", signed["url"][1:], other, data=pdf, headers=headers)
    assert (status, said["Key"]) == (200, path), said
    for who in (other, KEY):
        assert (await ask(web, "GET", f"object/{path}", who))[0] == 404
        assert (await ask(web, "POST", f"object/sign/{path}", who, json={"expiresIn": 60}))[
            0
        ] == 404
        folder = {"prefix": ann}
        assert (await ask(web, "POST", "object/list/notes", who, json=folder))[1] == []
    assert (await ask(web, "GET", f"object/public/{path}"))[0] == 404
    _, signed = await ask(web, "POST", f"object/sign/{path}", token, json={"expiresIn": 60})
    async with web.get(f"/storage/v1{signed['signedURL']}") as answer:
        assert await answer.read() == pdf
    # A URL that was signed to replace does so, any other does not.
    for upsert, status in (("false", 409), ("true", 200)):
        _, url = await ask(
            web, "POST", f"object/upload/sign/{path}", token, headers={"x-upsert": upsert}
        )
        again = await ask(web, "PUT", url["url"][1:], other, data=pdf, headers=headers)
        assert again[0] == status, again
    # Without a type, the ending says what it must be.
    untyped = {"Content-Type": "text/plain;charset=UTF-8", "x-upsert": "true"}
    status, _ = await ask(web, "POST", f"object/{path}", token, data=pdf, headers=untyped)
    assert status == 200
    status, _ = await ask(web, "POST", f"object/{path}", token, data=b"text", headers=untyped)
    assert status == 400
    altered = signed["signedURL"].replace("plan", "play")
    async with web.get(f"/storage/v1{altered}") as answer:
        assert (answer.status, (await answer.json())["error"]) == (403, "bad_upload")
    many = {"expiresIn": 60, "paths": [f"{ann}/plan.pdf", f"{ann}/nothing.pdf"]}
    _, listed = await ask(web, "POST", "object/sign/notes", token, json=many)
    assert [each["error"] is None for each in listed] == [True, False]
    replaced = {**headers, "x-upsert": "true"}
    again = await ask(web, "POST", f"object/{path}", token, data=pdf + b"2", headers=replaced)
    assert again[0] == 200
    assert (await ask(web, "GET", f"object/authenticated/{path}", token))[1] == pdf + b"2"


@pytest.mark.parametrize(
    ("path", "content", "kind", "status"),
    [
        ("notes/{ann}/x.pdf", b"%PDF" + bytes(2000), "application/pdf", 413),
        ("notes/{ann}/x.pdf", b"no pdf at all", "application/pdf", 400),
        ("notes/{ann}/x.png", b"%PDF-1", "image/png", 400),
        ("notes/other/x.pdf", b"%PDF-1", "application/pdf", 400),
        ("nothing/{ann}/x.pdf", b"%PDF-1", "application/pdf", 404),
        ("notes/{ann}/x.pdf", b"", "application/pdf", 400),
        ("notes/{ann}/x.pdf", b"--b", "multipart/form-data; boundary=b", 400),
        ("notes/{ann}/x.pdf", b"--b", "multipart/form-data", 400),
    ],
)
async def test_what_a_bucket_does_not_take_is_refused(
    web: aiohttp.ClientSession, path: str, content: bytes, kind: str, status: int
) -> None:
    ann, token = await guest(web)
    found, said = await ask(
        web,
        "POST",
        f"object/{path.format(ann=ann)}",
        token,
        data=content,
        headers={"Content-Type": kind},
    )
    assert found == status, said
    assert set(said) == {"statusCode", "error", "message"}


async def test_buckets_are_described(web: aiohttp.ClientSession) -> None:
    _, buckets = await ask(web, "GET", "bucket")
    assert {"avatars", "creations", "notes"} <= {each["id"] for each in buckets}
    _, notes = await ask(web, "GET", "bucket/notes")
    assert (notes["public"], notes["file_size_limit"], notes["allowed_mime_types"]) == (
        False,
        1000,
        ["application/pdf"],
    )
    assert (await ask(web, "GET", "bucket/nothing"))[0] == 404
    assert (await ask(web, "GET", "bucket", "x.y.z"))[0] == 401


async def test_a_file_is_moved_and_copied(web: aiohttp.ClientSession) -> None:
    ann, token = await guest(web)
    bea, other = await guest(web)
    path, pdf = f"{ann}/plan.pdf", b"%PDF-1.7 plan"
    headers = {"Content-Type": "application/pdf"}
    await ask(web, "POST", f"object/notes/{path}", token, data=pdf, headers=headers)

    async def change(what: str, to: str, who: str = token, **more: str) -> tuple[int, Any]:
        body = {"bucketId": "notes", "sourceKey": path, "destinationKey": to, **more}
        return await ask(web, "POST", f"object/{what}", who, json=body)

    status, said = await change("copy", f"{ann}/copy.pdf")
    assert (status, said["Key"]) == (200, f"notes/{ann}/copy.pdf"), said
    assert (await change("copy", f"{ann}/copy.pdf"))[0] == 409
    assert (await change("move", f"{ann}/copy.pdf"))[0] == 409
    for what in ("move", "copy"):
        # Of what is not shown to somebody, nothing comes of either; nor into another's folder.
        assert (await change(what, f"{bea}/plan.pdf", other))[0] == 404
        assert (await change(what, f"{bea}/plan.pdf"))[0] == 400
        assert (await change(what, f"{ann}/plan.png"))[0] == 400
        assert (await change(what, "../x"))[0] == 400
        assert (await change(what, f"{ann}/x.pdf", KEY))[0] == 403
        assert (await change(what, f"{ann}/x.pdf", destinationBucket="avatars"))[0] == 400
    status, said = await change("move", f"{ann}/moved.pdf")
    assert (status, said) == (200, {"message": "Successfully moved"})
    assert (await ask(web, "GET", f"object/notes/{path}", token))[0] == 404
    for name in ("moved", "copy"):
        assert (await ask(web, "GET", f"object/notes/{ann}/{name}.pdf", token))[1] == pdf
    # What everybody may read, anybody may copy, but only its owner may move.
    shown = f"{ann}/{BLUEPRINT}/model.glb"
    glb = {"Content-Type": "model/gltf-binary"}
    await ask(web, "POST", f"object/user-assets/{shown}", token, data=GLB, headers=glb)
    body = {"bucketId": "user-assets", "sourceKey": shown}
    theirs = {**body, "destinationKey": shown.replace(ann, bea)}
    assert (await ask(web, "POST", "object/move", other, json=theirs))[0] == 404
    assert (await ask(web, "POST", "object/copy", other, json=theirs))[0] == 200


LOCK_PROFILE: Final = "SELECT FROM profiles WHERE id = $1 FOR UPDATE"
LOCK_FILE: Final = "SELECT FROM files WHERE owner_id = $1 FOR UPDATE"
WAITING: Final = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"
PUBLISH: Final = (
    "INSERT INTO creations (user_id, title, type, status, is_public, file_url) "
    "VALUES ($1, 'A hill', 'image', 'published', true, $2)"
)


@pytest.mark.parametrize(("lock", "bucket"), [(LOCK_FILE, "user-assets"), (LOCK_PROFILE, "models")])
async def test_a_file_that_is_published_while_it_is_moved_stays(
    web: aiohttp.ClientSession, dsn: str, lock: str, bucket: str
) -> None:
    ann, token = await guest(web)
    path = f"{ann}/{BLUEPRINT}/model.glb"
    glb = {"Content-Type": "model/gltf-binary"}
    await ask(web, "POST", f"object/user-assets/{path}", token, data=GLB, headers=glb)
    to = {"models": f"{ann}/moved.glb"}.get(bucket, path.replace("model", "moved"))
    body = {
        "bucketId": "user-assets",
        "sourceKey": path,
        "destinationKey": to,
        "destinationBucket": bucket,
    }
    database, watcher = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    try:
        async with database.transaction(), asyncio.timeout(20):
            await database.execute(lock, UUID(ann))
            moving = asyncio.create_task(ask(web, "POST", "object/move", token, json=body))
            while not await watcher.fetchval(WAITING):
                await asyncio.sleep(0.02)
            await database.execute(PUBLISH, UUID(ann), f"/files/user-assets/{path}")
        status, said = await moving
        assert (status, said["error"]) == (409, "file_in_use")
        status, said = await ask(web, "POST", "object/move", token, json=body)
        assert (status, said["error"]) == (409, "file_in_use")
        # Nothing is left of the attempts, not even what was announced.
        places = await database.fetch("SELECT bucket, path FROM files WHERE owner_id = $1", ann)
        assert [tuple(place) for place in places] == [("user-assets", path)]
    finally:
        await database.close()
        await watcher.close()


class Resumable:
    """An upload in several requests, of one person."""

    def __init__(self, web: aiohttp.ClientSession, token: str) -> None:
        self.web, self.token, self.url = web, token, ""

    async def ask(self, method: str, **headers: str) -> tuple[int, Any]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        status, _, found = await self.send(method, None, sent)
        return status, found

    async def send(
        self,
        method: str,
        data: bytes | AsyncIterator[bytes] | None,
        headers: dict[str, str],
        url: str = "",
    ) -> tuple[int, str, Any]:
        common = {"apikey": KEY, **bearer(self.token), "Tus-Resumable": "1.0.0"}
        async with self.web.request(
            method, url or self.url, data=data, headers={**common, **headers}
        ) as answer:
            assert answer.headers["Tus-Resumable"] == "1.0.0"
            return answer.status, await answer.text(), answer.headers

    async def create(self, path: str, size: int, **headers: str) -> int:
        bucket, _, name = path.partition("/")
        said = {"bucketName": bucket, "objectName": name, "contentType": "model/gltf-binary"}
        metadata = ",".join(f"{key} {b64encode(said[key].encode()).decode()}" for key in said)
        sent = {"Upload-Length": str(size), "Upload-Metadata": metadata, **headers}
        status, _, found = await self.send("POST", None, sent, "/storage/v1/upload/resumable")
        self.url = found.get("Location", "")
        return status

    async def append(self, data: bytes | AsyncIterator[bytes], at: int) -> tuple[int, str | None]:
        sent = {"Upload-Offset": str(at), "Content-Type": "application/offset+octet-stream"}
        status, _, found = await self.send("PATCH", data, sent)
        return status, found.get("Upload-Offset")

    async def offset(self) -> str | None:
        status, _, found = await self.send("HEAD", None, {})
        return found["Upload-Offset"] if status == 200 else None


@asynccontextmanager
async def sending(
    web: aiohttp.ClientSession, upload: Resumable, at: int, data: bytes, *, of: int
) -> AsyncIterator[asyncio.StreamReader]:
    """Send some of what a request announces, and close the connection in the end."""
    parts = urlsplit(str(web._base_url))
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = [
        f"PATCH {upload.url} HTTP/1.1",
        "Host: x",
        f"apikey: {KEY}",
        f"Authorization: Bearer {upload.token}",
        "Tus-Resumable: 1.0.0",
        f"Upload-Offset: {at}",
        "Content-Type: application/offset+octet-stream",
        f"Content-Length: {of}",
    ]
    writer.write("\r\n".join([*head, "", ""]).encode() + data)
    await writer.drain()
    yield reader
    writer.close()
    await writer.wait_closed()


async def test_an_upload_is_resumed_where_it_broke_off(web: aiohttp.ClientSession) -> None:
    ann, token = await guest(web)
    _, other = await guest(web)
    async with web.options("/storage/v1/upload/resumable") as answer:
        assert "termination" in answer.headers["Tus-Extension"]
    path, upload = f"user-assets/{ann}/{BLUEPRINT}/model.glb", Resumable(web, token)
    model = GLB * 2000
    assert await upload.create(path, len(model)) == 201
    assert await upload.offset() == "0"
    assert await upload.append(model[:100], 0) == (204, "100")
    assert (await upload.append(model[:100], 0))[0] == 409
    assert (await upload.append(model, 100))[0] == 413

    # The connection breaks in the middle; what was read of it is there.
    for wait_s in (0.3, 1, 3, 10):
        async with sending(web, upload, 100, model[100:50_100], of=len(model) - 100):
            await asyncio.sleep(wait_s)
        await asyncio.sleep(wait_s)
        came = int(await upload.offset() or 0)
        if came > 100:
            break
    assert 100 < came <= 50_100

    # Nobody else can go on with it, end it, or see it.
    thief = Resumable(web, other)
    thief.url = upload.url
    assert await thief.offset() is None
    assert (await thief.append(model[came:], came))[0] == 404
    assert (await thief.ask("DELETE"))[0] == 404
    assert (await upload.append(model[came:], came)) == (204, str(len(model)))
    assert await upload.offset() == str(len(model))
    assert (await ask(web, "GET", f"object/{path}", token))[1] == model
    assert await upload.create(path, 5) == 409  # settled: the path has its file


async def test_what_cannot_be_resumed_is_refused(web: aiohttp.ClientSession) -> None:
    ann, token = await guest(web)
    upload = Resumable(web, token)
    path = f"user-assets/{ann}/{BLUEPRINT}/model.glb"
    assert await upload.create(f"user-assets/{BLUEPRINT}/{BLUEPRINT}/model.glb", 9) == 400
    assert await upload.create(path, 10**12) == 400
    assert await upload.create(path, 9, **{"Upload-Metadata": "bucketName !"}) == 400
    assert await upload.create(path, 9, **{"Upload-Length": "nine"}) == 400
    async with web.post("/storage/v1/upload/resumable") as answer:
        assert (answer.status, answer.headers["Tus-Version"]) == (412, "1.0.0")
    for wrong in ("x", "%00", b64encode(b"a/b/c").decode(), "A" * 3000):
        upload.url = f"/storage/v1/upload/resumable/{wrong}"
        assert await upload.offset() is None
    # What is not what it claims to be is gone once all of it has come.
    assert await upload.create(path, 9) == 201
    assert (await upload.append(b"no model!", 0))[0] == 400
    assert await upload.offset() is None
    assert await upload.create(path, 9) == 201
    assert (await upload.ask("POST", X_HTTP_Method_Override="DELETE"))[0] == 204
    assert await upload.offset() is None
    for number in range(17):
        name = f"user-assets/{ann}/{BLUEPRINT}/model{number}.glb"
        assert await upload.create(name, 9) == (201 if number < 16 else 409)


async def test_parts_that_are_refused_leave_nothing_behind(
    web: aiohttp.ClientSession, node: Node, dsn: str
) -> None:
    ann, token = await guest(web)
    upload, part = Resumable(web, token), b"x" * 100
    assert await upload.create(f"user-assets/{ann}/{BLUEPRINT}/model.glb", 1000) == 201

    async def slowly() -> AsyncIterator[bytes]:
        yield part[:50]
        await asyncio.sleep(0.5)
        yield part[50:]

    async def refused_unread(at: int) -> bytes:
        async with sending(web, upload, at, b"", of=500) as reader, asyncio.timeout(10):
            return (await reader.readline()).split()[1]

    database = await asyncpg.connect(dsn)
    try:
        # Of those who send the same bytes at once, one is heard.
        answers = await asyncio.gather(*(upload.append(slowly(), 0) for _ in range(4)))
        assert sorted(status for status, _ in answers) == [204, 409, 409, 409]
        upload_id, key = await database.fetchrow(
            "SELECT u.id, p.key FROM file_uploads u JOIN file_upload_parts p ON p.upload_id = u.id "
            "WHERE u.owner_id = $1",
            ann,
        )
        stored = {path.name for path in node.folder.glob(f"**/_parts/{upload_id}/*")}
        assert stored == {key.rpartition("/")[2]}
        kept = "SELECT count(*) FROM file_trash WHERE thrown_at > clock_timestamp()"
        assert await database.fetchval(kept) == 0

        # Where no part is taken, no byte of one is read.
        claim = "UPDATE file_uploads SET claimed_at = $2 WHERE id = $1"
        await database.execute(claim, upload_id, datetime.now(UTC))
        assert await refused_unread(100) == b"409"
        await database.execute(claim, upload_id, None)
        await database.execute(
            "INSERT INTO file_upload_parts SELECT $1, n, 1, 'of ' || $1::uuid || n "
            "FROM generate_series(100, 354) n",
            upload_id,
        )
        assert await refused_unread(355) == b"403"
    finally:
        await database.close()


async def test_all_ways_in_share_an_owners_places(web: aiohttp.ClientSession) -> None:
    ann, token = await guest(web)

    async def send(name: str) -> int:
        headers = {"Content-Type": "application/pdf", "x-upsert": "true"}
        pdf = b"%PDF-1.7 plan"
        path = f"object/notes/{ann}/{name}.pdf"
        return (await ask(web, "POST", path, token, data=pdf, headers=headers))[0]

    assert await asyncio.gather(*map(send, "abcd")) == [200] * 4, "each takes one place"
    new = {
        "bucket": "notes",
        "path": f"{ann}/e.pdf",
        "size": 4,
        "content_type": "application/pdf",
    }
    async with web.post("/v1/files/uploads", json=new, headers=bearer(token)) as answer:
        url = (await answer.json())["upload_url"]
    async with AsyncExitStack() as stack, asyncio.timeout(30):
        for number in range(4):
            upload = Resumable(web, token)
            path = f"user-assets/{ann}/{BLUEPRINT}/model{number}.glb"
            assert await upload.create(path, 1000) == 201
            await stack.enter_async_context(sending(web, upload, 0, b"glTF", of=1000))
        while await send("f") != 429:
            await asyncio.sleep(0.1)
        pdf = {"Content-Type": "application/pdf"}
        async with web.put(url, data=b"%PDF", headers=pdf) as answer:
            assert answer.status == 429
