"""Days that another system saw, as a stream of JSON lines. Pure.

    {"type": "slot_update", "at": "2026-02-12T10:00:00Z", "slot_index": 0, "bot": "bot_ada", "code": "bd sn"}
    {"type": "activity", "at": "…", "kind": "vote", "voter": "0x…", "target_type": "bot", "target_id": "bot_ada", "score": 0.5}
    {"type": "activity", "at": "…", "kind": "joined", "bot": "bot_ada", "data": {"anything": 1}}

Lines are in the order of their times. A bot is named by its slug, and must be registered.
"""  # noqa: E501 - lines of the format are shown as they are

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Annotated, Any, Literal, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field

from persistence.epochs.imports import ImportedClaim, ImportedNote, ImportedVote, InvalidLine, Line
from protocol.codec import validate
from protocol.epoch_profile import CODE_CHARS_MAX, SLOTS_MAX, EpochProfile, TargetType
from protocol.errors import InvalidField
from protocol.ids import BotId
from server.domains.compete.epochs.phases import day_at, day_times

LINE_CHARS_MAX = 64 * 1024
FIRST_YEAR, LAST_YEAR = 1970, 2999  # a day needs one before and after it


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")

    at: Annotated[datetime, Field(strict=False)]


class SlotUpdateLine(_Line):
    """A slot got code by a bot."""

    type: Literal["slot_update"]
    slot_index: Annotated[int, Field(ge=0, lt=SLOTS_MAX)]
    bot: Annotated[str, Field(max_length=64)]
    code: Annotated[str, Field(min_length=1, max_length=CODE_CHARS_MAX)]


class VoteLine(_Line):
    """Somebody voted."""

    type: Literal["activity"]
    kind: Literal["vote"]
    voter: Annotated[str, Field(pattern="^0x[0-9a-fA-F]{40}$")]
    target_type: TargetType
    target_id: Annotated[str, Field(min_length=1, max_length=64)]
    score: Decimal


class ActivityLine(_Line):
    """Something else happened; it is kept as it is."""

    type: Literal["activity"]
    kind: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,47}$")]
    bot: Annotated[str, Field(max_length=64)] | None = None
    data: dict[str, Any] = {}


class ImportedDay(NamedTuple):
    """A day and its lines, each with its number in the file."""

    day: date
    lines: list[Line]


def parse_days(
    text: Iterable[str], profile: EpochProfile, bots: Mapping[str, BotId], *, now: datetime
) -> Iterator[ImportedDay]:
    """Read lines into days; raise `InvalidLine`."""
    lines = (
        _line(number, raw, bots) for number, raw in enumerate(text, 1) if raw and not raw.isspace()
    )
    for day, group in groupby(
        _sorted(lines, now), key=lambda line: day_at(line.at, profile.cadence)
    ):
        yield ImportedDay(day, list(_in_time(group, day, profile)))


def _line(number: int, raw: str, bots: Mapping[str, BotId]) -> Line:
    with errors_at_line(number):
        if len(raw) > LINE_CHARS_MAX:
            raise InvalidField(f"is longer than {LINE_CHARS_MAX} characters.")
        try:
            data = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise InvalidField(f"is not JSON: {error}.") from None
    return parse_line(number, data, bots)


def parse_line(number: int, data: object, bots: Mapping[str, BotId]) -> Line:
    """Read one line that was parsed; raise `InvalidLine`."""
    with errors_at_line(number):
        read = _read(data)
        if read.at.tzinfo is None:
            raise InvalidField("at: include the time zone, for example Z.", field="at")
        if not FIRST_YEAR <= read.at.year <= LAST_YEAR:
            problem = f"at: send a year from {FIRST_YEAR} to {LAST_YEAR}."
            raise InvalidField(problem, field="at")
        at = read.at.astimezone(UTC)
        if isinstance(read, SlotUpdateLine):
            return ImportedClaim(number, at, read.slot_index, _bot(read.bot, bots), read.code)
        if isinstance(read, VoteLine):
            target = read.target_id
            if read.target_type == "bot":
                target = _bot(target, bots, field="target_id")
            voter = read.voter.lower()
            return ImportedVote(number, at, voter, read.target_type, target, read.score)
        bot_id = None if read.bot is None else _bot(read.bot, bots)
        return ImportedNote(number, at, read.kind, bot_id, read.data)


@contextmanager
def errors_at_line(number: int) -> Iterator[None]:
    """Say at which line a field is wrong: an `InvalidField` becomes a `InvalidLine`."""
    try:
        yield
    except InvalidField as error:
        raise InvalidLine(number, error.message, field=error.field) from None


def _read(data: object) -> SlotUpdateLine | VoteLine | ActivityLine:
    kind = (data.get("type"), data.get("kind")) if isinstance(data, dict) else None
    if kind is None or kind[0] not in ("slot_update", "activity"):
        raise InvalidField("type: send slot_update or activity.", field="type")
    if kind[0] == "slot_update":
        return validate(SlotUpdateLine, data)
    return validate(VoteLine, data) if kind[1] == "vote" else validate(ActivityLine, data)


def _bot(slug: str, bots: Mapping[str, BotId], *, field: str = "bot") -> BotId:
    if slug not in bots:
        problem = f"{field}: {slug!r} is not registered; register it first."
        raise InvalidField(problem, field=field)
    return bots[slug]


def _sorted(lines: Iterable[Line], now: datetime) -> Iterator[Line]:
    """Check that lines come in order, over all days, and that all of it has happened.

    A line of a day that was written already would be lost; a day to come would be the present one.
    """
    before: datetime | None = None
    for line in lines:
        with errors_at_line(line.number):
            if before is not None and line.at < before:
                raise InvalidField(
                    "at: is earlier than the line above; sort the lines.", field="at"
                )
            if line.at > now:
                raise InvalidField("at: is in the future; correct the time.", field="at")
        before = line.at
        yield line


def _in_time(lines: Iterable[Line], day: date, profile: EpochProfile) -> Iterator[Line]:
    """Check that lines come while the day was live, and name slots that there are."""
    times = day_times(day, profile.cadence)
    for line in lines:
        with errors_at_line(line.number):
            if line.at >= times.freeze_at:
                problem = f"at: the day {day} was frozen by then; correct the profile or the line."
                raise InvalidField(problem, field="at")
            require_known_slot(line, profile)
        yield line


def require_known_slot(line: Line, profile: EpochProfile) -> None:
    """Refuse a line that names a slot that the profile does not have."""
    if isinstance(line, ImportedClaim) and line.slot_index >= profile.slots.count:
        raise InvalidField("slot_index: the profile has no such slot.", field="slot_index")
