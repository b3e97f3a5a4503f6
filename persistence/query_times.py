"""Slow queries by name: how many took longer than each of some bounds, on this node.

The driver calls `note` after each query. Almost all are fast, and cost one comparison. What is slow
is looked up by its text among the named queries, so there are at most as many names as queries; the
text of anything else, and what a query was given, is never kept.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from asyncpg.connection import LoggedQuery

from persistence.queries import NamedQueries

BOUNDS_S: Final = (0.1, 0.5, 2.0)
OTHER: Final = "other"
_names: dict[str, str] = {}


class QueryTimes:
    """Counts of slow queries."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}

    def note(self, query: LoggedQuery) -> None:
        """Count a query if it was slow."""
        if query.elapsed < BOUNDS_S[0]:
            return
        counts = self._counts.setdefault(find_query_name(query.query), [0] * len(BOUNDS_S))
        for place, bound in enumerate(BOUNDS_S):
            counts[place] += query.elapsed >= bound

    def read(self) -> dict[str, dict[float, int]]:
        """Give how many queries took at least as long as each bound, by name."""
        return {
            name: dict(zip(BOUNDS_S, counts, strict=True)) for name, counts in self._counts.items()
        }


QUERY_TIMES: Final = QueryTimes()  # of all pools of the process


def find_query_name(text: str) -> str:
    """Say which named query a text is, such as `feed/store.read_page`; `other` if it is none."""
    if not _names:
        _names.update(_read_names())
    return _names.get(_plain(text), OTHER)


def _read_names() -> Iterator[tuple[str, str]]:
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.sql")):
        source = path.relative_to(folder).with_suffix("").as_posix()
        for name, text in NamedQueries(source, path.read_text("utf-8")).items():
            yield _plain(text), f"{source}.{name}"


def _plain(text: str) -> str:
    return text.strip().rstrip(";").rstrip()
