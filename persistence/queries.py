"""Named, described queries, kept in `.sql` files.

A file is a series of::

    -- name: claim_game
    -- Take a game whose owner's lease ran out.
    UPDATE games SET ...;

Comments may come before the first name.
"""

import re
from functools import cache
from importlib.resources import files
from pathlib import Path

_NAME = re.compile(r"^-- name: *(\w+) *\n", re.MULTILINE)
_DESCRIPTION = re.compile(r"(?:-- .+\n)+")


class NamedQueries(dict[str, str]):
    """The queries of one file: name to SQL; `descriptions` says what each is for."""

    def __init__(self, source: str, text: str) -> None:
        self.source = source
        self.descriptions: dict[str, str] = {}
        preface, *parts = _NAME.split(text)
        if any(line.strip() and not line.startswith("--") for line in preface.splitlines()):
            raise ValueError(f"{source}: SQL before the first `-- name:`")
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            self._add(name, body)

    def __missing__(self, name: str) -> str:
        raise KeyError(f"{self.source} has no query {name!r}; it has {', '.join(self)}")

    def _add(self, name: str, body: str) -> None:
        description = _DESCRIPTION.match(body)
        if description is None:
            raise ValueError(f"{self.source}: query {name!r} has no description")
        if name in self:
            raise ValueError(f"{self.source}: query {name!r} is there twice")
        self.descriptions[name] = " ".join(re.findall("-- (.+)", description[0]))
        self[name] = body[description.end() :].strip()


def read_query_file(path: Path) -> NamedQueries:
    """Read a file of a title package; one that is malformed raises `ValueError`, which names it."""
    return NamedQueries(str(path), path.read_text("utf-8"))


@cache
def load_queries(name: str, *, package: str = "persistence") -> NamedQueries:
    """Read `<package>/<name>.sql`; a malformed file raises `ValueError`."""
    file = files(package) / f"{name}.sql"
    return NamedQueries(f"{name}.sql", file.read_text("utf-8"))
