"""Log lines as JSON, with the request and the game that they belong to.

One object a line. Its fields come from the call (`extra={"game_id": …}`), from what is being
carried out (`naming`), and from `sources`, where traces add their ids. Tasks inherit the context of
what started them, so a line that is written much deeper has them, too.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final, TypeAlias

import orjson

Source: TypeAlias = Callable[[], Mapping[str, str]]

# What a call may name besides its message; anything else that a library adds is left out.
EXTRA: Final = ("game_id",)

_NOTHING: Final[Mapping[str, str]] = {}
_fields: ContextVar[Mapping[str, str]] = ContextVar("fields of log lines", default=_NOTHING)


@contextmanager
def naming(fields: Mapping[str, str]) -> Iterator[None]:
    """Add fields to every line that is written meanwhile, and by the tasks that are started."""
    token = _fields.set(fields)
    try:
        yield
    finally:
        _fields.reset(token)


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object."""

    def __init__(self) -> None:
        super().__init__()
        self.node = ""  # known once the node is about to serve
        self.sources: list[Source] = []

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        line: dict[str, str] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self.node:
            line["node"] = self.node
        line |= _fields.get()
        for source in self.sources:
            line |= source()
        line |= {name: str(value) for name in EXTRA if (value := getattr(record, name, None))}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps({name: _encodable(value) for name, value in line.items()}).decode()


def _encodable(text: str) -> str:
    """Make text encodable: a message may quote what no UTF-8 can hold."""
    return text.encode("utf-8", "backslashreplace").decode()


def find_json_formatter() -> JsonFormatter | None:
    """Find the formatter of this process's log, if it writes JSON."""
    formatters = (handler.formatter for handler in logging.getLogger().handlers)
    return next((each for each in formatters if isinstance(each, JsonFormatter)), None)
