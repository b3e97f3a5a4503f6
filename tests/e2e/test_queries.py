"""Query strings: text stays text, and numbers are read where the documents say number.

Every query parameter that `/openapi.json` lists is tried, and those that are added later as well.
"""

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from tests.faults.client_line import Guest, Json, Line, lines, new_guests, served
from tests.fixtures.http import address_of, bearer, operations_of
from tests.fixtures.node import Node
from tests.fixtures.postgres import Databases

pytestmark = pytest.mark.xdist_group("query strings")

LOOKS = ("2024", "007", "true", "false", "null", "1.0", "-5", "1e3", "[]", '{"a":1}')

# What is read, and what is refused.
GRAMMAR = {
    "integer": (
        ("7", "007", "7.0"),
        ("", "+7", " 7", "7 ", "1_0", "7.5", "1e1", "0x7", "\u0667", "true", "seven", "9" * 40),
    ),
    "boolean": (("true", "false"), ("", "1", "0", "True", "yes", "on")),
}


@pytest.fixture(scope="module")
def node(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with served(databases, tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture
async def guest(node: Node) -> Guest:
    [guest] = await new_guests(node, 1)
    return guest


@pytest.fixture
async def line(node: Node, guest: Guest) -> AsyncIterator[Line]:
    async with lines(node, [guest]) as [line]:
        yield line


@pytest.fixture
async def web(node: Node, guest: Guest) -> AsyncIterator[aiohttp.ClientSession]:
    # Who may ask at every address: only then is what was sent looked at.
    node.grant(guest.session["user_id"], "admin")
    async with aiohttp.ClientSession(node.url, headers=bearer(guest.token)) as web:
        yield web


def _typed(schema: Json) -> set[str]:
    return {each["type"] for each in schema.get("anyOf", [schema]) if "type" in each} - {"null"}


async def _outcome(answer: aiohttp.ClientResponse) -> tuple[int, str | None, str | None]:
    body = await answer.json()
    return answer.status, body.get("code"), body.get("field")


async def test_text_in_a_query_is_never_taken_for_anything_else(
    web: aiohttp.ClientSession,
) -> None:
    asked = 0
    _, operations = await operations_of(web)
    for method, path, operation in operations:
        for parameter in operation["parameters"]:
            schema = parameter["schema"]
            if parameter["in"] != "query" or _typed(schema) != {"string"} or "enum" in schema:
                continue
            for text in LOOKS:
                name = parameter["name"]
                async with web.request(method, address_of(path), params={name: text}) as answer:
                    body = await answer.json()
                assert answer.status < 500, (path, name, text, body)
                assert "valid string" not in body.get("message", ""), (path, name, text, body)
            asked += 1
    assert asked > 5


async def test_integers_and_booleans_in_a_query_are_read_by_one_grammar(
    web: aiohttp.ClientSession,
) -> None:
    asked = 0
    _, operations = await operations_of(web)
    for method, path, operation in operations:
        for parameter in operation["parameters"]:
            if parameter["in"] != "query":
                continue
            name, [kind] = parameter["name"], _typed(parameter["schema"])
            good, bad = GRAMMAR.get(kind, ((), ()))
            for text in (*good, *bad):
                async with web.request(method, address_of(path), params={name: text}) as answer:
                    outcome = await _outcome(answer)
                assert outcome[0] < 500, (path, name, text, outcome)
                is_refused = outcome[0] == 422 and outcome[2] == name
                assert is_refused == (text in bad), (path, name, text, outcome)
            asked += bool(good)
            twice = [(name, "1"), (name, "1")]
            async with web.request(method, address_of(path), params=twice) as answer:
                assert await _outcome(answer) == (422, "invalid_field", name)
    assert asked > 10


async def test_names_made_of_digits_are_found(line: Line, web: aiohttp.ClientSession) -> None:
    for name in ("2024", "true", "007", "1.0"):
        made = await line.ok("lobby.create", ruleset="relay", name=f"{name} of ours")
        async with web.get("/v1/lobbies", params={"text": name}) as answer:
            found = (await answer.json())["lobbies"]
        assert made["lobby"]["lobby_id"] in {lobby["lobby_id"] for lobby in found}
        await line.ok("lobby.close", lobby_id=made["lobby"]["lobby_id"])

    async with web.patch("/v1/me", json={"username": "007"}) as answer:
        assert (await answer.json())["username"] == "007"
    async with web.get("/v1/profiles", params={"username": "007"}) as answer:
        assert await answer.json() == {"username": "007", "is_free": False}
    async with web.get("/v1/profiles", params={"username": "0007"}) as answer:
        assert (await answer.json())["is_free"]
    async with web.get("/v1/profiles/007") as answer:
        assert (await answer.json())["username"] == "007"
    async with web.get("/v1/profiles/7") as answer:
        assert answer.status == 404


@pytest.mark.parametrize("day", ["٢٠٢٦-٠٢-١٢", "2026-02-30", "20260212", "2026-2-1"])
async def test_date_that_there_is_not_is_refused(web: aiohttp.ClientSession, day: str) -> None:
    async with web.get("/v1/epochs", params={"before": day}) as answer:
        assert await _outcome(answer) == (422, "invalid_field", "before")
    async with web.get(f"/v1/epochs/{day}") as answer:
        assert await _outcome(answer) == (422, "invalid_field", "epoch")
