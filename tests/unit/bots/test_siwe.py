"""Messages of EIP-4361: its own examples, and what it does not allow."""

from datetime import UTC, datetime, timedelta

import pytest

from protocol.bots import BadWalletProof
from protocol.errors import InvalidField
from server.domains.compete.bots.siwe import Origin, parse_message, require_meant_for

# The example of the EIP, and its variants with a port and with a scheme.
EXAMPLE = """example.com wants you to sign in with your Ethereum account:
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2

I accept the ExampleOrg Terms of Service: https://example.com/tos

URI: https://example.com/login
Version: 1
Chain ID: 1
Nonce: 32891756
Issued At: 2021-09-30T16:25:24Z
Resources:
- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/
- https://example.com/my-web2-claim.json"""
SHORTEST = """example.com wants you to sign in with your Ethereum account:
0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2


URI: https://example.com/login
Version: 1
Chain ID: 1
Nonce: 32891756
Issued At: 2021-09-30T16:25:24Z"""
EVERYTHING = EXAMPLE.replace(
    "Resources:",
    "Expiration Time: 2021-09-30T16:35:24.5+02:00\nNot Before: 2021-09-30T16:25:00Z\n"
    "Request ID: a-1\nResources:",
)
ISSUED = datetime(2021, 9, 30, 16, 25, 24, tzinfo=UTC)
OURS = [Origin("https", "example.com"), Origin("http", "play.example:8080")]


def test_example_of_the_eip_is_taken_apart() -> None:
    found = parse_message(EXAMPLE)
    assert (found.scheme, found.domain) == (None, "example.com")
    assert found.address == "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2"
    assert found.statement == "I accept the ExampleOrg Terms of Service: https://example.com/tos"
    assert (found.uri, found.chain_id) == ("https://example.com/login", 1)
    assert (found.nonce, found.issued_at) == ("32891756", ISSUED)
    assert (found.expiration_time, found.not_before, found.request_id) == (None, None, None)
    assert found.resources == (
        "ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/",
        "https://example.com/my-web2-claim.json",
    )


@pytest.mark.parametrize(
    ("begins", "scheme", "domain"),
    [
        ("example.com:3388", None, "example.com:3388"),
        ("https://example.com", "https", "example.com"),
        ("https://example.com:3388", "https", "example.com:3388"),
        ("[::1]:80", None, "[::1]:80"),
    ],
)
def test_port_and_scheme_are_told_apart(begins: str, scheme: str | None, domain: str) -> None:
    found = parse_message(EXAMPLE.replace("example.com wants", f"{begins} wants"))
    assert (found.scheme, found.domain) == (scheme, domain)


def test_message_without_what_is_optional_is_one() -> None:
    found = parse_message(SHORTEST)
    assert (found.statement, found.resources) == (None, ())


def test_message_with_everything_is_one() -> None:
    found = parse_message(EVERYTHING)
    assert found.expiration_time == datetime(2021, 9, 30, 14, 35, 24, 500_000, tzinfo=UTC)
    assert found.not_before == datetime(2021, 9, 30, 16, 25, tzinfo=UTC)
    assert (found.request_id, len(found.resources)) == ("a-1", 2)
    assert parse_message(EVERYTHING.partition("\n- ")[0]).resources == ()


@pytest.mark.parametrize(
    ("part", "instead"),
    [
        ("Ethereum account:\n", "Ethereum account\n"),
        ("example.com wants", " wants"),
        ("example.com wants", "exa mple.com wants"),
        ("0xC02", "0xG02"),
        ("0xC02", "C02"),
        ("Cc2\n\n", "Cc2\n"),
        ("/tos\n\n", "/tos\n"),
        ("/tos\n\n", "/tos\n\n\n"),
        ("I accept", "I\naccept"),
        ("I accept", "I äccept"),
        ("I accept", 'I "accept"'),
        ("URI: https://example.com/login\n", ""),
        ("URI: https:", "URI: "),
        ("https://example.com/login", "https://example.com/lo gin"),
        ("Version: 1", "Version: 2"),
        ("Version: 1\nChain ID: 1", "Chain ID: 1\nVersion: 1"),
        ("Chain ID: 1", "Chain ID: one"),
        ("Chain ID: 1", "Chain ID: 1e3"),
        ("Chain ID: 1", "Chain ID: \u0661"),
        ("Nonce: 32891756", "Nonce: 3289175"),
        ("Nonce: 32891756", "Nonce: 3289-1756"),
        ("Issued At: 2021-09-30T16:25:24Z", "Issued At: yesterday"),
        ("2021-09-30T16:25:24Z", "2021-09-31T16:25:24Z"),
        ("2021-09-30T16:25:24Z", "2021-09-30T16:25:24"),
        ("2021-09-30T16:25:24Z", "2021-09-30 16:25:24Z"),
        ("2021-09-30T16:25:24Z", "2021-09-30T16:25:24+99:99"),
        ("Resources:", "Sources:"),
        ("- ipfs", "* ipfs"),
        ("claim.json", "claim.json\n"),
        ("claim.json", "claim.json\nNonce: 32891756"),
        ("\n", "\r\n"),
    ],
)
def test_what_the_grammar_does_not_allow_is_refused_in_words(part: str, instead: str) -> None:
    assert part in EXAMPLE
    with pytest.raises(InvalidField) as refused:
        parse_message(EXAMPLE.replace(part, instead))
    assert refused.value.field == "message"
    assert len(refused.value.message.split()) > 5


