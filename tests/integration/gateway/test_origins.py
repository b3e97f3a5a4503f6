"""Pages of other origins, as their browsers ask: preflights, and answers that they may read."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from protocol.envelope import WireModel
from server.gateway.http.cors import install_cors
from server.gateway.http.endpoints import Endpoint, HttpRequest, build_http
from tests.fixtures.http import nobody, served_app

PAGE = "https://play.example"
ALLOW_ORIGIN = "Access-Control-Allow-Origin"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


class Greeting(WireModel):
    """An answer."""

    who: str


async def _greet(_: HttpRequest) -> Greeting:
    return Greeting(who="you")


def _app(*origins: str) -> web.Application:
    listed = [
        Endpoint("GET", "/v1/greeting", "Greet.", _greet),
        Endpoint("POST", "/v1/greeting", "Greet.", _greet, auth="required"),
        Endpoint("GET", "/metrics", "Greet.", _greet),
    ]
    app = build_http(listed, nobody)
    install_cors(app, origins)
    return app


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with served_app(_app(" https://PLAY.example/", "http://localhost:3000")) as client:
        yield client


async def test_preflight_of_a_named_origin_allows_a_token(client: aiohttp.ClientSession) -> None:
    async with client.options("/v1/greeting", headers={"Origin": PAGE, **PREFLIGHT}) as answer:
        assert answer.status == 204
        assert answer.headers[ALLOW_ORIGIN] == PAGE
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert answer.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_answers_and_refusals_may_be_read_by_a_named_origin(
    client: aiohttp.ClientSession,
) -> None:
    for method, status in (("GET", 200), ("POST", 401), ("DELETE", 405)):
        async with client.request(method, "/v1/greeting", headers={"Origin": PAGE}) as answer:
            assert (answer.status, answer.headers[ALLOW_ORIGIN]) == (status, PAGE)
            assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", [f"{PAGE}:443", "https://play.example.", "HTTPS://Play.Example"])
async def test_other_spelling_of_a_named_origin_is_answered_as_it_was_sent(
    client: aiohttp.ClientSession, origin: str
) -> None:
    async with client.get("/v1/greeting", headers={"Origin": origin}) as answer:
        assert answer.headers[ALLOW_ORIGIN] == origin


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "http://play.example", "null"])
async def test_other_origins_get_nothing(client: aiohttp.ClientSession, origin: str) -> None:
    async with client.options("/v1/greeting", headers={"Origin": origin, **PREFLIGHT}) as answer:
        assert (answer.status, ALLOW_ORIGIN in answer.headers) == (405, False)
    async with client.get("/v1/greeting", headers={"Origin": origin}) as answer:
        assert (answer.status, ALLOW_ORIGIN in answer.headers) == (200, False)
        assert answer.headers["Vary"] == "Origin"


async def test_addresses_for_operators_are_not_for_pages(client: aiohttp.ClientSession) -> None:
    async with client.get("/metrics", headers={"Origin": PAGE}) as answer:
        assert ALLOW_ORIGIN not in answer.headers


async def test_any_origin_is_welcome_where_that_is_set() -> None:
    asked = {"Origin": "https://any.example"}
    async with (
        served_app(_app("*")) as client,
        client.get("/v1/greeting", headers=asked) as answer,
    ):
        assert answer.headers[ALLOW_ORIGIN] == "*"


async def test_without_the_setting_nobody_from_elsewhere_is() -> None:
    async with (
        served_app(_app()) as client,
        client.get("/v1/greeting", headers={"Origin": PAGE}) as answer,
    ):
        assert not {ALLOW_ORIGIN, "Vary"} & set(answer.headers)
