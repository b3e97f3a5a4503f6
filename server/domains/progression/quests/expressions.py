"""Conditions: a small part of CEL, the Common Expression Language, in bounded time.

    flags.met_king && counters.gold >= 10 && !("wolf" in lore)
    quests.lantern == "claimed" || now > timestamp("2027-01-01T00:00:00Z")

CEL has no loops that do not end, but its macros (`exists`, `map`, …) multiply, its `matches` takes
regular expressions, and its values can grow. So what is handed to the library was read here first,
and only what costs no more than its own length gets through: each part is evaluated at most once,
and on numbers, truths and short texts alone.

What a condition asks for and a save does not have counts as not there: a flag is false, a counter,
an item or a currency 0, a quest locked, an event closed. So `!flags.betrayed` needs no `has()`.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from cel import Program

Value: TypeAlias = bool | int | float | str

CHARS_MAX: Final = 1000
TOKENS_MAX: Final = 250
DEPTH_MAX: Final = 12
TEXT_CHARS_MAX: Final = 256  # of a literal, and of a value
COMPILED_MAX: Final = 4096  # conditions in memory

# What a condition may ask about, and what counts where a save does not have it.
DEFAULTS: Final[Mapping[str, Value]] = {
    "flags": False,
    "counters": 0,
    "choices": "",
    "lore": False,
    "cosmetics": False,
    "items": 0,
    "currencies": 0,
    "quests": "locked",
    "events": False,
    "seasons": False,
}
SCALARS: Final[Mapping[str, Any]] = {"now": datetime(2026, 1, 1, tzinfo=UTC), "play_time_s": 0}
# Those whose values any client may have chosen, so that a trial cannot know their kind.
_LOOSE: Final = ("flags", "choices")
_FUNCTIONS: Final = frozenset({"size", "timestamp", "duration", "int", "double", "string"})
_METHODS: Final = frozenset({"startsWith", "endsWith", "contains"})
_WORDS: Final = frozenset({"true", "false", "in"})
_TOKEN: Final = re.compile(
    r"""\s+
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>&&|\|\||[<>=!]=|[-+*/%<>!?:.,()\[\]])""",
    re.VERBOSE,
)


class BadCondition(Exception):
    """A condition cannot be used; the message says why."""


class ConditionToken(NamedTuple):
    """A part of a condition: `kind` is text, number, name or sign."""

    kind: str
    text: str
    at: int


class ConditionFacts(NamedTuple):
    """What conditions are evaluated against: `values` by the names of `DEFAULTS`."""

    values: Mapping[str, Mapping[str, Value]]
    now: datetime
    play_time_s: int = 0


class ConditionVerdict(NamedTuple):
    """Whether a condition holds; `unmet` are those of its parts, joined by `&&`, that do not."""

    holds: bool
    unmet: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Conjunct:
    """A part of a condition that is joined to the others by `&&`."""

    source: str
    program: "Program"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that was read and compiled; `asks` is what it asks about."""

    source: str
    parts: tuple[Conjunct, ...]
    asks: Mapping[str, frozenset[str]]

    def evaluate(self, facts: ConditionFacts) -> ConditionVerdict:
        """Evaluate it; what cannot be computed, such as a division by zero, does not hold."""
        context = self._context(facts.values, DEFAULTS)
        context |= {"now": facts.now, "play_time_s": facts.play_time_s}
        unmet = [part.source for part in self.parts if _result(part, context) is not True]
        return ConditionVerdict(not unmet, unmet)

    def _context(
        self, values: Mapping[str, Mapping[str, Value]], defaults: Mapping[str, Value]
    ) -> dict[str, Any]:
        """Give what it asks for and nothing else, so that a large save costs no more."""
        context: dict[str, Any] = {}
        for of, names in self.asks.items():
            known = values.get(of, {})
            if of in ("lore", "cosmetics"):  # `in` asks whether a key is there
                context[of] = {name: True for name in names if known.get(name)}
            else:
                context[of] = {name: _bounded(known.get(name, defaults[of])) for name in names}
        return context

    def check_on_empty_save(self) -> None:
        """Try it on an empty save; raise `BadCondition` where it could never hold or fail."""
        for part in self.parts:
            problems = []
            for guess in (False, 0, ""):
                defaults = {**DEFAULTS, **dict.fromkeys(_LOOSE, guess)}
                result = _result(part, {**self._context({}, defaults), **SCALARS})
                if isinstance(result, bool | ArithmeticError):
                    break
                problems.append(result)
            else:
                raise BadCondition(_problem_of(part, problems[0]))


def compile_condition(source: str) -> Condition:
    """Read and compile a condition; raise `BadCondition`. An empty one always holds."""
    return _compiled(source.strip())


@lru_cache(maxsize=COMPILED_MAX)
def _compiled(source: str) -> Condition:
    if not source:
        return Condition(source, (), {})
    tokens = _tokens(source)
    asks = _asks(tokens)
    parts = [Conjunct(part, _program(part)) for part in _joined(source, tokens)]
    condition = Condition(source, tuple(parts), asks)
    condition.check_on_empty_save()
    return condition


# ------------------------------------------------------------------ reading


