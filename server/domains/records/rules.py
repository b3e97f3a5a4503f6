"""The cursor of a player's history. Pure.

It names the last match that was sent, so a page stays right when new matches come in. It
reads `<microseconds since 1970>.<match id>`, in base64 so that nobody builds on that.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta

from persistence.records import Position
from protocol.codec import validate
from protocol.errors import InvalidField
from protocol.ids import MatchId
from protocol.record import MatchPath

# Before the newest match.
START = Position(datetime.max.replace(tzinfo=UTC), MatchId("00000000-0000-0000-0000-000000000000"))

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def write_cursor(position: Position) -> str:
    """Write a position as text for a client to give back."""
    text = f"{(position.ended_at - _EPOCH) // _MICROSECOND}.{position.match_id}"
    return urlsafe_b64encode(text.encode()).decode()


def read_cursor(cursor: str | None) -> Position:
    """Read what `write_cursor` wrote; None is the start; raise `InvalidField`."""
    if cursor is None:
        return START
    try:
        microseconds, _, match_id = urlsafe_b64decode(cursor).decode("ascii").partition(".")
        ended_at = _EPOCH + int(microseconds) * _MICROSECOND
        path = validate(MatchPath, {"match_id": match_id})
    except (ValueError, OverflowError, InvalidField):
        raise InvalidField("cursor: send the `next` of the page before.", field="cursor") from None
    return Position(ended_at, path.match_id)
