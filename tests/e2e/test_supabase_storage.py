"""`/storage/v1` on a real node: the client's uploads, downloads, lists and signed URLs."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import aiohttp
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
    '"is_public": false, "is_settled": false}}'
)


@pytest.fixture(scope="module")
def node(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    dsn = databases.create(template=TEMPLATE)
    folder = tmp_path_factory.mktemp("node")
    settings = {"supabase_api_secret": SECRET, "files_buckets": BUCKETS}
    with Node(folder, databases.serving_dsn(dsn), **settings) as node:
        yield node
    databases.drop(dsn)


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