def _tokens(source: str) -> list[ConditionToken]:
    if len(source) > CHARS_MAX:
        raise BadCondition(f"it is longer than {CHARS_MAX} characters")
    tokens, at, depth = [], 0, 0
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:
            raise BadCondition(f"character {at + 1}, {source[at]!r}, cannot be used there")
        at = found.end()
        if (kind := found.lastgroup) is None:
            continue
        token = ConditionToken(kind, found[0], found.start())
        if token.text in ("(", "["):
            depth += 1
        elif token.text in (")", "]"):
            depth -= 1
        if depth > DEPTH_MAX:
            raise BadCondition(f"it is nested deeper than {DEPTH_MAX} levels")
        if kind == "text" and len(token.text) > TEXT_CHARS_MAX:
            raise BadCondition(f"a text is longer than {TEXT_CHARS_MAX} characters")
        tokens.append(token)
    if len(tokens) > TOKENS_MAX:
        raise BadCondition(f"it has more than {TOKENS_MAX} parts")
    return tokens


def _asks(tokens: Sequence[ConditionToken]) -> dict[str, frozenset[str]]:
    """Collect what is asked about; raise `BadCondition` for what may not be used."""
    asks: dict[str, set[str]] = {}
    for place, token in enumerate(tokens):
        if token.text == "/" and tokens[place + 1 : place + 2] and tokens[place + 1].text == "/":
            raise BadCondition("comments cannot be used")
        if token.kind != "name":
            continue
        before = tokens[place - 1].text if place else ""
        after = [each.text for each in tokens[place + 1 : place + 4]] + ["", "", ""]
        if before == ".":
            if after[0] == "(" and token.text not in _METHODS:
                raise BadCondition(
                    f"{token.text}() cannot be used; there are {', '.join(sorted(_METHODS))}, and "
                    "no loops"
                )
        elif token.text in DEFAULTS:
            asks.setdefault(token.text, set()).add(_asked(tokens, place))
        elif token.text in _FUNCTIONS and after[0] == "(":
            continue
        elif token.text not in _WORDS and token.text not in SCALARS:
            raise BadCondition(
                f"{token.text!r} is not known; there are {', '.join((*DEFAULTS, *SCALARS))}"
            )
    return {of: frozenset(names) for of, names in asks.items()}


def _asked(tokens: Sequence[ConditionToken], place: int) -> str:
    """Say which name of a collection is meant: `flags.a`, `flags["a"]` or `"a" in flags`."""
    of = tokens[place].text
    before, after = tokens[max(place - 2, 0) : place], tokens[place + 1 : place + 4]
    is_member = of in ("lore", "cosmetics")
    if is_member:
        if len(before) == 2 and before[0].kind == "text" and before[1].text == "in":
            return _content(before[0])
        raise BadCondition(f'ask about {of} in this way: "name" in {of}')
    if len(after) >= 2 and after[0].text == "." and after[1].kind == "name":
        return after[1].text
    if len(after) == 3 and (after[0].text, after[2].text) == ("[", "]") and after[1].kind == "text":
        return _content(after[1])
    raise BadCondition(f'ask about {of} in this way: {of}.name or {of}["name"]')


def _content(token: ConditionToken) -> str:
    if "\\" in token.text:
        raise BadCondition("a name cannot have a backslash")
    return token.text[1:-1]


def _joined(source: str, tokens: Sequence[ConditionToken]) -> list[str]:
    """Split a condition at the `&&` that join all of it."""
    depth, ends = 0, []
    for token in tokens:
        if token.text in ("(", "["):
            depth += 1
        elif token.text in (")", "]"):
            depth -= 1
        elif depth == 0 and token.text in ("||", "?"):
            return [source]
        elif depth == 0 and token.text == "&&":
            ends.append(token.at)
    starts = [0, *(end + 2 for end in ends)]
    parts = zip(starts, [*ends, len(source)], strict=True)
    return [source[start:end].strip() for start, end in parts]


# ------------------------------------------------------------------ the library


async def load_library() -> None:
    """Import the library beside the loop: half a second, which servers without quests save."""
    await asyncio.to_thread(import_module, "cel")


def _program(source: str) -> "Program":
    from cel import compile as compile_cel  # see `load_library`

    try:
        return compile_cel(source)
    except ValueError as error:
        raise BadCondition(f"it is not CEL: {_first_words(error)}") from None


def _result(part: Conjunct, context: Mapping[str, Any]) -> object:
    try:
        return part.program.execute(dict(context))
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        return error


def _problem_of(part: Conjunct, problem: object) -> str:
    if isinstance(problem, Exception):
        return f"{part.source}: {_first_words(problem)}"
    return f"{part.source}: it must be true or false, and is {problem!r}"


def _first_words(error: Exception) -> str:
    """Give the part of the library's message that says what is wrong."""
    text = str(error)
    found = re.search(r"<input>:\d+:(\d+): (?:Syntax error: )?(.+)", text)
    said = f"character {found[1]}: {found[2]}" if found else text.partition(". ")[0]
    return said[:200].rstrip(".")


def _bounded(value: object) -> Value:
    """Keep values short; whatever is no plain value counts as being there."""
    if isinstance(value, str):
        return value[:TEXT_CHARS_MAX]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return value if isinstance(value, bool | int | float) else value is not None
