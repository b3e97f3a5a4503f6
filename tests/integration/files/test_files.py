"""Files over a real port, in a folder and in S3."""

import asyncio
from asyncio import StreamReader as Reader
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from persistence.accounts.store import AccountStore
from persistence.files.store import AnnouncedUpload
from persistence.objects import ObjectStorage
from persistence.rls import RlsDatabase
from protocol.ids import new_id
from server.core.clock import Clock
from server.domains.content.files import uploads
from server.domains.content.files.model import parse_buckets
from server.domains.people.accounts.keys import ScopedTokens, SigningKeys
from tests.integration.files.conftest import GLB, PNG, QUOTA, TYPES, Json, Store, serving


def _path(who: str) -> str:
    return f"{who}/{new_id()}/model.glb"


# ------------------------------------------------------------------ in


async def test_file_is_served_as_it_was_uploaded(store: Store) -> None:
    ann = await store.person()
    url = await store.upload(ann, path := _path(ann), GLB)
    answer, body = await store.get(url)
    assert (answer.status, body, url) == (200, GLB, f"/files/user-assets/{path}")
    assert answer.headers["Content-Type"] == "model/gltf-binary"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Disposition"] == 'attachment; filename="model.glb"'


async def test_large_file_arrives_in_parts_and_whole(store: Store) -> None:
    ann = await store.person()
    content = b"glTF" + bytes(12_000_000)
    url = await store.upload(ann, _path(ann), content)
    assert (await store.get(url))[1] == content


async def test_url_for_an_upload_is_good_once(store: Store) -> None:
    ann = await store.person()
    _, announced = await store.announce(ann, _path(ann), GLB)
    assert (await store.put(announced["upload_url"], GLB))[0] == 200
    status, refused = await store.put(announced["upload_url"], GLB)
    assert (status, refused["code"]) == (403, "bad_upload")


async def test_url_for_an_upload_expires(store: Store) -> None:
    ann = await store.person()
    _, announced = await store.announce(ann, _path(ann), GLB)
    await store.run("UPDATE file_uploads SET expires_at = now() - interval '1 second'")
    status, refused = await store.put(announced["upload_url"], GLB)
    assert (status, refused["code"]) == (403, "bad_upload")
    assert (await store.get(announced["url"]))[0].status == 404


async def test_made_up_and_outdated_signatures_are_refused(store: Store) -> None:
    ann = await store.person()
    _, announced = await store.announce(ann, _path(ann), GLB)
    url, _, token = announced["upload_url"].partition("?token=")
    keys = SigningKeys(AccountStore(store.database), now=Clock().monotonic)
    await keys.start()
    past = ScopedTokens("upload", keys=keys, clock=Clock(), lifetime_s=-1)
    outdated = past.write({"upload": new_id()}).token
    for wrong in ("", "a.b.c", token[:-8] + "A" * 8, outdated, token.partition(".")[0] + ".e30."):
        status, refused = await store.put(f"{url}?token={wrong}", GLB)
        assert (status, refused["code"]) == (403, "bad_upload")
    assert (await store.put(announced["upload_url"], GLB))[0] == 200


async def test_url_for_one_path_does_not_open_another(store: Store) -> None:
    ann = await store.person()
    _, announced = await store.announce(ann, _path(ann), GLB)
    token = announced["upload_url"].partition("?")[2]
    status, refused = await store.put(f"/files/user-assets/{_path(ann)}?{token}", GLB)
    assert (status, refused["code"]) == (403, "bad_upload")
    assert await store.keys() == set()


@pytest.mark.parametrize(
    ("sent", "content_type", "said"),
    [
        (GLB + b"x", TYPES["glb"], "longer than"),
        (GLB[:-1], TYPES["glb"], "not the"),
        (b"", TYPES["glb"], "has 0 bytes"),
        (GLB, "image/png", "Content-Type model/gltf-binary"),
        (b"<svg" + GLB[4:], TYPES["glb"], "content is not"),
    ],
)
async def test_other_than_what_was_announced_is_refused_and_leaves_nothing(
    store: Store, sent: bytes, content_type: str, said: str
) -> None:
    ann = await store.person()
    _, announced = await store.announce(ann, _path(ann), GLB)
    status, refused = await store.put(announced["upload_url"], sent, content_type)
    assert (status, refused["code"], said in refused["message"]) == (422, "file_refused", True)
    assert await store.keys() == set()
    assert await store.run("SELECT FROM file_uploads") == []


