"""Where a browser may be sent with a code. Pure."""

from typing import Final
from urllib.parse import urlencode, urlsplit

_LOOPBACK: Final = ("127.0.0.1", "[::1]", "localhost")


def is_allowed(redirect: str, allowed: str) -> bool:
    """Say whether a target is one of the comma separated allowed ones, to the letter.

    A program on the same machine listens where it finds a free port, so an allowed loopback
    address without a port stands for all of them (RFC 8252, section 7.3).
    """
    targets = {target.strip() for target in allowed.split(",") if target.strip()}
    return redirect in targets or _without_loopback_port(redirect) in targets


def with_query(redirect: str, **added: str) -> str:
    """Add to a target's query; all else of it stays as it was written.

    It is not taken apart and put together again: that loses parameters without a value, and
    slashes of schemes that the library does not know (`myapp:///signed-in`).
    """
    target, hash_sign, fragment = redirect.partition("#")
    joint = "&" if "?" in target else "?"
    if target.endswith(("?", "&")):
        joint = ""
    return f"{target}{joint}{urlencode(added)}{hash_sign}{fragment}"


def _without_loopback_port(redirect: str) -> str | None:
    try:
        parts = urlsplit(redirect)
        port = parts.port
    except ValueError:
        return None
    host = parts.netloc.removesuffix(f":{port}")
    origin = f"http://{parts.netloc}"
    if host not in _LOOPBACK or not redirect.startswith(origin):
        return None
    return f"http://{host}{redirect.removeprefix(origin)}"
