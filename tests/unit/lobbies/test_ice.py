"""STUN and TURN as they are handed out, and what an operator may list."""

from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from persistence.errors import StartRefused
from protocol.ids import PlayerId
from protocol.signaling import StunServer, TurnServer
from server.domains.play.lobbies.peers import IceServers, build_ice_servers
from server.domains.play.lobbies.settings import LobbySettings

PLAYER = PlayerId("0b9ad1a5-58b9-43b8-9cbd-7c6c1b8d4a11")
NOW = datetime(2025, 11, 21, 6, 20, tzinfo=UTC)


def test_turn_password_is_what_openssl_makes_of_the_secret() -> None:
    """`printf "$username" | openssl dgst -sha1 -hmac north -binary | base64`."""
    ice = IceServers(("stun:a",), ("turn:b", "turns:c"), "north", 3600)
    assert ice.servers(PLAYER, NOW) == [
        StunServer(urls=["stun:a"]),
        TurnServer(
            urls=["turn:b", "turns:c"],
            username=f"1763709600:{PLAYER}",
            credential="iQsS9EbWoZoAl9XAc8EThiQSMxc=",
        ),
    ]


def test_nothing_is_handed_out_where_nothing_is_set() -> None:
    assert build_ice_servers(LobbySettings()).servers(PLAYER, NOW) == []


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"turn_urls": "turn:a"}, "PLAYHALL_TURN_SECRET"),
        ({"turn_secret": SecretStr("s")}, "PLAYHALL_TURN_URLS"),
        ({"stun_urls": "stun:a, https://b"}, "PLAYHALL_STUN_URLS: https://b must begin with stun:"),
        ({"turn_urls": "stun:a", "turn_secret": SecretStr("s")}, "PLAYHALL_TURN_URLS: stun:a"),
        ({"stun_urls": ",".join(["stun:a"] * 17)}, "PLAYHALL_STUN_URLS: list at most 16"),
    ],
)
def test_start_is_refused_with_what_no_browser_would_take(
    wrong: dict[str, object], problem: str
) -> None:
    with pytest.raises(StartRefused, match=problem):
        build_ice_servers(LobbySettings.model_validate(wrong))
