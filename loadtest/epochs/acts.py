"""What bots write into slots and what people vote for: no two acts are the same. Pure."""

from collections.abc import Iterator, Sequence
from itertools import count, cycle
from typing import Final, NamedTuple

from loadtest.line.errors import ClientError
from protocol.game import Json

# A word that the slots of a kind take, and how large the number behind it may be.
_WORDS: Final = {"drums": "bd", "notes": "c4", "chords": "Am"}
_BASE: Final = 60


class Act(NamedTuple):
    """A command, and what of it the event shows in its payload (and as its slot)."""

    command: str
    fields: Json
    shows: Json


def claims(slots: Sequence[Json]) -> Iterator[Act]:
    """Claim the slots in turns, each time with code that was never written before."""
    for number, slot in zip(count(1), cycle(slots)):
        code = code_for(slot["constraints_id"], number)
        fields = {"slot_index": slot["slot_index"], "code": code}
        yield Act("epoch.claim", fields, {"code": code})


def votes(governance: Json) -> Iterator[Act]:
    """Vote for the options that a day's profile names, now high, now low."""
    targets = [target for target in governance["targets"] if target.get("options")]
    if not targets:
        raise ClientError("The day's profile names no options to vote for; leave out --voters.")
    for number, target in zip(count(), cycle(targets)):
        option = target["options"][number // len(targets) % len(target["options"])]
        low, high = float(target["score_min"]), float(target["score_max"])
        score = round(low + (high - low) * (number % 100) / 100, 4)
        vote = {"target_type": target["type"], "target_id": option, "score": score}
        yield Act("epoch.vote", vote, vote)


def code_for(constraints_id: str, number: int) -> str:
    """Write a number as code that a kind of slot takes; free text where it is not known."""
    word = _WORDS.get(constraints_id)
    if word is None:
        return f"load test {number}"
    digits = []
    while number:
        number, digit = divmod(number, _BASE)
        digits.append(f"{word}:{digit}")
    return " ".join(digits)


def fault_of(act: Act, event: Json) -> str | None:
    """Say how an event is not what an act did; None if it is."""
    found = {name: event["payload"].get(name) for name in act.shows}
    if isinstance(score := found.get("score"), str):
        found["score"] = float(score)  # exact numbers are text in events
    if found == act.shows and event["slot_index"] == act.fields.get("slot_index"):
        return None
    return f"{act.command} was acknowledged for {act.fields}, but the event is {event}"
