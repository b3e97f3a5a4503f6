"""A day that another system plays, mirrored here while it is live.

    {"seq": 1, "type": "slot_update", "at": "2026-02-12T10:00:00Z", "slot_index": 0, "bot": "bot_ada", "code": "bd sn"}

A line has the format of imported days (see `importing`), and `seq`: its number in the day, from 1 on.
Lines up to the last one applied are skipped, and a hole is refused, so a source that lost an answer
sends again from the number that it last saw acknowledged, and every line counts exactly once.
"""  # noqa: E501 - a line of the format is shown as it is

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from persistence.epochs.imports import InvalidLine, Line
from persistence.epochs.mirror import AppliedBatch, MirrorConditions, MirrorState, MirrorStore
from persistence.epochs.store import EpochDay
from protocol.codec import validate
from protocol.envelope import WireModel
from protocol.epochs import (
    EpochMirrored,
    EpochNotLive,
    EpochPlayed,
    MirrorBatch,
    Mirrored,
    MirrorGap,
)
from protocol.errors import InvalidField
from protocol.ids import BotId, EpochId
from protocol.limits import INT_MAX
from server.core.clock import wire_time
from server.domains.compete.epochs.board_streams import EpochStreams
from server.domains.compete.epochs.imports import errors_at_line, parse_line, require_known_slot

SLUG_CHARS_MAX = 64


class DayMirror:
    """Applies batches of lines; `following` is notified, so that watchers see them at once."""

    def __init__(self, store: MirrorStore, following: EpochStreams | None = None) -> None:
        self._store = store
        self._following = following

    async def apply(self, epoch_id: EpochId, batch: MirrorBatch, *, actor: str) -> Mirrored:
        """Apply what is new of a batch, all or nothing; an empty batch begins the mirror.

        Raises `MirrorGap`, `InvalidField`, `EpochNotFound`, `EpochNotLive`, `EpochPlayed`, and
        `EpochMirrored` for another source.
        """
        seqs = [_seq(index, line) for index, line in enumerate(batch.lines)]
        bots = await self._store.find_bots(collect_bot_slugs(batch.lines))

        def decide(standing: MirrorConditions) -> Sequence[Line]:
            state = require_mirror_source(standing, batch.source)
            day, now = standing.day, standing.now
            new = parse_new_lines(batch.lines, seqs, day=day, state=state, now=now, bots=bots)
            if new and day.phase != "live":
                raise EpochNotLive
            return new

        try:
            applied = await self._store.apply_batch(epoch_id, batch.source, decide, actor=actor)
        except InvalidLine as bad:
            raise _placed(bad, seqs) from None
        if applied.lines and self._following is not None:
            self._following.publish_committed(epoch_id, applied.version)
        return _answer(epoch_id, batch, applied)


def require_mirror_source(standing: MirrorConditions, source: str) -> MirrorState:
    """Say how far a source has come that may write the day; refuse any other. Pure."""
    if standing.state is None:
        if standing.day.phase not in ("prep", "live"):
            raise EpochNotLive
        if standing.is_played:
            raise EpochPlayed
        return MirrorState(source, 0, None)
    if standing.state.source != source:
        raise EpochMirrored(
            f"This epoch is mirrored from {standing.state.source!r}; only that source may write it."
        )
    return standing.state


def parse_new_lines(
    lines: Sequence[Mapping[str, Any]],
    seqs: Sequence[int],
    *,
    day: EpochDay,
    state: MirrorState,
    now: datetime,
    bots: Mapping[str, BotId],
) -> list[Line]:
    """Read the lines that come after the last one applied. Pure.

    Raises `MirrorGap`, or `InvalidLine`, whose number is the line's `seq`.
    """
    new: list[Line] = []
    after, last_at = state.last_seq, state.last_at
    for seq, raw in zip(seqs, lines, strict=True):
        if seq <= after:
            continue
        if seq != after + 1:
            first = state.last_seq + 1
            raise MirrorGap(
                f"Line {after + 1} is missing before line {seq}, and nothing of this batch was"
                f" applied; send the lines again from {first} on.",
                expected=first,
            )
        line = parse_line(seq, {key: value for key, value in raw.items() if key != "seq"}, bots)
        with errors_at_line(seq):
            _check_time(line.at, day=day, last_at=last_at, now=now)
            require_known_slot(line, day.profile)
        new.append(line)
        after, last_at = seq, line.at
    return new


def _check_time(at: datetime, *, day: EpochDay, last_at: datetime | None, now: datetime) -> None:
    """Refuse a time that is not the day's, or breaks the order of the lines."""
    if last_at is not None and at < last_at:
        raise InvalidField("at: is earlier than the line above; send lines in order.", field="at")
    if at < day.starts_at:
        problem = (
            f"at: the epoch begins at {wire_time(day.starts_at)}; send this to the one before."
        )
        raise InvalidField(problem, field="at")
    if at >= day.freeze_at:
        problem = f"at: the epoch freezes at {wire_time(day.freeze_at)}; leave this line out."
        raise InvalidField(problem, field="at")
    if at > now:
        problem = "at: is in the future; send it later, or set the source's clock."
        raise InvalidField(problem, field="at")


def collect_bot_slugs(lines: Sequence[Mapping[str, Any]]) -> set[str]:
    """Collect what may name a bot, as far as it can be a slug."""
    named = (line.get(key) for line in lines for key in ("bot", "target_id"))
    return {
        slug
        for slug in named
        if isinstance(slug, str) and len(slug) <= SLUG_CHARS_MAX and "\0" not in slug
    }


class _Number(WireModel):
    """A line's number in its day, as it is sent."""

    seq: Annotated[int, Field(ge=1, le=INT_MAX)]


def _seq(index: int, line: Mapping[str, Any]) -> int:
    try:
        return validate(_Number, {"seq": line.get("seq")}).seq
    except InvalidField:
        field = f"lines.{index}.seq"
        problem = f"{field}: send the line's number in the day, 1 for the first."
        raise InvalidField(problem, field=field) from None


def _placed(bad: InvalidLine, seqs: Sequence[int]) -> InvalidField:
    """Name the field by its place in the batch; the message names the line by its `seq`."""
    place = f"lines.{seqs.index(bad.number)}"
    return InvalidField(bad.message, field=f"{place}.{bad.field}" if bad.field else place)


def _answer(epoch_id: EpochId, batch: MirrorBatch, applied: AppliedBatch) -> Mirrored:
    return Mirrored(
        epoch_id=epoch_id,
        source=batch.source,
        acknowledged=applied.last_seq,
        applied=applied.lines,
        skipped=len(batch.lines) - applied.lines,
        version=applied.version,
    )
