"""Data source names: what is wrong with one, said before a driver stumbles over it."""

from typing import Final
from urllib.parse import parse_qs, urlsplit

EXAMPLE_URL: Final = "postgresql://user:password@host:5432/database"
SCHEMES: Final = ("postgresql", "postgres")
NO_SCHEME: Final = "postgresql:// is missing at its beginning"


def problem_of(dsn: str) -> str | None:
    """Say what keeps a data source name from being one, without repeating its password."""
    try:
        parts = urlsplit(dsn)
        port = parts.port
    except ValueError:
        return "the host or the port cannot be read"
    if parts.scheme not in SCHEMES:
        return (
            f"it begins with {parts.scheme}:, not with postgresql:" if parts.scheme else NO_SCHEME
        )
    if any(char.isspace() for char in dsn):
        return "there is a space in it"
    if port == 0:
        return "0 is no port"
    if not parts.hostname and "host" not in parse_qs(parts.query):
        return "the host is missing"
    return "the database is missing" if not parts.path.strip("/") else None
