"""Messages of Sign-In with Ethereum (EIP-4361); `signatures.py` checks who signed. Pure."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from protocol.bots import BadWalletProof
from protocol.errors import InvalidField
from server.core.addresses import normalize_origin

SKEW: Final = timedelta(seconds=60)  # by which a wallet's clock may be ahead of ours
AGE_MAX: Final = timedelta(minutes=15)  # of a message; a nonce lives shorter

_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.-]*"
_RESERVED: Final = r"A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=\-"  # and unreserved, of RFC 3986
_AUTHORITY: Final = r"[A-Za-z0-9._~!$&'()*+,;=:%@\[\]-]+"
_URI: Final = rf"{_SCHEME}:[{_RESERVED}%]*"
_TIME: Final = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)"
_HEAD: Final = re.compile(
    rf"(?:(?P<scheme>{_SCHEME})://)?(?P<domain>{_AUTHORITY})"
    r" wants you to sign in with your Ethereum account:\n"
    r"(?P<address>0x[0-9A-Fa-f]{40})\n\n"
    rf"(?:(?P<statement>[{_RESERVED} ]+)\n)?\n"
)
_RESOURCES: Final = "Resources:"


class _Line(NamedTuple):
    label: str
    shape: re.Pattern[str]
    is_required: bool = True


_LINES: Final = (
    _Line("URI", re.compile(_URI)),
    _Line("Version", re.compile("1")),
    _Line("Chain ID", re.compile(r"[0-9]{1,18}")),
    _Line("Nonce", re.compile(r"[A-Za-z0-9]{8,128}")),
    _Line("Issued At", re.compile(_TIME, re.ASCII)),
    _Line("Expiration Time", re.compile(_TIME, re.ASCII), is_required=False),
    _Line("Not Before", re.compile(_TIME, re.ASCII), is_required=False),
    _Line("Request ID", re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%-]*"), is_required=False),
)


@dataclass(frozen=True, slots=True)
class SiweMessage:
    """A message as its fields; `address` is written as it was."""

    scheme: str | None
    domain: str
    address: str
    statement: str | None
    uri: str
    chain_id: int
    nonce: str
    issued_at: datetime
    expiration_time: datetime | None
    not_before: datetime | None
    request_id: str | None
    resources: tuple[str, ...]


class Origin(NamedTuple):
    """Where a page is from: `https`, `play.example:8443`."""

    scheme: str
    domain: str

    @classmethod
    def from_url(cls, url: str) -> "Origin":
        """Read the origin of an address; what is no address has none that anything equals."""
        scheme, separator, domain = normalize_origin(url).partition("://")
        return cls(scheme, domain) if separator else cls("", url)

    def is_domain(self, domain: str) -> bool:
        """Say whether a message's domain, which may name a default port, is this origin's."""
        return Origin.from_url(f"{self.scheme}://{domain}") == self


def parse_message(message: str) -> SiweMessage:
    """Take a message apart; raise `InvalidField` that says which line is wrong."""
    head = _HEAD.match(message)
    if head is None:
        raise _malformed(
            'begin with "<domain> wants you to sign in with your Ethereum account:", the address '
            "in the next line, an empty line, a statement or none, and an empty line"
        )
    lines = message[head.end() :].split("\n")
    values = {line.label: _take(line, lines) for line in _LINES}
    return SiweMessage(
        scheme=head["scheme"],
        domain=head["domain"],
        address=head["address"],
        statement=head["statement"],
        uri=values["URI"] or "",
        chain_id=int(values["Chain ID"] or ""),
        nonce=values["Nonce"] or "",
        issued_at=_required_time("Issued At", values["Issued At"]),
        expiration_time=_time("Expiration Time", values["Expiration Time"]),
        not_before=_time("Not Before", values["Not Before"]),
        request_id=values["Request ID"],
        resources=_resources(lines),
    )


def require_meant_for(sign_in: SiweMessage, origins: Collection[Origin], *, now: datetime) -> None:
    """Raise `BadWalletProof` unless a message was meant for one of these origins, and for now."""
    origin = next((each for each in origins if each.is_domain(sign_in.domain)), None)
    if origin is None:
        ours = ", ".join(sorted(each.domain for each in origins))
        raise _refused(f"it was signed for {sign_in.domain}; sign it for {ours}")
    if sign_in.scheme is not None and sign_in.scheme.lower() != origin.scheme:
        raise _refused(f"its scheme must be {origin.scheme}, or left out")
    if Origin.from_url(sign_in.uri) != origin:
        raise _refused(f"its URI must be at {origin.scheme}://{origin.domain}")
    if sign_in.chain_id < 1:
        raise _refused("its Chain ID must be 1 or more")
    _require_timely(sign_in, now)


def _require_timely(sign_in: SiweMessage, now: datetime) -> None:
    if sign_in.issued_at > now + SKEW:
        raise _refused("it was issued in the future; set the clock and sign a new one")
    if sign_in.issued_at < now - AGE_MAX:
        raise _refused("it was issued too long ago; sign a new one")
    if sign_in.expiration_time is not None and sign_in.expiration_time <= now:
        raise _refused("it has expired; sign a new one")
    if sign_in.not_before is not None and sign_in.not_before > now:
        raise _refused("it is not good yet; send it after its Not Before")


def _take(line: _Line, lines: list[str]) -> str | None:
    prefix = f"{line.label}: "
    if not lines or not lines[0].startswith(prefix):
        if line.is_required:
            raise _malformed(f'the line "{prefix}…" must come next, as EIP-4361 says')
        return None
    value = lines.pop(0)[len(prefix) :]
    if not line.shape.fullmatch(value):
        raise _malformed(f'the value in the line "{prefix}…" is not what EIP-4361 allows')
    return value


def _resources(lines: list[str]) -> tuple[str, ...]:
    if lines and lines[0] == _RESOURCES:
        listed = lines[1:]
        if not all(re.fullmatch(f"- {_URI}", line) for line in listed):
            raise _malformed('every line after "Resources:" must be "- " and a URI')
        return tuple(line[2:] for line in listed)
    if lines:
        raise _malformed(f"leave out what comes after the fields of EIP-4361: {lines[0][:40]!r}")
    return ()


def _required_time(label: str, text: str | None) -> datetime:
    try:
        return datetime.fromisoformat((text or "").upper())
    except ValueError:
        raise _malformed(f'there is no such time as in the line "{label}: …"') from None


def _time(label: str, text: str | None) -> datetime | None:
    return None if text is None else _required_time(label, text)


def _malformed(remedy: str) -> InvalidField:
    return InvalidField(f"message: {remedy}.", field="message")


def _refused(why: str) -> BadWalletProof:
    return BadWalletProof(f"The message is not acceptable: {why}.", field="message")
