"""`GET /v1/me/export` and `DELETE /v1/me` over a real port."""

import asyncio
from io import BytesIO
from zipfile import ZipFile

import orjson
import pytest

from persistence.profiles.personal_data import PersonalDataStore
from protocol.accounts import Me, Tokens
from protocol.errors import Overloaded, TooLarge
from protocol.ids import UserId
from server.domains.people.profiles import export
from server.domains.people.profiles.export import EXPORTS_AT_ONCE, ExportService
from tests.fixtures.http import bearer
from tests.integration.profiles.conftest import Room


async def _export(room: Room, who: Tokens) -> ZipFile:
    async with room.client.get("/v1/me/export", headers=bearer(who.access_token)) as reply:
        assert (reply.status, reply.content_type) == (200, "application/zip")
        assert "attachment" in reply.headers["Content-Disposition"]
        return ZipFile(BytesIO(await reply.read()))


async def _erase(room: Room, who: Tokens, confirm: object) -> tuple[int, str]:
    status, answer = await room.ask("DELETE", "/v1/me", who, confirm=confirm)
    return status, answer.get("code", "")


async def _can_sign_in(room: Room, who: Tokens) -> None:
    """Let an account have an email address to sign in with."""
    await room.run(
        "INSERT INTO playhall_auth.methods (user_id, kind, lookup, sealed, password_hash)"
        " VALUES ($1, 'email', '\\x01', '\\x02', '-')",
        who.user_id,
    )


async def test_export_is_an_archive_that_explains_itself(room: Room) -> None:
    ann = await room.guest()
    await room.change(ann, username="anna", preferences={"sound": False})
    files = await _export(room, ann)
    assert files.testzip() is None
    assert orjson.loads(files.read("account.json")) == await room.me(ann)
    profile = orjson.loads(files.read("tables/profiles.jsonl"))
    assert (profile["username"], profile["preferences"]) == ("anna", {"sound": False})
    readme = files.read("README.txt").decode()
    assert "everything that https://play.example.org stores about you" in readme
    for name in files.namelist():
        if name.endswith(".jsonl"):
            rows = files.read(name).splitlines()
            assert f"{len(rows):8}  {name}" in readme
    assert "    none  tables/wallets" in readme


async def test_many_rows_come_whole(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE_BYTES", 1024)
    ann = await room.guest()
    await room.run(
        "INSERT INTO playhall_auth.sessions (user_id) SELECT $1 FROM generate_series(1, 999)",
        ann.user_id,
    )
    rows = (await _export(room, ann)).read("tables/playhall_auth.sessions.jsonl").splitlines()
    assert len({orjson.loads(row)["id"] for row in rows}) == 1000


async def test_exports_are_limited_for_each_account(room: Room) -> None:
    ann, bob = await room.guest(), await room.guest("Bob")
    for _ in range(3):
        await _export(room, ann)
    status, error = await room.ask("GET", "/v1/me/export", ann)
    assert (status, error["code"]) == (429, "rate_limited")
    await _export(room, bob)


async def test_export_that_grows_too_large_is_refused(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "ARCHIVE_BYTES_MAX", 10)
    status, error = await room.ask("GET", "/v1/me/export", await room.guest())
    assert (status, error["code"]) == (413, "too_large")


async def test_so_many_are_served_at_once_and_the_next_is_refused(room: Room) -> None:
    ann = await room.guest()
    reached, release = asyncio.Semaphore(0), asyncio.Event()

    async def never(_: UserId) -> Me:
        reached.release()
        await release.wait()
        raise TooLarge

    exports = ExportService(
        store=PersonalDataStore(room.database), sections={"account": never}, server=str
    )
    user_id = UserId(ann.user_id)
    under_way = [exports.export(user_id) for _ in range(EXPORTS_AT_ONCE)]
    waiting = asyncio.gather(*under_way, return_exceptions=True)
    for _ in under_way:
        await reached.acquire()
    with pytest.raises(Overloaded):
        await exports.export(user_id)
    release.set()
    assert [type(error) for error in await waiting] == [TooLarge] * EXPORTS_AT_ONCE
    with pytest.raises(TooLarge):
        await exports.export(user_id)


async def test_erased_account_is_gone_at_once(room: Room) -> None:
    ann = await room.guest()
    username = (await room.me(ann))["username"]
    status, answer = await room.ask("DELETE", "/v1/me", ann, confirm=username.upper())
    assert (status, answer) == (200, {"player_id": ann.player_id})
    assert (await room.ask("GET", "/v1/me", ann))[1]["code"] == "bad_token"
    assert (await room.ask("GET", f"/v1/profiles/{username}"))[0] == 404
    refresh = await room.ask("POST", "/v1/auth/refresh", refresh_token=ann.refresh_token)
    assert refresh[1]["code"] == "bad_token"
    assert room.left == [ann.player_id]
    free = await room.ask("GET", f"/v1/profiles?username={username}")
    assert free[1]["is_free"]


async def test_nothing_is_erased_without_the_username(room: Room) -> None:
    ann, bob = await room.guest(), await room.guest("Bob")
    assert await _erase(room, ann, (await room.me(bob))["username"]) == (403, "not_confirmed")
    status, error = await room.ask("DELETE", "/v1/me", ann)
    assert (status, error["field"]) == (422, "confirm")
    assert (await room.me(ann))["display_name"] == "Ann"
    assert room.left == []


async def test_who_can_sign_in_must_have_done_so_just_now(room: Room) -> None:
    ann = await room.guest()
    await _can_sign_in(room, ann)
    username = (await room.me(ann))["username"]
    assert await _erase(room, ann, username) == (403, "sign_in_again")
    signed_in = await room.accounts.open_session(UserId(ann.user_id), method="email")
    await room.run(
        "UPDATE playhall_auth.sessions SET created_at = now() - interval '16 min'"
        " WHERE method = 'email'"
    )
    assert await _erase(room, signed_in, username) == (403, "sign_in_again")
    just_now = await room.accounts.open_session(UserId(ann.user_id), method="email")
    assert (await _erase(room, just_now, username))[0] == 200


async def test_usernames_cannot_be_tried_out(room: Room) -> None:
    ann = await room.guest()
    answers = [await _erase(room, ann, f"try-{n}") for n in range(6)]
    assert [code for _, code in answers] == ["not_confirmed"] * 5 + ["rate_limited"]
