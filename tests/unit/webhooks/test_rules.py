"""Which addresses webhooks may call, how they are signed, and how long they rest."""

from datetime import UTC, datetime
from typing import get_args

import orjson
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from protocol.domain_events import DURABLE_EVENTS
from protocol.errors import InvalidField
from protocol.webhooks import WebhookEvent
from server.domains.integrations.webhooks import rules

OWN_NETWORKS = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",  # where clouds tell a machine its secrets
    "172.16.0.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
]


@pytest.mark.parametrize("address", OWN_NETWORKS)
def test_address_of_a_network_of_ones_own_is_refused(address: str) -> None:
    assert not rules.is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_address_of_the_internet_is_called(address: str) -> None:
    assert rules.is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example",
        "/path",
        "http://hooks.example/",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "https://",
        "https://user:password@hooks.example/",
        "https://hooks.example:0/",
        "https://hooks.example:99999/",
        "https://hooks.example/#part",
        "https://[::1/",
    ],
)
def test_url_that_cannot_be_called_is_refused(url: str) -> None:
    with pytest.raises(InvalidField, match="url: "):
        rules.require_url(url, may_be_private=False)


@pytest.mark.parametrize(
    "url", ["https://hooks.example", "https://hooks.example:8443/a/b?token=x", "https://[2606::1]/"]
)
def test_url_is_taken_as_it_is(url: str) -> None:
    assert rules.require_url(url, may_be_private=False) == url


def test_http_is_for_private_networks() -> None:
    url = "http://10.0.0.7:9000/hook"
    assert rules.require_url(url, may_be_private=True) == url


def _signed(keys: list[bytes]) -> tuple[bytes, dict[str, str]]:
    now = datetime.now(UTC)
    body = rules.build_body("user.erased", 1, b'{"user_id":"7"}', now)
    headers = rules.signed_headers(body, event_id="e1", timestamp_s=int(now.timestamp()), keys=keys)
    return body, headers


def test_signature_is_what_standard_webhooks_says() -> None:
    old, new, other = bytes(32), bytes(range(32)), b"x" * 32
    body, headers = _signed([new, old])
    for key in (old, new):
        message = Webhook(rules.format_secret(key)).verify(body, headers)
        assert message["type"] == "user.erased"
        assert message["data"] == {"user_id": "7"}
    with pytest.raises(WebhookVerificationError):
        Webhook(rules.format_secret(other)).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(rules.format_secret(new)).verify(body.replace(b"7", b"8"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(rules.format_secret(new)).verify(body, headers | {"webhook-id": "evt_other"})


def test_body_says_what_when_and_in_which_version() -> None:
    body, headers = _signed([bytes(32)])
    message = orjson.loads(body)
    assert list(message) == ["type", "version", "timestamp", "data"]
    assert message["version"] == 1
    assert message["timestamp"].endswith("Z")
    assert headers["webhook-id"] == "evt_e1"


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_pauses_grow_and_end_after_about_three_days(chance: float) -> None:
    pauses = [rules.retry_delay(attempts, chance) for attempts in range(1, rules.ATTEMPTS_MAX + 1)]
    assert pauses[-1] is None
    rests = [pause for pause in pauses if pause is not None]
    assert len(rests) == rules.ATTEMPTS_MAX - 1
    assert rests == sorted(rests)
    assert 2 * 86_400 < sum(rests) < 4 * 86_400


def test_every_durable_event_can_be_sent() -> None:
    assert set(get_args(WebhookEvent)) == set(DURABLE_EVENTS)
