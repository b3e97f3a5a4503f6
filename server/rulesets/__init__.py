"""The games, one folder each, found by scan.

For: rules. A folder `rulesets/<name>/` whose `__init__.py` has `RULESET` is a game.

Promises: a ruleset is pure and deterministic; adding a folder needs no edit elsewhere.

Must not know: each other, sockets, storage, the clock.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from server.gamekit.fold import AnyRuleset


@cache
def find_rulesets(*extra: Path) -> dict[str, AnyRuleset]:
    """Import every folder here and in the extra directories; return its ruleset by name.

    A folder here goes before one of the same name elsewhere.
    """
    __path__.extend(str(path) for path in extra if str(path) not in __path__)
    found = [import_module(f"{__name__}.{m.name}").RULESET for m in iter_modules(__path__)]
    return {ruleset.name: ruleset for ruleset in sorted(found, key=lambda r: r.name)}