async def test_stream_that_does_not_end_is_cut_at_what_was_announced(store: Store) -> None:
    ann = await store.person()
    _, announced = await store.announce(ann, _path(ann), GLB)
    base = store.http._base_url
    assert base is not None
    reader, writer = await asyncio.open_connection(base.host, base.port)
    head = (
        f"PUT {announced['upload_url']} HTTP/1.1\r\nHost: hall\r\nContent-Type: {TYPES['glb']}\r\n"
    )
    writer.write(head.encode() + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
    answer, sent = asyncio.create_task(reader.readline()), 0
    while not answer.done():
        writer.write(b"186a0\r\n" + bytes(100_000) + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0)
        sent += 100_000
    assert b" 422 " in await answer
    writer.write(b"0\r\n\r\n")
    await reader.read()
    writer.close()
    assert sent < 100_000_000
    assert await store.keys() == set()


async def test_only_so_many_are_taken_in_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "RECEIVED_AT_ONCE", 0)
    ann = await store.person()
    _, announced = await store.announce(ann, _path(ann), GLB)
    status, refused = await store.put(announced["upload_url"], GLB)
    assert (status, refused["code"]) == (503, "overloaded")
    monkeypatch.setattr(uploads, "RECEIVED_AT_ONCE", 1)
    assert (await store.put(announced["upload_url"], GLB))[0] == 200


@asynccontextmanager
async def _sending(store: Store, announced: Json, part: bytes = GLB[:4]) -> AsyncIterator[Reader]:
    """Begin an upload, and send only a part of it; gives where the answer comes."""
    base = store.http._base_url
    assert base is not None
    reader, writer = await asyncio.open_connection(base.host, base.port)
    head = (
        f"PUT {announced['upload_url']} HTTP/1.1\r\nHost: h\r\nContent-Type: {TYPES['glb']}\r\n"
        f"Content-Length: {len(GLB)}\r\n\r\n"
    )
    writer.write(head.encode() + part)
    try:
        yield reader
    finally:
        writer.transport.abort()


async def _begun(store: Store, count: int) -> None:
    """Wait until so many uploads are being received."""
    async with asyncio.timeout(60):
        while len(await store.run("SELECT FROM file_uploads WHERE claimed_at IS NOT NULL")) < count:
            await asyncio.sleep(0.01)


async def test_one_person_cannot_take_every_place(store: Store) -> None:
    ann, eve = await store.person(), await store.person()
    async with AsyncExitStack() as stack:
        for _ in range(uploads.RECEIVED_PER_OWNER):
            _, announced = await store.announce(ann, _path(ann), GLB)
            await stack.enter_async_context(_sending(store, announced))
        await _begun(store, uploads.RECEIVED_PER_OWNER)
        _, further = await store.announce(ann, _path(ann), GLB)
        status, refused = await store.put(further["upload_url"], GLB)
        assert (status, refused["code"]) == (429, "rate_limited")
        assert "You can send 4 files at once" in refused["message"]
        _, others = await store.announce(eve, _path(eve), GLB)
        assert (await store.put(others["upload_url"], GLB))[0] == 200
    async with asyncio.timeout(60):
        while (await store.put(further["upload_url"], GLB))[0] == 429:
            await asyncio.sleep(0.01)


async def test_one_network_cannot_take_every_place(store: Store) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(uploads.RECEIVED_PER_NETWORK):
            one = await store.person()
            _, announced = await store.announce(one, _path(one), GLB)
            await stack.enter_async_context(_sending(store, announced))
        await _begun(store, uploads.RECEIVED_PER_NETWORK)
        another = await store.person()
        _, announced = await store.announce(another, _path(another), GLB)
        status, refused = await store.put(announced["upload_url"], GLB)
        assert (status, refused["code"]) == (429, "rate_limited")
        assert "Your network" in refused["message"]
    assert uploads.RECEIVED_PER_NETWORK < uploads.RECEIVED_AT_ONCE


