"""A day's slots from a picture and the events after it, as the protocol says. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from protocol.game import Json

CLAIMS = frozenset({"slot_claimed", "slot_overwritten"})


class State(NamedTuple):
    """What watchers have of a day at a version: its phase, and its slots by their index."""

    phase: str
    slots: tuple[Json, ...]

    @classmethod
    def of(cls, shown: Json) -> "State":
        """Read the state from a picture, or from what HTTP says of the slots."""
        return cls(shown["phase"], tuple(shown["slots"]))


def fold(state: State, events: Iterable[Json]) -> State:
    """Give the state after events."""
    phase, slots = state.phase, list(state.slots)
    for event in events:
        if event["event"] in CLAIMS:
            slots[event["slot_index"]] = _claimed(slots[event["slot_index"]], event)
        elif event["event"] == "phase_changed":
            phase = event["payload"]["phase"]
    return State(phase, tuple(slots))


def difference(mine: State, theirs: State) -> str | None:
    """Say where two states differ first; None if they are the same."""
    if mine.phase != theirs.phase:
        return f"phase {mine.phase}, over HTTP {theirs.phase}"
    if len(mine.slots) != len(theirs.slots):
        return f"{len(mine.slots)} slots, over HTTP {len(theirs.slots)}"
    pairs = zip(mine.slots, theirs.slots, strict=True)
    for here, there in pairs:
        if here != there:
            return f"slot {there['slot_index']}: {here}, over HTTP {there}"
    return None


def _claimed(slot: Json, event: Json) -> Json:
    return {
        **slot,
        "code": event["payload"]["code"],
        "bot_id": event["bot_id"],
        "bot": event["bot"],
        "updated_at": event["at"],
        "version": event["version"],
    }
