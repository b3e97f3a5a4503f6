"""Signatures, bodies, pauses, and which addresses may be called. Pure.

Signatures follow Standard Webhooks (standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body`.
"""

import hmac
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

import orjson
from yarl import URL

from protocol.errors import InvalidField
from server.core.addresses import is_base_url
from server.core.clock import wire_time

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what secrets begin with
SECRET_BYTES: Final = 32
ID_PREFIX: Final = "evt_"
USER_AGENT: Final = "Playhall-Webhooks/1"

# After a failed attempt: seconds, minutes, then hours, for about three days in all.
PAUSES_S: Final = (
    *(5.0, 60.0, 300.0, 1800.0),
    *(hours * 3600.0 for hours in (2, 5, 10, 14, 20, 20)),
)
ATTEMPTS_MAX: Final = len(PAUSES_S) + 1
FAILING_S_MAX: Final = 5 * 86_400.0

# IPv6 addresses that lead to the IPv4 address in their last 32 bits, through a gateway (RFC 6052).
_NAT64: Final = IPv6Network("64:ff9b::/96")


def format_secret(key: bytes) -> str:
    """Write a secret as it is shown."""
    return SECRET_PREFIX + b64encode(key).decode()


def build_body(name: str, version: int, payload: bytes, occurred_at: datetime) -> bytes:
    """Write what is sent; `payload` is JSON."""
    return orjson.dumps(
        {
            "type": name,
            "version": version,
            "timestamp": wire_time(occurred_at),
            "data": orjson.Fragment(payload),
        }
    )


def signed_headers(
    body: bytes, *, event_id: str, timestamp_s: int, keys: Sequence[bytes]
) -> dict[str, str]:
    """Sign a body with every key; whoever verifies needs one of them."""
    message_id = ID_PREFIX + event_id
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    signatures = [b64encode(hmac.digest(key, signed, sha256)).decode() for key in keys]
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def retry_delay(attempts: int, chance: float) -> float | None:
    """Say for how long a delivery rests after so many attempts; None if it is given up.

    `chance` is from 0 to 1, so that deliveries that failed together do not come back together.
    """
    if attempts >= ATTEMPTS_MAX:
        return None
    return PAUSES_S[attempts - 1] * (0.8 + 0.4 * chance)


def require_url(url: str, *, may_be_private: bool) -> str:
    """Give a URL that can be called; raise `InvalidField`.

    Where its host leads is looked at when it is called, since that may change.
    """
    try:
        parsed = URL(url)
    except ValueError:
        parsed = URL()
    if not is_base_url(str(parsed.with_query(None).with_fragment(None))) or parsed.fragment:
        raise InvalidField("url: write it as https://hooks.example/path.", field="url")
    if parsed.scheme != "https" and not may_be_private:
        raise InvalidField("url: it must begin with https://.", field="url")
    return url


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the internet, and not of a network of the server's own.

    An IPv6 address that stands for an IPv4 address is judged by that.
    """
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address) and (inner := _embedded(parsed)) is not None:
        return _is_public(inner)
    return _is_public(parsed)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None
