"""Origins and addresses that are written differently and mean the same."""

import pytest

from persistence.errors import StartRefused
from server.config import Config
from server.core.addresses import is_same_host, normalize_ip_address, normalize_origin, socket_url
from server.core.settings import Settings, read_settings
from server.domains.play.signaling.settings import SignalingSettings

SAME = [
    ("https://b.example", "https://b.example:443"),
    ("http://b.example", "http://b.example:80"),
    ("https://b.example", " HTTPS://B.Example/ "),
    ("https://b.example", "https://b.example."),
    ("https://b.example:8443", "https://B.EXAMPLE.:8443/"),
    ("http://[::1]", "http://[0:0:0:0:0:0:0:1]:80"),
    ("http://[2001:db8::a]:8080", "http://[2001:DB8:0::A]:8080"),
    ("https://bücher.example", "https://xn--bcher-kva.example:443"),
    ("capacitor://localhost", "capacitor://LOCALHOST"),
]
OTHER = [
    ("https://b.example", "http://b.example"),
    ("https://b.example", "https://b.example:80"),
    ("http://b.example", "http://b.example:443"),
    ("https://b.example", "https://b.example.org"),
    ("https://b.example", "https://a.b.example"),
    ("https://b.example", "https://b.example@evil.example"),
    ("https://b.example", "https://user@b.example"),
    ("https://b.example", "null"),
    ("https://b.example", "b.example"),
    ("https://b.example", "https://b.example:65536"),
    ("https://b.example", ""),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_one_origin_are_equal(one: str, other: str) -> None:
    assert normalize_origin(one) == normalize_origin(other)
    assert normalize_origin(normalize_origin(other)) == normalize_origin(other)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_different_origins_are_not_equal(one: str, other: str) -> None:
    assert normalize_origin(one) != normalize_origin(other)


@pytest.mark.parametrize(
    ("origin", "host", "is_same"),
    [
        ("https://b.example", "b.example", True),
        ("https://b.example", "B.example:443", True),
        ("https://b.example:443", "b.example.", True),
        ("http://b.example", "b.example:80", True),
        ("http://[::1]:8304", "[::1]:8304", True),
        ("http://b.example", "b.example:443", False),
        ("https://b.example:8443", "b.example", False),
        ("null", "null", False),
        ("https://b.example", "", False),
        ("", "", False),
    ],
)
def test_host_takes_its_default_port_from_the_origin(origin: str, host: str, is_same: bool) -> None:
    assert is_same_host(origin, host) is is_same


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("::FFFF:102:304", "1.2.3.4"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("1.2.3.4", "1.2.3.4"),
        ("", ""),
        (":", ":"),
    ],
)
def test_one_address_is_written_one_way(address: str, plain: str) -> None:
    assert normalize_ip_address(address) == plain


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8304"),
        ("::1", "http://[::1]:8304"),
        ("0.0.0.0", "http://127.0.0.1:8304"),
        ("::", "http://127.0.0.1:8304"),
        ("192.0.2.7", "http://192.0.2.7:8304"),
    ],
)
def test_url_of_a_listening_socket_can_be_connected_to(host: str, url: str) -> None:
    assert socket_url("http", host, 8304) == url


@pytest.mark.parametrize(
    ("model", "field"), [(Config, "origins"), (SignalingSettings, "peer_origins")]
)
def test_setting_that_is_no_origin_is_refused_with_how_to_write_it(
    model: type[Settings], field: str
) -> None:
    for good in ("*", "", "null", "https://b.example:443/, http://[::1]:8080", "tauri://localhost"):
        assert getattr(read_settings(model, **{field: good}), field) == good
    for bad in ("b.example", "https://", "https://b.example/page", "https://u@b.example", "//b"):
        with pytest.raises(
            StartRefused, match=f"^PLAYHALL_{field.upper()}: write .*commas between"
        ):
            read_settings(model, **{field: bad})