async def test_uploads_that_send_nothing_take_no_place(store: Store) -> None:
    ann = await store.person()
    async with AsyncExitStack() as stack:
        for _ in range(uploads.RECEIVED_AT_ONCE):
            _, announced = await store.announce(ann, _path(ann), GLB)
            await stack.enter_async_context(_sending(store, announced, b""))
        _, announced = await store.announce(ann, _path(ann), GLB)
        assert (await store.put(announced["upload_url"], GLB))[0] == 200


@pytest.mark.parametrize("part", [b"", GLB[:4]], ids=["nothing", "a part"])
async def test_upload_that_stops_is_answered_408(hasty: Store, part: bytes) -> None:
    ann = await hasty.person()
    _, announced = await hasty.announce(ann, _path(ann), GLB)
    async with _sending(hasty, announced, part) as reader:
        assert b" 408 " in await reader.readline()
        assert b"request_timeout" in await reader.read()
    status, again = await hasty.put(announced["upload_url"], GLB)
    if part:
        assert (status, again["code"]) == (403, "bad_upload")
    else:
        assert status == 200


async def test_upload_that_takes_too_long_in_all_is_answered_408(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "RECEIVE_S", 0.3)
    ann = await store.person()
    _, announced = await store.announce(ann, _path(ann), GLB)
    async with _sending(store, announced) as reader:
        assert b" 408 " in await reader.readline()
        assert b"announce it again" in await reader.read()


# ------------------------------------------------------------------ who, where, how much


async def test_nobody_writes_into_anothers_folder(store: Store) -> None:
    ann, eve = await store.person(), await store.person()
    status, refused = await store.announce(eve, _path(ann), GLB)
    assert (status, refused["field"]) == (422, "path")
    assert f"{eve}/" in refused["message"]
    async with store.http.post("/v1/files/uploads", json={}) as answer:
        assert answer.status == 401


async def test_settled_path_is_written_once_and_again_after_it_was_deleted(store: Store) -> None:
    ann = await store.person()
    url = await store.upload(ann, path := _path(ann), GLB)
    status, refused = await store.announce(ann, path, GLB)
    assert (status, refused["code"]) == (409, "file_taken")
    async with store.http.delete(f"/v1{url}", headers={"Authorization": f"Bearer {ann}"}) as gone:
        assert gone.status == 200
    await store.upload(ann, path, GLB)


async def test_announcing_again_outdates_the_url_before(store: Store) -> None:
    ann = await store.person()
    path = _path(ann)
    _, first = await store.announce(ann, path, GLB)
    _, second = await store.announce(ann, path, GLB + b"more")
    assert (await store.put(first["upload_url"], GLB))[1]["code"] == "bad_upload"
    assert (await store.put(second["upload_url"], GLB + b"more"))[0] == 200


async def test_upload_under_way_is_not_pushed_aside(store: Store) -> None:
    ann = await store.person()
    path = _path(ann)
    await store.announce(ann, path, GLB)
    await store.run("UPDATE file_uploads SET claimed_at = now()")
    status, refused = await store.announce(ann, path, GLB)
    assert (status, refused["code"]) == (409, "file_taken")


async def test_avatar_is_replaced_in_place(store: Store) -> None:
    ann = await store.person()
    path = f"{ann}/avatar.png"
    url = await store.upload(ann, path, PNG, bucket="avatars")
    before = (await store.get(url))[0].headers["ETag"]
    await store.upload(ann, path, PNG + b"new", bucket="avatars")
    answer, body = await store.get(url, If_None_Match=before)
    assert (answer.status, body) == (200, PNG + b"new")
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert answer.headers["Content-Disposition"] == "inline"
    assert len(await store.keys()) == 2
    await store.files.maintenance.clear()
    assert len(await store.keys()) == 1
    assert (await store.get(url))[1] == PNG + b"new"


