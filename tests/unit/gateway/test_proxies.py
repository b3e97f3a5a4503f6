"""Where a client is, when proxies are in front: only what a trusted one wrote is believed."""

import pytest

from server.gateway.transport.proxies import Proxies

PROXIES = Proxies.parse(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"])


@pytest.mark.parametrize(
    ("client", "peer", "forwarded"),
    [
        ("198.51.100.1", "198.51.100.1", []),
        ("198.51.100.1", "198.51.100.1", ["203.0.113.9"]),  # forged: nobody we trust says so
        ("203.0.113.9", "10.0.0.1", ["203.0.113.9"]),
        ("203.0.113.9", "10.0.0.1", ["1.1.1.1, 203.0.113.9"]),  # forged, left of the client
        ("203.0.113.9", "10.0.0.1", ["1.1.1.1", "203.0.113.9, 192.0.2.7"]),  # two of ours
        ("203.0.113.9", "10.0.0.1", ["10.1.1.1, 203.0.113.9, 10.0.0.2"]),
        ("10.0.0.3", "10.0.0.1", ["10.0.0.3, 10.0.0.2"]),  # ours all the way
        ("10.0.0.1", "10.0.0.1", []),
        ("10.0.0.1", "10.0.0.1", ["unknown"]),
        ("10.0.0.2", "10.0.0.1", ["203.0.113.9, <script>, 10.0.0.2"]),
        ("203.0.113.9", "10.0.0.1", ["203.0.113.9:4711"]),
        ("2001:db9::1", "2001:db8::1", ["[2001:db9::1]:4711"]),
        ("2001:db9::1", "10.0.0.1", ["2001:db9::1"]),
        ("203.0.113.9", "::ffff:10.0.0.1", ["::ffff:203.0.113.9"]),
        ("", "", ["203.0.113.9"]),
    ],
)
def test_right_most_untrusted_address_is_the_client(
    client: str, peer: str, forwarded: list[str]
) -> None:
    assert PROXIES.client(peer, forwarded) == client


def test_without_proxies_nobody_is_believed() -> None:
    assert Proxies().client("10.0.0.1", ["203.0.113.9"]) == "10.0.0.1"


def test_header_without_end_costs_no_more_than_its_last_part() -> None:
    assert PROXIES.client("10.0.0.1", ["203.0.113.9," + "10.0.0.2," * 2000 + "10.0.0.3"]) == (
        "10.0.0.2"
    )
