"""Cursors: what was written comes back, and nothing else is taken."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from protocol.errors import InvalidField
from protocol.limits import CURSOR_CHARS_MAX
from server.core.cursors import CursorCodec

AT = datetime(2026, 2, 12, 20, 15, 30, 123_456, tzinfo=UTC)
ID = "00000000-0000-4000-8000-00000000000a"


def parts(*place: object) -> tuple[object, ...]:
    return place


GAMES = CursorCodec("games", parts, datetime, UUID, int, str)
CODEC = CursorCodec("lobbies", parts, datetime, UUID, int, str, int_max=9)


def test_place_comes_back_as_it_was() -> None:
    cursor = CODEC.write((AT, ID, 9, "four in a row"))
    assert CODEC.read(cursor) == (AT, ID, 9, "four in a row")
    assert len(cursor) <= CURSOR_CHARS_MAX


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "AAAA",
        "null",
        "x" * (CURSOR_CHARS_MAX + 1),
        CursorCodec("games", parts, datetime, UUID, int, str).write(
            (AT, ID, 9, "")
        ),  # another list's
        CODEC.write((AT, ID, 9)),
        CODEC.write((AT, ID, 9, "", "")),
        CODEC.write((AT, ID, 10, "")),
        CODEC.write((AT, ID, -1, "")),
        CODEC.write((AT, ID, 9, "\0")),
        CODEC.write((AT, "nobody", 9, "")),
        CODEC.write(("now", ID, 9, "")),
        CODEC.write((2**62, ID, 9, "")),
    ],
)
def test_anything_else_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidField) as refused:
        CODEC.read(cursor)
    assert refused.value.field == "cursor"