def test_message_of_an_origin_of_ours_is_taken() -> None:
    require_meant_for(parse_message(EXAMPLE), OURS, now=ISSUED + timedelta(minutes=1))
    ported = EXAMPLE.replace("example.com wants", "http://Play.Example:8080 wants").replace(
        "https://example.com/login", "http://play.example:8080"
    )
    require_meant_for(parse_message(ported), OURS, now=ISSUED)


@pytest.mark.parametrize(
    ("part", "instead", "why"),
    [
        ("example.com wants", "evil.example wants", "signed for evil.example"),
        ("example.com wants", "example.com:8080 wants", "signed for example.com:8080"),
        ("example.com wants", "http://example.com wants", "scheme must be https"),
        ("URI: https://example.com/", "URI: https://evil.example/", "URI must be at"),
        ("URI: https://example.com/", "URI: http://example.com/", "URI must be at"),
        ("URI: https://example.com/", "URI: https://example.com@evil.example/", "URI must be at"),
        ("URI: https://example.com/", "URI: https://example.com.evil.example/", "URI must be"),
        ("URI: https://example.com/", "URI: https://[::1/", "URI must be at"),
        ("Chain ID: 1", "Chain ID: 0", "Chain ID must be 1 or more"),
        ("At: 2021-09-30T16:25:24Z", "At: 2021-09-30T16:31:25Z", "issued in the future"),
        ("At: 2021-09-30T16:25:24Z", "At: 2021-09-30T16:25:24-23:59", "issued in the future"),
        ("At: 2021-09-30T16:25:24Z", "At: 2021-09-30T16:14:00Z", "too long ago"),
        ("At: 2021-09-30T16:25:24Z", "At: 0001-01-01T00:00:00+14:00", "too long ago"),
        ("Expiration Time: 2021-09-30T16:35", "Expiration Time: 2021-09-30T16:30", "has expired"),
        ("Not Before: 2021-09-30T16:25", "Not Before: 2021-09-30T16:31", "not good yet"),
    ],
)
def test_message_for_others_or_another_time_is_refused(part: str, instead: str, why: str) -> None:
    message = EVERYTHING.replace("24.5+02:00", "24Z")
    now = datetime(2021, 9, 30, 16, 30, 24, tzinfo=UTC)
    require_meant_for(parse_message(message), OURS, now=now)
    assert part in message
    with pytest.raises(BadWalletProof, match=why):
        require_meant_for(parse_message(message.replace(part, instead)), OURS, now=now)


@pytest.mark.parametrize(
    ("begins", "uri"),
    [
        ("example.com:443", "https://example.com/login"),
        ("Example.COM", "https://EXAMPLE.com:443/login"),
        ("https://example.com:443", "https://example.com:443/login"),
    ],
)
def test_default_port_and_case_of_a_domain_do_not_matter(begins: str, uri: str) -> None:
    message = EXAMPLE.replace("example.com wants", f"{begins} wants")
    message = message.replace("URI: https://example.com/login", f"URI: {uri}")
    require_meant_for(parse_message(message), OURS, now=ISSUED)


@pytest.mark.parametrize("begins", ["user@example.com", "example.com:80", "example.com@evil.org"])
def test_domain_that_only_looks_like_ours_is_refused(begins: str) -> None:
    message = EXAMPLE.replace("example.com wants", f"{begins} wants")
    with pytest.raises(BadWalletProof, match="it was signed for"):
        require_meant_for(parse_message(message), OURS, now=ISSUED)
