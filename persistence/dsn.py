"""Data source names: one form that both drivers understand alike.

Hosting services hand out URLs with parameters for many clients. `normalised` is the only way from
what an operator wrote to what a driver gets: it translates what has another name here, leaves out
what does not matter to Playhall, and refuses the rest in one sentence that names the parameter.
asyncpg would send a parameter that it does not know to the server as a setting, and libpq would
refuse the whole name.
"""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from persistence.errors import StartRefused

EXAMPLE_URL: Final = "postgresql://user:password@host:5432/database"
SCHEMES: Final = ("postgresql", "postgres")
NO_SCHEME: Final = "it must begin with postgresql://"
UNREADABLE: Final = (
    "the host or the port cannot be read; in names and passwords write @ as %40, / as %2F, : as "
    "%3A, ? as %3F, # as %23 and % as %25"
)

SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
VERIFYING: Final = ("verify-ca", "verify-full")
SESSION_ATTRIBUTES: Final = ("any", "read-write", "primary")
TRUE: Final = ("true", "1", "yes", "on", "t")
FALSE: Final = ("false", "0", "no", "off", "f")

# Both drivers know these, and agree about them.
_TAKEN: Final = frozenset(
    {
        *("host", "port", "user", "password", "passfile", "dbname", "options", "service"),
        *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslpassword"),
        *("sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version"),
        *("target_session_attrs", "krbsrvname", "gsslib"),
    }
)
# What these set, Playhall sets itself, finds out, or does not use.
_LEFT_OUT: Final = frozenset(
    {
        *("connect_timeout", "application_name", "fallback_application_name"),
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
        *("tcp_user_timeout", "sslcompression", "sslsni", "sslcertmode", "load_balance_hosts"),
        *("pgbouncer", "connection_limit", "pool_timeout", "socket_timeout"),
        *("statement_cache_size", "schema", "gssencmode", "client_encoding", "channel_binding"),
    }
)
_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_SYSTEM: Final = "system"
_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


class InvalidDsn(StartRefused):
    """A data source name cannot be used as it is."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"PLAYHALL_DATABASE_URL: {problem}.")


def normalise_dsn(dsn: str) -> str:
    """Write a data source name as both drivers take it; raise `InvalidDsn`."""
    if problem := find_dsn_problem(dsn):
        raise InvalidDsn(f"{problem}; the format is {EXAMPLE_URL}")
    parts = urlsplit(dsn)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    given = _with_ssl_mode({"dbname" if k == "database" else k: v for k, v in given.items()})
    for name, value in given.items():
        if name not in _TAKEN | _LEFT_OUT:
            raise InvalidDsn(f"Playhall does not know the parameter {name}; leave it out")
        if name in _CHECKS:
            _CHECKS[name](name, value)
    taken = {name: value for name, value in given.items() if name in _TAKEN}
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in taken.items())
    return f"{parts.scheme}://{parts.netloc}{parts.path}{'?' if query else ''}{query}"


def find_dsn_problem(dsn: str) -> str | None:
    """Say what keeps a data source name from being one, without repeating its password."""
    scheme = dsn.partition("://")[0]
    if "://" not in dsn:
        return NO_SCHEME if ":" not in dsn else f"it begins with {scheme.partition(':')[0]}:"
    if scheme not in SCHEMES:
        return f"it begins with {scheme}:, not with postgresql:"
    if any(char.isspace() for char in dsn):
        return "it contains a space"
    try:
        parts = urlsplit(dsn)
        hosts = _hosts(parts.netloc)
    except ValueError:
        return UNREADABLE
    if "#" in dsn:
        return UNREADABLE
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if bad := next((each for each in parts.query.split("&") if each and "=" not in each), None):
        return f"its parameter {bad} has no value"
    if any(port == 0 for _, port in hosts):
        return "0 is no port"
    if not any(host for host, _ in hosts) and not {"host", "service"} & set(query):
        return "the host is missing"
    if not parts.path.strip("/") and not {"dbname", "database", "service"} & set(query):
        return "the database is missing"
    return None


def host_names(dsn: str) -> str:
    """Name the host or hosts, for messages."""
    parts = urlsplit(dsn)
    return parts.netloc.rpartition("@")[2] or dict(parse_qsl(parts.query)).get("host", "")


def _hosts(netloc: str) -> list[tuple[str, int | None]]:
    """Read `user:password@host:port,host:port`; raise `ValueError`."""
    if netloc.count("@") > 1:
        raise ValueError("a second @")
    found = []
    for each in netloc.rpartition("@")[2].split(","):
        one = urlsplit(f"//{each}")
        found.append((unquote(one.hostname or ""), one.port))
    return found


def _with_ssl_mode(given: dict[str, str]) -> dict[str, str]:
    """Bring `ssl`, `channel_binding` and the system's certificates down to `sslmode`."""
    given = dict(given)
    ssl_value = given.pop("ssl", None)
    if ssl_value is not None:
        given.setdefault("sslmode", _mode_of(ssl_value))
    mode, root = given.get("sslmode"), given.get("sslrootcert")
    if mode is not None and mode not in SSL_MODES:
        raise InvalidDsn(f"sslmode={mode} is none of {', '.join(SSL_MODES)}")
    if given.get("channel_binding") == "require" and mode not in VERIFYING:
        # The driver has no channel binding. A certificate that is checked, name and all, closes
        # the same hole: nobody in between can pass for the server.
        mode = "verify-full"
    if root == _SYSTEM and mode != "verify-full":
        if mode is not None:
            raise InvalidDsn(f"sslrootcert=system needs sslmode=verify-full, not sslmode={mode}")
        mode = "verify-full"
    if mode in VERIFYING and (root == _SYSTEM or not (root or _has_own_root())):
        if mode != "verify-full":
            raise InvalidDsn(
                f"sslmode={mode} needs sslrootcert, the file of the certificate authority"
            )
        given["sslrootcert"] = _system_root()
    return given if mode is None else {**given, "sslmode": mode}


