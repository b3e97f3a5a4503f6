"""Cursors: where a page of a list ended, as text that a client gives back unchanged. Pure.

The text is the name of the list and the place in it, in base64url so that nobody builds on it.
"""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, TypeAlias, TypeVar
from uuid import UUID

import orjson

from protocol.errors import InvalidField
from protocol.limits import CURSOR_CHARS_MAX

Part: TypeAlias = datetime | int | str
Place = TypeVar("Place")
Row = TypeVar("Row")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class CursorCodec(Generic[Place]):
    """Writes and reads the places of one list: a tuple that `place` makes of parts, or one part.

    `kinds` are those of the parts: `datetime`, exact to the microsecond; `int`, from 0 to
    `int_max`; `UUID`, which is given as text; `str`, without NUL.
    """

    def __init__(
        self, of: str, place: Callable[..., Place], *kinds: type, int_max: int = 2**63 - 1
    ) -> None:
        self._of = of
        self._place = place
        self._kinds = kinds
        self._int_max = int_max

    def write(self, place: Place) -> str:
        """Write a place."""
        parts = [
            (part - _EPOCH) // _MICROSECOND if isinstance(part, datetime) else part
            for part in (place if isinstance(place, tuple) else (place,))
        ]
        return urlsafe_b64encode(orjson.dumps([self._of, *parts])).decode()

    def after_page(
        self, page: Sequence[Row], limit: int, place_of: Callable[[Row], Place]
    ) -> str | None:
        """Write where a full page ends, since another may follow; None for any other page."""
        return self.write(place_of(page[-1])) if len(page) == limit else None

    def read(self, cursor: str) -> Place:
        """Read a place, its parts as the kinds say; raise `InvalidField` for any other text."""
        try:
            return self._place(*self._parts(cursor))
        except (ValueError, TypeError, OverflowError):
            problem = "cursor: send the `next` of the previous page unchanged, or omit it."
            raise InvalidField(problem, field="cursor") from None

    def _parts(self, cursor: str) -> tuple[Part, ...]:
        if len(cursor) > CURSOR_CHARS_MAX:
            raise ValueError(cursor)
        of, *parts = orjson.loads(b64decode(cursor, altchars=b"-_", validate=True))
        if of != self._of:
            raise ValueError(of)
        return tuple(self._part(part, kind) for part, kind in zip(parts, self._kinds, strict=True))

    def _part(self, part: object, kind: type) -> Part:
        if kind is datetime and type(part) is int:
            return _EPOCH + part * _MICROSECOND
        if kind is int and type(part) is int and 0 <= part <= self._int_max:
            return part
        if kind is UUID and isinstance(part, str):
            return str(UUID(part))
        if kind is str and isinstance(part, str) and "\0" not in part:
            return part
        raise ValueError(part)
