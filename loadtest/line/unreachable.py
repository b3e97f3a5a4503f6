"""Why an address gives no answer of Playhall's, in a sentence that says what helps."""

from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from loadtest.line.errors import Unreachable

# What servers that know nothing of our addresses say to them.
FOREIGN: Final = frozenset([400, 401, 403, 404, 405, 406, 415, 501])


def checked_url(url: str) -> str:
    """Give an address as it is used; raise `Unreachable` for what is none."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number
        is_address = False
    if not is_address:
        raise Unreachable(f"{url} is no address of a server; write it as http://host:port.")
    return url.rstrip("/")


def unreachable(url: str, error: Exception) -> Unreachable:
    """Say why no answer came from an address."""
    scheme, _, rest = url.partition("://")
    match error:
        case aiohttp.ClientConnectorCertificateError():
            told = f"The certificate of {url} is not to be trusted ({_reason(error)})."
        case aiohttp.ClientConnectorDNSError():
            told = f"There is no host {urlsplit(url).hostname}. Is {url} spelled right?"
        case aiohttp.ClientSSLError():
            told = f"Something answers at {url}, but not over TLS; try http://{rest}."
        case aiohttp.ClientConnectorError():
            told = f"Nobody answers at {url}. Does a server run there, on this port?"
        case TimeoutError():
            told = f"Nobody answers at {url} in time. Is it the right host?"
        case _ if scheme == "http":
            told = f"No HTTP comes from {url}; if that port speaks TLS, try https://{rest}."
        case _:
            told = f"The connection to {url} broke off; if it has no TLS, try http://{rest}."
    return Unreachable(told)


def stranger(url: str, status: int, location: str | None) -> Unreachable | None:
    """Say what answers that is no Playhall server; None where it may be one in trouble."""
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Unreachable(f"{url} sends everybody on to {location}; name that address instead.")
    if status < HTTPStatus.MULTIPLE_CHOICES or status in FOREIGN:
        return Unreachable(
            f"{url} answers, but it is no Playhall server. Are the host and the port right?"
        )
    return None


def _reason(error: aiohttp.ClientConnectorCertificateError) -> str:
    inner = error.certificate_error
    return str(getattr(inner, "verify_message", "") or inner)
