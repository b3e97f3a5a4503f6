"""Whether an object is a ruleset that the server can work with, said before any game needs it.

These checks read attributes and run none of the rules; `tests/contract` checks the rules.
"""

import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from inspect import isfunction
from pathlib import Path
from typing import Final

from protocol.limits import EPHEMERAL_BYTES_MAX, NAME_CHARS_MAX, SEATS_MAX
from server.gamekit.contract import COMBINATIONS, Achievement, Ruleset, RulesetConfig, Statistic
from server.gamekit.realtime import TICK_HZ_MAX, RealtimeRuleset

NAME: Final = re.compile(r"[a-z0-9_]{1,64}")
STATISTICS_MAX: Final = 32
ACHIEVEMENTS_MAX: Final = 100
VERSION_MAX: Final = 2**31 - 1  # what the database's column holds
METHODS: Final = tuple(name for name, member in vars(Ruleset).items() if isfunction(member))
LIKENESS: Final = 0.5  # from which on a known name is suggested for an unknown one


class RulesetRefused(Exception):
    """A ruleset cannot be used; the message is a sentence that names the file and the remedy."""


def describe_failure(error: BaseException, ours: Path) -> str:
    """Describe an error in one line, with the last place in our file or folder that led to it."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"SyntaxError in {error.filename}, line {error.lineno}: {error.msg}"
    said = f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(".: ")
    places = [each for each in traceback.extract_tb(error.__traceback__)
              if each.filename.startswith(str(ours))]  # fmt: skip
    return f"{said} ({places[-1].filename}, line {places[-1].lineno})" if places else said


def ruleset_problem(found: object, *, folder: str) -> str | None:
    """Say what is wrong with a module's `RULESET`; `folder` is the name of its folder."""
    if isinstance(found, type):
        return f"RULESET is the class {found.__name__} itself; write RULESET = {found.__name__}()"
    if not isinstance(found, Ruleset):
        return f"RULESET is of type {type(found).__name__}; make it an instance of a Ruleset"
    return next(_problems(found, folder), None)


def _problems(found: Ruleset[object, object], folder: str) -> Iterator[str]:
    for attribute, (is_right, remedy) in _ATTRIBUTES.items():
        try:
            value = getattr(found, attribute)
        except AttributeError:
            yield f"{attribute} is missing; {remedy}"
            return
        except (Exception, SystemExit) as error:  # a property of its own
            yield f"{attribute} raises {type(error).__name__}; {remedy}"
            return
        if not is_right(value):
            yield f"{attribute} is {value!r}; {remedy}"
            return
    yield from _unknown_names(found)
    for method in METHODS:
        if not callable(getattr(found, method)):
            yield f"{method} is not a method; see the contract"
    rules = type(found)
    if rules.to_act is not Ruleset.to_act and rules.timeout_move is Ruleset.timeout_move:
        yield "timeout_move is missing; a game with turns (to_act) needs it"
    if rules.next_timer is not Ruleset.next_timer:
        if rules.decide_timer is Ruleset.decide_timer:
            yield "decide_timer is missing; a game with timers (next_timer) needs it"
        if not found.reads_time:
            yield "reads_time is False; a game with timers (next_timer) needs it to be True"
    if isinstance(found, RealtimeRuleset):
        yield from _realtime_problems(found)
    if found.name != folder:
        yield f"its name is {found.name!r}, but its folder is called {folder!r}; make them the same"


def _unknown_names(found: Ruleset[object, object]) -> Iterator[str]:
    """Find public names that no ruleset has: the server would pass them over without a word.

    What an author adds begins with an underscore. Classes and constants are not taken for
    attributes, as those of the contract are in lower case.
    """
    realtime = _public_names(RealtimeRuleset)
    known = realtime if isinstance(found, RealtimeRuleset) else _public_names(Ruleset)
    own = [
        name
        for each in type(found).__mro__
        if each not in Ruleset.__mro__ and each is not RealtimeRuleset
        for name in vars(each)
    ]
    for name in dict.fromkeys([*own, *vars(found)]):
        if name.startswith("_") or not name.islower() or name in known:
            continue
        if name in realtime:
            yield f"{name} is for real-time games only; derive from RealtimeRuleset, or remove it"
            continue
        nearest = get_close_matches(name, known, n=1, cutoff=LIKENESS)
        meant = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}."
        yield f"{name} is no attribute of a ruleset; {meant} A name of your own begins with _"


def _public_names(rules: type) -> list[str]:
    """List what a ruleset may have: what the contract declares, with a value or without."""
    names = {name for each in rules.__mro__ for name in vars(each).get("__annotations__", {})}
    return sorted(name for name in {*dir(rules), *names} if not name.startswith("_"))