async def test_buckets_are_those_that_are_set(
    store: Store, rls: RlsDatabase, objects: ObjectStorage, tmp_path: Path
) -> None:
    ann, eve = await store.person(), await store.person()
    kept = await store.upload(ann, f"{ann}/image/{new_id()}.png", PNG, bucket="creations")
    changed = parse_buckets(
        '{"avatars": {"bytes_max": 100, "types": ["jpg"]}, "creations": null, "maps": {"path":'
        ' "<user id>/world/<name>", "bytes_max": 9000, "types": ["png", "glb"],'
        ' "is_public": false, "is_settled": false}}'
    )
    async with serving(store.database, rls, objects, tmp_path, buckets=changed) as later:
        for bucket, path, content, field in (
            ("avatars", f"{ann}/avatar.png", PNG, "content_type"),
            ("avatars", f"{ann}/avatar.jpg", PNG, "size"),
            ("creations", f"{ann}/image/{new_id()}.png", PNG, "bucket"),
            ("maps", f"{ann}/world/a/b.png", PNG, "path"),
            ("maps", f"{eve}/world/north.png", PNG, "path"),
            ("maps", f"{ann}/world/north.glb", GLB, "size"),
        ):
            status, refused = await later.announce(ann, path, content, bucket=bucket)
            assert (status, refused["field"]) == (422, field), refused
        for content in (PNG, PNG + b"again"):
            url = await later.upload(ann, f"{ann}/world/north.png", content, bucket="maps")
        assert (await later.get(url, who=ann))[1] == content
        assert (await later.get(url, who=eve))[0].status == 404
        answer, body = await later.get(kept, who=ann)
        assert (answer.status, body) == (200, PNG)
        headers = {"Authorization": f"Bearer {ann}"}
        async with later.http.delete(f"/v1{kept}", headers=headers) as gone:
            assert gone.status == 200


async def test_account_has_only_so_much_room(store: Store) -> None:
    ann, bob = await store.person(), await store.person()
    half = QUOTA // 2
    for _ in range(2):
        status, _ = await store.announce(ann, _path(ann), GLB, size=half)
        assert status == 200
    status, refused = await store.announce(ann, _path(ann), GLB, size=1)
    assert (status, refused["code"]) == (409, "quota_exceeded")
    assert f"{QUOTA} of {QUOTA} bytes" in refused["message"]
    assert (await store.announce(bob, _path(bob), GLB, size=half))[0] == 200


async def test_private_file_is_its_owners_alone(store: Store) -> None:
    ann, eve = await store.person(), await store.person()
    path = f"{ann}/image/{new_id()}.png"
    url = await store.upload(ann, path, PNG, bucket="creations")
    answer, body = await store.get(url, who=ann)
    assert (answer.status, body) == (200, PNG)
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert [(await store.get(url, who=who))[0].status for who in (eve, None)] == [404, 404]
    async with store.http.delete(f"/v1{url}", headers={"Authorization": f"Bearer {eve}"}) as gone:
        assert (gone.status, (await gone.json())["code"]) == (404, "file_not_found")


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "%2e%2e/secret",
        "a/../../node",
        "%2Fetc%2Fpasswd",
        "a%00b",
        "..%5c..%5cnode",
        "x" * 5000,
        "é",
        "a//b",
    ],
)
async def test_odd_paths_are_not_found(store: Store, path: str) -> None:
    for bucket in ("user-assets", "..", "%2e%2e"):
        answer, _ = await store.get(f"/files/{bucket}/{path}")
        assert answer.status == 404


# ------------------------------------------------------------------ out


async def test_unchanged_file_is_not_sent_again(store: Store) -> None:
    ann = await store.person()
    url = await store.upload(ann, _path(ann), GLB)
    etag = (await store.get(url))[0].headers["ETag"]
    answer, body = await store.get(url, If_None_Match=etag)
    assert (answer.status, body, answer.headers["ETag"]) == (304, b"", etag)


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=10-", 10, len(GLB)),
        ("bytes=-7", len(GLB) - 7, len(GLB)),
        ("bytes=5-999999999", 5, len(GLB)),
    ],
)
async def test_part_of_a_file_is_sent(store: Store, asked: str, start: int, end: int) -> None:
    ann = await store.person()
    url = await store.upload(ann, _path(ann), GLB)
    answer, body = await store.get(url, Range=asked)
    assert (answer.status, body) == (206, GLB[start:end])
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(GLB)}"
    answer, body = await store.get(url, Range=asked, If_Range='"another"')
    assert (answer.status, body) == (200, GLB)


