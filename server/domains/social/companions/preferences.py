"""What a person prefers in a companion: chosen, learned from ratings, compared with it. Pure.

Everything is a number from 0 to 1 for each of five traits, or one of three lengths of answers. So
it can be shown, explained and edited, and no text of a person gets into a system prompt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, get_args

from persistence.companions.store import StoredOpinions
from protocol.companions import AnswerLength, Trait

TRAITS: Final[tuple[Trait, ...]] = get_args(Trait)
LENGTHS: Final[tuple[AnswerLength, ...]] = get_args(AnswerLength)
OPINIONS_MIN: Final = 3  # answers from before anything is learned of them
# Ratings that change nothing, so to say: with few of them, what is learned stays near the middle.
OPINIONS_PRIOR: Final = 2
NOTICED: Final = 0.2  # a difference to the companion that its tone follows

_MORE: Final[Mapping[Trait, str]] = {
    "warmth": "Be warmer than usual.",
    "curiosity": "Ask more questions than usual.",
    "precision": "Be more precise than usual.",
    "playfulness": "Be more playful than usual.",
    "energy": "Be livelier than usual.",
}
_LESS: Final[Mapping[Trait, str]] = {
    "warmth": "Be more matter-of-fact than usual.",
    "curiosity": "Ask fewer questions than usual.",
    "precision": "Keep to the outline and leave out details.",
    "playfulness": "Be more serious than usual.",
    "energy": "Be calmer than usual.",
}
_LENGTH: Final[Mapping[AnswerLength, str]] = {
    "short": "Answer in two or three sentences.",
    "long": "Answer at length, with examples.",
}
EXPLANATION: Final = (
    "What you chose counts. Where you chose nothing, it is learned from your ratings of "
    "answers, from three on: traits of companions whose answers you rate well pull your "
    "preference towards them, those of companions that you rate badly push it away, and the "
    "length of this companion's answers that you rate best is the one that you prefer. The "
    "match is how close your traits are to the companion's, on average. A companion's tone "
    "follows differences of 0.2 and more. Reset it, and ratings before do not count any more."
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a person chose, or what was learned of them; what is missing is not known."""

    traits: Mapping[Trait, float] = field(default_factory=dict)
    length: AnswerLength | None = None


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a person prefers in a companion."""

    chosen: Chosen = field(default_factory=Chosen)
    learned: Chosen = field(default_factory=Chosen)

    @property
    def used(self) -> Chosen:
        """What counts: what was chosen, else what was learned."""
        return Chosen(
            {**self.learned.traits, **self.chosen.traits},
            self.chosen.length or self.learned.length,
        )


def read_chosen(stored: object) -> Chosen:
    """Read what is stored; the person may have written anything there, which is passed over."""
    fields = stored if isinstance(stored, dict) else {}
    length = fields.get("length")
    return Chosen(read_traits(fields), length if length in LENGTHS else None)


def read_since(stored: Mapping[str, Any]) -> datetime | None:
    """Read since when ratings count; None: since ever."""
    since = stored.get("since")
    try:
        read = datetime.fromisoformat(since) if isinstance(since, str) else None
    except ValueError:
        return None
    return read if read is not None and read.tzinfo is not None else None


def read_traits(personality: Mapping[str, Any]) -> dict[Trait, float]:
    """Read the traits of a personality, which an admin may have written in another form."""
    values = personality.get("traits")
    found = values if isinstance(values, dict) else {}
    return {
        trait: float(value)
        for trait in TRAITS
        if isinstance(value := found.get(trait), int | float)
        and not isinstance(value, bool)
        and 0 <= value <= 1
    }


def write_chosen(chosen: Chosen) -> dict[str, Any]:
    """Write it as it is stored."""
    return {"traits": dict(chosen.traits), "length": chosen.length}


def learn(opinions: Sequence[StoredOpinions], luminor_id: str) -> Chosen:
    """Learn from what a person thinks of answers: traits of all companions, the length of one."""
    total = sum(each.answers for each in opinions)
    traits: dict[Trait, float] = {}
    if total >= OPINIONS_MIN:
        for trait in TRAITS:
            pull = sum(
                each.answers * each.reward * (read_traits(each.personality).get(trait, 0.5) - 0.5)
                for each in opinions
            )
            traits[trait] = round(min(1.0, max(0.0, 0.5 + pull / (total + OPINIONS_PRIOR))), 3)
    liked = [
        (each.reward, -LENGTHS.index(each.length), each.length)
        for each in opinions
        if each.luminor_id == luminor_id and each.answers >= OPINIONS_MIN and each.reward > 0
    ]
    return Chosen(traits, max(liked)[2] if liked else None)


def match_percent(used: Chosen, personality: Mapping[str, Any]) -> float | None:
    """Say how close somebody's traits are to a companion's; None where nothing is known."""
    own = read_traits(personality)
    both = [trait for trait in TRAITS if trait in own and trait in used.traits]
    if not both:
        return None
    difference = sum(abs(own[trait] - used.traits[trait]) for trait in both) / len(both)
    return round(100 * (1 - difference), 1)


def style_of(used: Chosen, personality: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the sentences of the system prompt that follow preferences; all of them are ours."""
    own = read_traits(personality)
    sentences = []
    for trait in TRAITS:
        difference = used.traits[trait] - own[trait] if trait in used.traits and trait in own else 0
        if round(abs(difference), 3) >= NOTICED:
            sentences.append((_MORE if difference > 0 else _LESS)[trait])
    if used.length is not None and used.length in _LENGTH:
        sentences.append(_LENGTH[used.length])
    return tuple(sentences)