def _realtime_problems(found: RealtimeRuleset[object, object]) -> Iterator[str]:
    if not _is_count(found.tick_hz, 1, TICK_HZ_MAX):
        yield f"tick_hz is {found.tick_hz!r}; it must be an integer from 1 to {TICK_HZ_MAX}"
    elif not _is_count(found.patch_hz, 1, found.tick_hz) or found.tick_hz % found.patch_hz:
        yield f"patch_hz is {found.patch_hz!r}; it must divide tick_hz, which is {found.tick_hz}"
    rules = type(found)
    if rules.to_act is not Ruleset.to_act or rules.next_timer is not Ruleset.next_timer:
        yield "it has turns or timers; a real-time game counts ticks instead"
    if found.reads_time:
        yield "reads_time is True; a real-time game counts ticks instead"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= NAME_CHARS_MAX


def _is_count(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _are_seats(value: object) -> bool:
    if not isinstance(value, range) or not value or value.step < 1:
        return False
    return value[0] >= 1 and value[-1] <= SEATS_MAX


def _is_config(value: object) -> bool:
    """Say whether a configuration has a default for every field."""
    if not (isinstance(value, type) and issubclass(value, RulesetConfig)):
        return False
    return not any(field.is_required() for field in value.model_fields.values())


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _are_statistics(value: object) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return False
    declared = [Statistic(each) if isinstance(each, str) else each for each in value]
    if not all(isinstance(each, Statistic) and _is_statistic(each) for each in declared):
        return False
    names = [each.name for each in declared]
    return len(set(names)) == len(names) <= STATISTICS_MAX


def _is_statistic(value: Statistic) -> bool:
    name: object = value.name
    is_named = isinstance(name, str) and NAME.fullmatch(name) is not None
    return is_named and value.combine in COMBINATIONS and _is_flag(value.board)


def _are_earlier(value: object) -> bool:
    return isinstance(value, Sequence) and all(isinstance(rules, Ruleset) for rules in value)


def _are_achievements(value: object) -> bool:
    if not isinstance(value, Sequence) or not all(isinstance(one, Achievement) for one in value):
        return False
    keys = [one.key for one in value]
    return (
        len(keys) == len(set(keys)) <= ACHIEVEMENTS_MAX
        and all(NAME.fullmatch(key) for key in keys)
        and all(_is_text(one.title) and _is_text(one.description) for one in value)
        and all(_is_count(one.steps, 1, VERSION_MAX) for one in value)
        and all(_is_count(one.points, 0, VERSION_MAX) for one in value)
    )


def _are_bots(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        _is_text(name) and callable(bot) for name, bot in value.items()
    )


_ATTRIBUTES: Final[dict[str, tuple[Callable[[object], bool], str]]] = {
    "name": (
        lambda value: isinstance(value, str) and NAME.fullmatch(value) is not None,
        "it must be 1 to 64 of a-z, 0-9 and _",
    ),
    "title": (_is_text, f"it must be 1 to {NAME_CHARS_MAX} characters in one line"),
    "version": (
        lambda value: _is_count(value, 1, VERSION_MAX),
        "it must be an integer of at least 1",
    ),
    "seats": (_are_seats, f"it must be a range such as range(2, 5), within 1 to {SEATS_MAX}"),
    "config": (_is_config, "it must be a subclass of RulesetConfig, with a default for each field"),
    "bots": (_are_bots, "it must be a dict of names and functions"),
    "resume_events_max": (
        lambda value: _is_count(value, 0, VERSION_MAX),
        "it must be an integer of at least 0",
    ),
    "leavers_rank_last": (_is_flag, "it must be True or False"),
    "scores_declared": (_is_flag, "it must be True or False"),
    "statistics": (
        _are_statistics,
        f"it must be a tuple of up to {STATISTICS_MAX} names, each 1 to 64 of a-z, 0-9 and _, or "
        "Statistic(name, combine, board)",
    ),
    "rated": (_is_flag, "it must be True or False"),
    "verbatim_moves": (_is_flag, "it must be True or False"),
    "reads_time": (_is_flag, "it must be True or False"),
    "ephemeral_bytes_max": (
        lambda value: _is_count(value, 0, EPHEMERAL_BYTES_MAX),
        f"it must be an integer from 0 to {EPHEMERAL_BYTES_MAX}",
    ),
    "achievements": (
        _are_achievements,
        "it must be a tuple of Achievement, with keys of a-z, 0-9 and _, and steps from 1",
    ),
    "earlier": (_are_earlier, "it must be a tuple of rulesets, such as (Nim1(),)"),
}
