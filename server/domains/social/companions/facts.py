"""Facts that people say of themselves, found in their messages by simple rules. Pure.

A fact has a subject, and a newer fact of the same subject supersedes the older one: "I live in
Rome" after "I live in Oslo", "I don't like jazz" after "I like jazz".
"""

import re
from collections.abc import Callable
from itertools import product
from typing import Final, NamedTuple

from persistence.companions.store import Fact

FACTS_MAX: Final = 5  # of one message
# Where something is said of oneself begins: not within a question, nor after another subject.
_START: Final = r"(?:^|[.,;:!\n]\s*|\b(?:and|but|because|so|also|well|yes|no|hi|hello)\s+)"
# What only says since when, or how much, is not part of the thing: "fog any more" is fog.
_ASIDE: Final = r"(?:\s+(?:any ?more|now|nowadays|these days|again|too|as well|a lot|very much))*"
_END: Final = rf"(?={_ASIDE}\s*(?:[.,;!\n]| and I\b| but I\b|$))"
_THING: Final = r"(?P<thing>[^.,;!?\n]{1,80}?)"


class _Rule(NamedTuple):
    pattern: re.Pattern[str]
    memory_type: str
    subject: Callable[[str, str], str]
    content: str
    importance: int


def _rule(
    pattern: str, memory_type: str, content: str, importance: int, subject: str | None = None
) -> _Rule:
    def name(kind: str, thing: str) -> str:
        return (subject or f"{memory_type}:{{kind}}{{thing}}").format(kind=kind, thing=thing)

    whole = re.compile(rf"{_START}{pattern}{_END}", re.IGNORECASE)
    return _Rule(whole, memory_type, name, content, importance)


_RULES: Final = (
    _rule(rf"(?:my name is|call me) {_THING}", "name", "Their name is {thing}", 9, "name"),
    _rule(rf"I (?:now )?live in {_THING}", "place", "They live in {thing}", 7, "place"),
    _rule(
        rf"my favou?rite (?P<kind>\w{{1,40}}) is {_THING}",
        "favourite",
        "Their favourite {kind} is {thing}",
        7,
        "favourite:{kind}",
    ),
    _rule(
        rf"I (?:do not|don['\u2019]t|no longer) (?:really )?(?:like|love) {_THING}",
        "preference",
        "They do not like {thing}",
        6,
        "like:{thing}",
    ),
    _rule(
        rf"I (?:hate|dislike) {_THING}",
        "preference",
        "They do not like {thing}",
        6,
        "like:{thing}",
    ),
    _rule(
        rf"I (?:really |also |still |now )?(?:like|love) {_THING}",
        "preference",
        "They like {thing}",
        6,
        "like:{thing}",
    ),
    _rule(
        rf"I(?:['\u2019]m| am) working on {_THING}",
        "project",
        "They are working on {thing}",
        7,
        "project",
    ),
    _rule(r"remember that (?P<thing>[^\n]{1,200}?)", "fact", "They said: {thing}", 8),
)


_SENTENCE: Final = re.compile(r"[^.!?\n]+[.!?\n]*")


def find_facts(text: str) -> list[Fact]:
    """Find what a message says of its author; at most one fact of each subject, the last."""
    facts: dict[str, Fact] = {}
    sentences = [part.strip() for part in _SENTENCE.findall(text)]
    said = [each for each in sentences if not each.endswith("?")]
    for sentence, rule in product(said, _RULES):
        for match in rule.pattern.finditer(sentence):
            thing = " ".join(match["thing"].split())
            kind = match.groupdict().get("kind") or ""
            if not thing:
                continue
            subject = rule.subject(kind.casefold(), thing.casefold())[:200]
            content = rule.content.format(kind=kind.casefold(), thing=thing)
            facts.pop(subject, None)
            facts[subject] = Fact(subject, rule.memory_type, content, rule.importance)
    return list(facts.values())[:FACTS_MAX]