async def test_part_beyond_the_end_is_refused(store: Store) -> None:
    ann = await store.person()
    url = await store.upload(ann, _path(ann), GLB)
    answer, _ = await store.get(url, Range=f"bytes={len(GLB)}-")
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(GLB)}"


async def test_head_gives_the_size_and_sends_nothing(store: Store) -> None:
    ann = await store.person()
    url = await store.upload(ann, _path(ann), GLB)
    async with store.http.head(url) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(GLB)))
        assert await answer.read() == b""


@pytest.mark.parametrize("asked", ["bytes=0-0", "bytes=-7", "bytes=999999999-", "nonsense"])
async def test_head_pays_no_heed_to_ranges(store: Store, asked: str) -> None:
    ann = await store.person()
    url = await store.upload(ann, _path(ann), GLB)
    async with store.http.head(url, headers={"Range": asked}) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(GLB)))
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert "Content-Range" not in answer.headers


async def test_head_of_a_lost_file_says_so_as_get_does(store: Store) -> None:
    ann = await store.person()
    url = await store.upload(ann, _path(ann), GLB)
    [key] = [key for key in await store.keys() if ann in key]
    await store.files.objects.delete(key)
    async with store.http.head(url) as head, store.http.get(url) as whole:
        assert (head.status, whole.status) == (404, 404)


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,3-4", "bytes=", "bytes=-", "bytes=5-2", "lines=0-1", "bytes=\u0660-", "x"]
)
async def test_what_is_no_single_range_is_the_whole_file(store: Store, asked: str) -> None:
    ann = await store.person()
    url = await store.upload(ann, _path(ann), GLB)
    answer, body = await store.get(url, Range=asked)
    assert (answer.status, body) == (200, GLB)


@pytest.mark.parametrize("asked", ["BYTES=5-9", "bytes= 5-9"])
async def test_range_is_read_whatever_its_case_and_spaces(store: Store, asked: str) -> None:
    ann = await store.person()
    url = await store.upload(ann, _path(ann), GLB)
    answer, body = await store.get(url, Range=asked)
    assert (answer.status, body) == (206, GLB[5:10])


async def test_part_of_nothing_is_refused(store: Store) -> None:
    ann = await store.person()
    url = await store.upload(ann, _path(ann), GLB)
    answer, _ = await store.get(url, Range="bytes=-0")
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(GLB)}"


async def test_part_is_sent_while_the_file_is_the_one_that_is_known(store: Store) -> None:
    ann = await store.person()
    url = await store.upload(ann, _path(ann), GLB)
    etag = (await store.get(url))[0].headers["ETag"]
    answer, body = await store.get(url, Range="bytes=5-9", If_Range=etag)
    assert (answer.status, body) == (206, GLB[5:10])
    for other in (f"W/{etag}", "Sat, 28 Nov 2026 10:00:00 GMT"):
        answer, body = await store.get(url, Range="bytes=5-9", If_Range=other)
        assert (answer.status, body) == (200, GLB)


@pytest.mark.parametrize(
    ("announced", "sent"),
    [
        ("model/gltf-binary", "Model/GLTF-Binary"),
        ("model/gltf-binary", "model/gltf-binary; x=y"),
        ("Model/GLTF-Binary; x=y", "model/gltf-binary ;charset=utf-8"),
        ("MODEL/GLTF-BINARY", "model/gltf-binary"),
    ],
)
async def test_media_type_is_compared_without_case_and_parameters(
    store: Store, announced: str, sent: str
) -> None:
    ann = await store.person()
    status, upload = await store.announce(ann, _path(ann), GLB, content_type=announced)
    assert status == 200, upload
    status, body = await store.put(upload["upload_url"], GLB, sent)
    assert (status, body["content_type"]) == (200, "model/gltf-binary")
    answer, _ = await store.get(upload["url"])
    assert answer.headers["Content-Type"] == "model/gltf-binary"


# ------------------------------------------------------------------ maintenance


