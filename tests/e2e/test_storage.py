"""Stored objects over HTTP: versions, permissions, bounds, and races."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import psycopg
import pytest

import playhall
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases


@dataclass
class Person:
    """A guest, and the addresses of their objects."""

    web: aiohttp.ClientSession
    token: str
    user_id: str
    player_id: str

    async def ask(
        self, method: str, path: str, body: Any = None, *, of: str | None = None
    ) -> tuple[int, Any]:
        url = f"/v1/{of or f'players/{self.player_id}'}/storage/{path}"
        async with self.web.request(method, url, json=body, headers=bearer(self.token)) as answer:
            return answer.status, await answer.json()


@pytest.fixture(scope="module")
def place(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Node, str]]:
    dsn = databases.create(template=TEMPLATE)
    serving = databases.serving_dsn(dsn)
    with Node(tmp_path_factory.mktemp("node"), serving, storage_objects_per_player=3) as node:
        yield node, dsn
    databases.drop(dsn)


@pytest.fixture
async def people(place: tuple[Node, str]) -> AsyncIterator[list[Person]]:
    node, _ = place
    async with aiohttp.ClientSession(node.url) as web:
        found = []
        for name in ("Ann", "Ben", "Cem"):
            async with web.post("/v1/auth/guest", json={"display_name": name}) as answer:
                session = await answer.json()
            async with web.get("/v1/me", headers=bearer(session["access_token"])) as answer:
                me = await answer.json()
            found.append(Person(web, session["access_token"], me["user_id"], me["player_id"]))
        yield found


async def test_object_is_written_read_listed_and_deleted(people: list[Person]) -> None:
    ann, *_ = people
    status, made = await ann.ask("PUT", "settings/controls", {"value": {"jump": "space"}})
    assert (status, made["version"], made["read_by"]) == (200, 1, "owner")
    status, again = await ann.ask("PUT", "settings/controls", {"value": {"jump": "w"}})
    assert (status, again["version"]) == (200, 2)
    await ann.ask("PUT", "settings/sound", {"value": {}})
    status, page = await ann.ask("GET", "settings?limit=1")
    assert [each["key"] for each in page["objects"]] == ["controls"]
    _, rest = await ann.ask("GET", f"settings?limit=1&cursor={page['next']}")
    assert [each["key"] for each in rest["objects"]] == ["sound"]
    _, found = await ann.ask("GET", "settings?prefix=con")
    assert [each["value"] for each in found["objects"]] == [{"jump": "w"}]
    assert (await ann.ask("DELETE", "settings/controls?version=1"))[1]["code"] == "object_changed"
    assert (await ann.ask("DELETE", "settings/controls?version=2"))[0] == 200
    assert (await ann.ask("GET", "settings/controls"))[1]["code"] == "object_not_found"


async def test_conditional_write_overwrites_nothing_that_was_not_read(people: list[Person]) -> None:
    ann, *_ = people
    first = await ann.ask("PUT", "deck/one", {"value": {"n": 1}, "version": 0})
    assert first[0] == 200
    for version, code in ((0, "object_changed"), (7, "object_changed")):
        wrong = await ann.ask("PUT", "deck/one", {"value": {"n": 9}, "version": version})
        assert wrong[1]["code"] == code
    assert (await ann.ask("PUT", "deck/none", {"value": {}, "version": 3}))[1]["code"] == (
        "object_not_found"
    )
    answers = await asyncio.gather(
        *(ann.ask("PUT", "deck/one", {"value": {"n": n}, "version": 1}) for n in range(2, 12))
    )
    assert sorted(status for status, _ in answers) == [200] + [409] * 9
    assert (await ann.ask("GET", "deck/one"))[1]["version"] == 2


async def test_new_object_is_added_once_however_many_add_it(people: list[Person]) -> None:
    _, ben, _ = people
    answers = await asyncio.gather(
        *(ben.ask("PUT", "race/key", {"value": {"n": n}, "version": 0}) for n in range(10))
    )
    assert sorted(status for status, _ in answers) == [200] + [409] * 9


async def test_others_read_what_is_public_and_write_nothing(people: list[Person]) -> None:
    ann, ben, _ = people
    await ann.ask("PUT", "card/shown", {"value": {"a": 1}, "read_by": "public"})
    await ann.ask("PUT", "card/hidden", {"value": {"a": 2}})
    of_ann = f"players/{ann.player_id}"
    assert (await ben.ask("GET", "card/shown", of=of_ann))[1]["value"] == {"a": 1}
    assert (await ben.ask("GET", "card/hidden", of=of_ann))[0] == 404
    _, page = await ben.ask("GET", "card", of=of_ann)
    assert [each["key"] for each in page["objects"]] == ["shown"]
    for method, body in (("PUT", {"value": {}}), ("DELETE", None)):
        assert (await ben.ask(method, "card/shown", body, of=of_ann))[0] == 403


async def test_public_objects_are_hidden_from_blocked_people_and_with_their_owner(
    people: list[Person],
) -> None:
    ann, ben, cem = people
    await ann.ask("PUT", "card/shown", {"value": {"a": 1}, "read_by": "public"})
    of_ann, web = f"players/{ann.player_id}", ann.web
    async with web.put(f"/v1/people/{ben.user_id}/block", headers=bearer(ann.token)) as answer:
        assert answer.status == 200
    assert (await ben.ask("GET", "card/shown", of=of_ann))[0] == 404
    assert (await ben.ask("GET", "card", of=of_ann))[1]["objects"] == []
    assert (await cem.ask("GET", "card/shown", of=of_ann))[0] == 200
    async with web.post("/v1/me/deactivate", headers=bearer(ann.token)) as answer:
        assert answer.status == 200
    assert (await cem.ask("GET", "card/shown", of=of_ann))[0] == 404
    async with web.get(f"/v1/{of_ann}/storage/card") as answer:
        assert (await answer.json())["objects"] == []


async def test_objects_of_the_server_are_not_written_by_their_owner(
    people: list[Person], place: tuple[Node, str]
) -> None:
    _, ben, _ = people
    with psycopg.connect(place[1], autocommit=True) as owner:
        for key, read_by in (("wins", "owner"), ("notes", "server")):
            owner.execute(
                "INSERT INTO stored_objects (account_id, collection, key, value, read_by, write_by)"
                " VALUES (%s, 'daily', %s, '{}', %s, 'server')",
                [ben.user_id, key, read_by],
            )
    assert (await ben.ask("GET", "daily/wins"))[0] == 200
    assert (await ben.ask("PUT", "daily/wins", {"value": {"n": 99}}))[1]["code"] == (
        "object_read_only"
    )
    assert (await ben.ask("DELETE", "daily/wins"))[1]["code"] == "object_read_only"
    assert (await ben.ask("GET", "daily/notes"))[0] == 404
    assert (await ben.ask("PUT", "daily/notes", {"value": {}}))[0] == 404
    with psycopg.connect(place[1]) as owner:
        rows = owner.execute("SELECT value FROM stored_objects WHERE write_by = 'server'")
        assert {str(value) for (value,) in rows} == {"{}"}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("Big/x", {"value": {}}, "collection"),
        ("c/-x", {"value": {}}, "key"),
        ("c/x", {"value": [1]}, "value"),
        ("c/x", {"value": {"t": "x" * 17_000}}, "value"),
        ("c/x", {"value": {"t": "\x00"}}, "value"),
        ("c/x", {"value": {}, "version": -1}, "version"),
        ("c/x", {"value": {}, "read_by": "server"}, "read_by"),
        ("c/x", {"value": {}, "write_by": "owner"}, "write_by"),
        ("c/x", {}, "value"),
    ],
)
async def test_bad_object_is_refused_with_its_field(
    people: list[Person], path: str, body: dict[str, Any], field: str
) -> None:
    status, error = await people[2].ask("PUT", path, body)
    assert (status, error["code"]) == (422, "invalid_field")
    assert field in error["message"]


async def test_player_keeps_a_bounded_number_of_objects(people: list[Person]) -> None:
    *_, cem = people
    codes = [(await cem.ask("PUT", f"many/{n}", {"value": {}}))[0] for n in range(4)]
    assert codes == [200, 200, 200, 409]
    assert (await cem.ask("PUT", "many/0", {"value": {"a": 1}}))[0] == 200


async def test_objects_of_a_game_are_its_players(
    people: list[Person], place: tuple[Node, str]
) -> None:
    ann, ben, cem = people
    game_id = await start_game(ann, ben, place[0])
    of = f"games/{game_id}"
    made = await ann.ask("PUT", "notes/plan", {"value": {"a": 1}, "version": 0}, of=of)
    assert made[1]["version"] == 1
    assert (await ben.ask("PUT", "notes/plan", {"value": {"b": 2}, "version": 1}, of=of))[1][
        "version"
    ] == 2
    await ben.ask("PUT", "notes/shown", {"value": {}, "read_by": "public"}, of=of)
    _, own = await ann.ask("GET", "notes", of=of)
    assert [each["key"] for each in own["objects"]] == ["plan", "shown"]
    _, others = await cem.ask("GET", "notes", of=of)
    assert [each["key"] for each in others["objects"]] == ["shown"]
    assert (await cem.ask("GET", "notes/plan", of=of))[0] == 404
    assert (await cem.ask("PUT", "notes/plan", {"value": {}}, of=of))[0] == 403
    assert (await ann.ask("DELETE", "notes/plan?version=1", of=of))[1]["code"] == "object_changed"
    assert (await ann.ask("DELETE", "notes/plan", of=of))[0] == 200
    nowhere = "games/00000000-0000-4000-8000-000000000000"
    assert (await ann.ask("GET", "notes/plan", of=nowhere))[1]["code"] == "game_not_found"


async def start_game(host: Person, guest: Person, node: Node) -> str:
    """Have two people sit down in a public relay game."""
    async with (
        playhall.connect(node.url, token=host.token) as first,
        playhall.connect(node.url, token=guest.token) as second,
    ):
        lobby = (await first.call("lobby.create", ruleset="relay", seats=2))["lobby"]
        await second.call("lobby.join", lobby_id=lobby["lobby_id"])
        await second.call("lobby.ready", lobby_id=lobby["lobby_id"], ready=True)
        started = await first.call("lobby.start", lobby_id=lobby["lobby_id"])
        return str(started["lobby"]["game_id"])