def _mode_of(ssl_value: str) -> str:
    if ssl_value.lower() in TRUE:
        return "require"
    if ssl_value.lower() in FALSE:
        return "disable"
    if ssl_value in SSL_MODES:
        return ssl_value
    raise InvalidDsn(
        f"ssl={ssl_value} is unclear; write sslmode with one of {', '.join(SSL_MODES)}"
    )


def _has_own_root() -> bool:
    try:
        return (Path.home() / ".postgresql" / "root.crt").exists()
    except (OSError, RuntimeError):
        return False


def _system_root() -> str:
    """Find the file of the authorities that this machine trusts."""
    own = ssl.get_default_verify_paths().cafile
    for path in (own, *_BUNDLES):
        if path and Path(path).is_file():
            return path
    raise InvalidDsn("sslmode=verify-full needs sslrootcert here: no file of authorities was found")


def _one_of(*allowed: str) -> Callable[[str, str], None]:
    def check(name: str, value: str) -> None:
        if value.lower() not in allowed:
            raise InvalidDsn(
                f"{name}={value} is not possible with Playhall; write {' or '.join(allowed)}, or "
                "leave it out"
            )

    return check


def _readable(name: str, value: str) -> None:
    try:
        with Path(value).open("rb") as file:
            file.read(1)
    except OSError as error:
        raise InvalidDsn(
            f"the file {value} of {name} cannot be read ({error.strerror}); correct its path"
        ) from error


_CHECKS: Final[dict[str, Callable[[str, str], None]]] = {
    **dict.fromkeys(_FILES, _readable),
    "schema": _one_of("public"),
    "channel_binding": _one_of("disable", "prefer", "require"),
    "gssencmode": _one_of("disable", "prefer"),
    "client_encoding": _one_of("utf8", "utf-8", "auto"),
    "sslnegotiation": _one_of("postgres", "direct"),
    "target_session_attrs": _one_of(*SESSION_ATTRIBUTES),
    "ssl_min_protocol_version": _one_of("tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3"),
    "ssl_max_protocol_version": _one_of("tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3"),
}