async def test_object_goes_when_its_row_goes_whoever_deletes_it(store: Store) -> None:
    ann, bob = await store.person(), await store.person()
    for who in (ann, bob):
        await store.upload(who, _path(who), GLB)
    await store.run("DELETE FROM files WHERE owner_id = $1", bob)
    assert len(await store.keys()) == 2
    assert await store.files.maintenance.clear() == 1
    assert {key.split("/")[1] for key in await store.keys()} == {ann}
    assert await store.files.maintenance.clear() == 0


async def test_object_that_cannot_be_deleted_keeps_no_other_from_being_deleted(
    store: Store,
) -> None:
    ann = await store.person()
    for _ in range(3):
        await store.upload(ann, _path(ann), GLB)
    odd = "a//../b"  # no name of an object, in either store
    await store.run("DELETE FROM files WHERE owner_id = $1", ann)
    (first, *others) = [row["key"] for row in await store.run("SELECT key FROM file_trash")]
    moved = "UPDATE file_trash SET key = $2, thrown_at = 'epoch' WHERE key = $1"
    await store.run(moved, first, odd)
    assert await store.files.maintenance.clear() == len(others) == 2
    assert await store.keys() == {first}
    assert [row["key"] for row in await store.run("SELECT key FROM file_trash")] == [odd]


async def test_upload_that_was_cut_off_by_a_crash_leaves_nothing(store: Store) -> None:
    ann = await store.person()
    _, announced = await store.announce(ann, path := _path(ann), GLB)
    (row,) = await store.run("SELECT id, size FROM file_uploads")
    upload = AnnouncedUpload(row["id"], ann, None, "user-assets", path, row["size"], TYPES["glb"])
    await store.files.store.claim_upload(upload.upload_id, for_s=60)
    await store.files.objects.put(upload.make_object_key, GLB)  # and here the node dies
    await store.files.maintenance.clear()
    assert await store.keys() == {upload.make_object_key}
    await store.run("UPDATE file_uploads SET expires_at = now() - interval '1 second'")
    assert await store.files.store.expire_uploads(limit=9) == 1
    await store.files.maintenance.clear()
    assert await store.keys() == set()
    assert (await store.get(announced["url"]))[0].status == 404


async def test_upload_of_somebody_who_is_erased_meanwhile_leaves_nothing(store: Store) -> None:
    ann = await store.person()
    _, announced = await store.announce(ann, _path(ann), GLB)

    async def erased_midway() -> AsyncIterator[bytes]:
        yield GLB[:10]
        while not await store.run("SELECT FROM file_uploads WHERE claimed_at IS NOT NULL"):
            await asyncio.sleep(0.01)
        await store.run("SELECT playhall_auth.erase_person($1)", ann)
        assert await store.files.maintenance.clear() == 1  # the sweep comes before the object
        yield GLB[10:]

    headers = {"Content-Type": TYPES["glb"]}
    url = announced["upload_url"]
    async with store.http.put(url, data=erased_midway(), headers=headers) as answer:
        assert (await answer.json())["code"] == "bad_upload"
    await store.files.maintenance.clear()
    assert await store.keys() == set()


async def test_lost_object_is_found_out_and_its_row_is_kept(store: Store) -> None:
    ann = await store.person()
    url = await store.upload(ann, path := _path(ann), GLB)
    await store.upload(ann, _path(ann), GLB)
    (row,) = await store.run("SELECT key FROM files WHERE path = $1", path)
    await store.files.objects.delete(row["key"])
    assert await store.files.maintenance.find_lost() == []  # both were seen just now
    await store.run("UPDATE files SET checked_at = now() - interval '8 days'")
    assert await store.files.maintenance.find_lost() == [f"user-assets/{path}"]
    (row,) = await store.run("SELECT count(*) FROM files WHERE lost_at IS NOT NULL")
    assert row["count"] == 1
    answer, _ = await store.get(url)
    assert answer.status == 404


async def test_missing_files_are_named(store: Store) -> None:
    ann = await store.person()
    path, absent = _path(ann), _path(ann)
    await store.upload(ann, path, GLB)
    links = [f"user-assets/{path}", f"user-assets/{absent}", f"avatars/{path}"]
    assert set(await store.files.find_missing(links)) == set(links[1:])
