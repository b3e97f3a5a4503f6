"""Addresses in the one form in which they are compared and shown. Pure."""

from ipaddress import IPv6Address, ip_address
from typing import Final

from yarl import URL

LOOPBACK: Final = "127.0.0.1"
# Addresses to bind that stand for every interface; nobody can connect to them.
WILDCARDS: Final = frozenset(["", "0.0.0.0", "::"])  # noqa: S104 - compared, not bound


def normalize_origin(origin: str) -> str:
    """Write an origin as it is compared, so that two spellings of one origin are equal.

    Scheme and host are in lowercase, the host in punycode and without a dot at its end, IPv6
    in its shortest form in brackets, and the scheme's default port is left out; a path is
    dropped. What is no origin (`null`, `*`, with a user's name) is only put in lowercase.
    """
    text = origin.strip()
    try:
        url = URL(text)
        host = (url.host_subcomponent or "").removesuffix(".")
        port = None if url.is_default_port() else url.explicit_port
    except ValueError:
        return text.lower()
    if not (url.scheme and host) or "@" in url.raw_authority:
        return text.lower()
    return f"{url.scheme}://{host}" + ("" if port is None else f":{port}")


def is_origin(text: str) -> bool:
    """Say whether a text is an origin: scheme, host, and a port if it is not the default."""
    url = _url_of_host(text.strip())
    if url is None or not url.scheme:
        return False
    return url.raw_path in ("", "/") and not (url.raw_query_string or url.raw_fragment)


def is_base_url(text: str) -> bool:
    """Say whether a path can be appended to a text to make a web address: no query, no user."""
    url = _url_of_host(text)
    return url is not None and url.scheme in ("http", "https") and not ("?" in text or "#" in text)


def _url_of_host(text: str) -> URL | None:
    """Parse a URL that names a host, and no user; None for anything else."""
    try:
        url = URL(text)
        is_valid = url.raw_host and url.explicit_port != 0 and "@" not in url.raw_authority
    except ValueError:
        return None
    return url if is_valid else None


def is_same_host(origin: str, host: str) -> bool:
    """Say whether an origin is at a `Host` header's host and port.

    A `Host` has no scheme, so its default port is that of the origin's scheme: behind a proxy
    that ends TLS, `https://b.example` is at the host `b.example:443`.
    """
    scheme, separator, _ = origin.strip().partition("://")
    return bool(separator) and normalize_origin(origin) == normalize_origin(f"{scheme}://{host}")


def normalize_ip_address(address: str) -> str:
    """Write an IP address in its shortest form; an IPv4 address in IPv6 is the IPv4 address.

    What is no address, such as the empty name of a closed socket, is given back as it is.
    """
    if ":" not in address:
        return address
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)


def socket_url(scheme: str, host: str, port: int) -> str:
    """Write the URL of a listening socket: one that can be connected to from this machine."""
    shown = LOOPBACK if host in WILDCARDS else host
    return f"{scheme}://[{shown}]:{port}" if ":" in shown else f"{scheme}://{shown}:{port}"
