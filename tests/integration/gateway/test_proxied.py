"""Clients that come through a proxy: counted and known by their own addresses, or not."""

from contextlib import AsyncExitStack

import aiohttp
import pytest

from server.gateway.transport.limits import AddressLimits, TransportLimits
from server.gateway.transport.proxies import Proxies
from tests.integration.gateway.halls import hall
from tests.integration.gateway.wire import Wire, request

FORGED = "X-Forwarded-For: 198.51.100.1"
OURS = Proxies.parse(["127.0.0.1"])
OTHERS = Proxies.parse(["10.0.0.0/8"])
ONE_EACH = TransportLimits(connections_per_address_max=1)


@pytest.mark.parametrize(
    ("proxies", "client"),
    [(OURS, "203.0.113.9"), (OTHERS, "127.0.0.1"), (None, "127.0.0.1")],
    ids=["trusted", "untrusted", "none"],
)
async def test_only_a_trusted_proxy_says_where_the_client_is(
    proxies: Proxies | None, client: str
) -> None:
    async with hall(proxies=proxies) as h, Wire(h) as wire:
        wire.send(request("/ws", FORGED, "X-Forwarded-For: 203.0.113.9"))
        assert await wire.status() == 101
        assert h.requests[0].remote == client
        headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{h.port}") as web,
            web.get("/whence", headers=headers) as answer,
        ):
            assert await answer.text() == client


async def test_clients_behind_a_proxy_are_counted_one_by_one() -> None:
    async with hall(limits=ONE_EACH, proxies=OURS) as h, AsyncExitStack() as stack:

        async def status_from(address: str) -> int:
            wire = await stack.enter_async_context(Wire(h))
            wire.send(request("/ws", f"X-Forwarded-For: {address}"))
            return await wire.status()

        assert await status_from("203.0.113.1") == 101
        assert await status_from("203.0.113.2") == 101
        assert await status_from("203.0.113.1") == 503
        await stack.aclose()
        await h.emptied()
        assert await status_from("203.0.113.1") == 101


async def test_forged_address_does_not_get_around_the_count() -> None:
    async with hall(limits=ONE_EACH) as h, Wire(h) as first, Wire(h) as second:
        first.send(request("/ws", "X-Forwarded-For: 203.0.113.1"))
        assert await first.status() == 101
        second.send(request("/ws", "X-Forwarded-For: 203.0.113.2"))
        assert await second.status() == 503


async def test_refused_client_of_a_proxy_is_not_counted() -> None:
    def broken() -> None:
        raise RuntimeError("on purpose")

    limits = TransportLimits(connections_per_address_max=1)
    async with hall(broken, limits=limits, proxies=OURS) as h:  # type: ignore[arg-type]  # broken
        for _ in range(2):
            async with Wire(h) as wire:
                wire.send(request("/ws", "X-Forwarded-For: 203.0.113.1"))
                assert await wire.status() == 500


@pytest.mark.parametrize("mapped", ["::ffff:127.0.0.1", "0:0:0:0:0:FFFF:7f00:1"])
def test_ipv4_address_in_ipv6_is_the_ipv4_address(mapped: str) -> None:
    assert OURS.trusts(mapped)
    assert Proxies.parse(["::ffff:127.0.0.0/104"]).trusts("127.0.0.1")
    assert OURS.client(mapped, ["::ffff:203.0.113.9"]) == "203.0.113.9"
    assert OTHERS.client(mapped, [FORGED]) == "127.0.0.1"
    counts = AddressLimits(1)
    assert counts.count_in(mapped)
    assert not counts.count_in("127.0.0.1")
