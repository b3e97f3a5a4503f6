"""A client at the wrong address is answered with what is wrong, and what helps."""

import ssl

import pytest
from aiohttp import web

from playhall.errors import RequestRefused, ServerUnreachable
from playhall.http import HttpClient
from tests.fixtures.http import served_app
from tests.integration.gateway.halls import hall
from tests.integration.gateway.wire import Wire

NOT_OURS = "answers, but it is not a Playhall server. Are the host and port correct?"


async def refusal(url: str) -> str:
    with pytest.raises(ServerUnreachable) as refused:
        async with HttpClient(url) as client:
            await client.post("/v1/auth/guest", {})
    return str(refused.value)


@pytest.mark.parametrize("url", ["localhost:8080", "ws://localhost", "http://", "http://h:port"])
async def test_error_for_an_address_that_is_none_says_how_to_write_one(url: str) -> None:
    assert await refusal(url) == f"{url} is not a server address; write it as http://host:port."


async def test_unknown_host_is_named() -> None:
    assert await refusal("http://nowhere.invalid:8080/") == (
        "There is no host nowhere.invalid. Is http://nowhere.invalid:8080 spelled correctly?"
    )


async def test_port_without_a_server_is_named() -> None:
    assert await refusal("http://127.0.0.1:9") == (
        "Nothing answers at http://127.0.0.1:9. Is a server running there, on this port?"
    )


async def test_error_for_tls_to_a_port_without_says_to_leave_it_out() -> None:
    async with hall() as h:
        assert f"does not use TLS; try http://127.0.0.1:{h.port}." in (
            await refusal(f"https://127.0.0.1:{h.port}")
        )


async def test_error_for_plain_http_to_a_port_with_tls_says_to_use_it(
    tls_server: ssl.SSLContext,
) -> None:
    async with hall(tls=tls_server) as h:
        sentence = await refusal(f"http://127.0.0.1:{h.port}")
        assert sentence.endswith(f"if the port uses TLS, try https://127.0.0.1:{h.port}.")


async def test_certificate_that_is_not_trusted_is_called_that(tls_server: ssl.SSLContext) -> None:
    async with hall(tls=tls_server) as h:
        sentence = await refusal(f"https://127.0.0.1:{h.port}")
        assert sentence.startswith(f"The certificate of https://127.0.0.1:{h.port} is not trus")


async def test_other_web_server_is_recognised_whatever_it_answers() -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<h1>It works!</h1>", content_type="text/html")

    async def moved(_: web.Request) -> web.Response:
        raise web.HTTPMovedPermanently("https://elsewhere.example/")

    async def broken(_: web.Request) -> web.Response:
        raise web.HTTPBadGateway

    for answer, expected in (
        (None, NOT_OURS),
        (page, NOT_OURS),
        (moved, "https://elsewhere.example"),
    ):
        app = web.Application()
        if answer is not None:
            app.router.add_post("/v1/auth/guest", answer)
        async with served_app(app) as client:
            assert expected in await refusal(str(client._base_url))
    app = web.Application()
    app.router.add_post("/v1/auth/guest", broken)
    async with served_app(app) as client, HttpClient(str(client._base_url)) as asking:
        with pytest.raises(RequestRefused, match="HTTP status 502") as trouble:
            await asking.post("/v1/auth/guest", {})
        assert trouble.value.retry  # a proxy in front of one of ours may say that


async def test_client_that_begins_with_tls_is_answered_at_once() -> None:
    async with hall() as h, Wire(h) as wire:
        wire.send(b"\x16\x03\x01\x02\x00\x01")
        assert await wire.status() == 400
        assert b"has no TLS" in await wire.reader.read()
