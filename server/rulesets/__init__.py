"""The games, one folder each, found by scan.

For: rules. A folder `rulesets/<name>/` whose `__init__.py` has `RULESET` is a game.

Promises: a ruleset is pure and deterministic; adding a folder needs no edit elsewhere.

Must not know: each other, sockets, storage, the clock.
"""

import os
import sys
from collections.abc import Iterable
from functools import cache
from importlib import import_module, invalidate_caches
from inspect import getsourcefile, getsourcelines
from pathlib import Path
from pkgutil import iter_modules

from server.gamekit.checking import NAME, RulesetRefused, describe_failure, ruleset_problem
from server.gamekit.fold import AnyRuleset

_HERE = Path(__file__).parent
NAMED = "1 to 64 of a-z, 0-9 and _"


def parse_folder_list(listed: str) -> list[Path]:
    """Read a list of folders, separated as in `PATH`."""
    return [Path(folder) for folder in listed.split(os.pathsep) if folder]


@cache
def find_rulesets(*extra: Path) -> dict[str, AnyRuleset]:
    """Import every folder here and in the extra directories; return its ruleset by name.

    Raises `RulesetRefused` for the first that cannot be used.
    """
    found: dict[str, tuple[Path, AnyRuleset]] = {}
    for directory in dict.fromkeys([_HERE, *(path.resolve() for path in extra)]):
        for name in _names_in(directory):
            if name in found:
                raise RulesetRefused(
                    f"There are two rulesets called {name!r}: {found[name][0] / name} and "
                    f"{directory / name}; rename one of them, its folder and its `name`."
                )
            found[name] = directory, _ruleset_in(directory, name)
    return {name: found[name][1] for name in sorted(found)}


def load_ruleset(folder: Path) -> AnyRuleset:
    """Import the ruleset in one folder, whatever else is beside it; raise `RulesetRefused`."""
    folder = folder.resolve()
    if not (folder / "__init__.py").is_file():
        raise RulesetRefused(f"There is no ruleset in {folder}: it has no __init__.py.")
    if not NAME.fullmatch(folder.name):
        raise RulesetRefused(f"The folder {folder} cannot be a game: its name must be {NAMED}.")
    ruleset = _ruleset_in(folder.parent, folder.name)
    module = sys.modules[f"{__name__}.{folder.name}"]
    if Path(module.__file__ or "").resolve().parent != folder:
        raise RulesetRefused(
            f"There is another ruleset called {folder.name!r}, in {module.__file__}; rename the "
            f"folder {folder}, and the game's `name`."
        )
    return ruleset


def list_folders(extra: Iterable[Path]) -> list[Path]:
    """List the folders of rulesets, ours and those in the extra directories, as they are now."""
    return [
        directory / name
        for directory in dict.fromkeys([_HERE, *(path.resolve() for path in extra)])
        if directory.is_dir()
        for name in sorted(module.name for module in iter_modules([str(directory)]))
        if (directory / name).is_dir()
    ]


def find_views(rulesets: Iterable[str]) -> dict[str, Path]:
    """Find the view that each of these rulesets brings for the page on which people play it.

    It is `web/<name>.js` in the ruleset's folder; most have none.
    """
    modules = {name: sys.modules.get(f"{__name__}.{name}") for name in rulesets}
    files = {
        name: Path(module.__file__).parent / "web" / f"{name}.js"
        for name, module in modules.items()
        if module is not None and module.__file__ is not None
    }
    return {name: file for name, file in files.items() if file.is_file()}


def reload_ruleset(folder: Path) -> AnyRuleset:
    """Import a ruleset's code once more; raise `RulesetRefused`, and leave the old code in place.

    Who has the old ruleset keeps it, with the modules that it came from.
    """
    name = f"{__name__}.{folder.name}"
    old = {key: sys.modules[key] for key in [*sys.modules] if f"{key}.".startswith(f"{name}.")}
    for key in old:
        del sys.modules[key]
    invalidate_caches()
    try:
        return load_ruleset(folder)
    except RulesetRefused:
        for key in [key for key in sys.modules if f"{key}.".startswith(f"{name}.")]:
            del sys.modules[key]
        sys.modules.update(old)
        raise


def _names_in(directory: Path) -> list[str]:
    if not directory.is_dir():
        raise RulesetRefused(f"PLAYHALL_RULESETS_PATH: there is no folder {directory}.")
    if directory != _HERE and (directory / "__init__.py").exists():
        raise RulesetRefused(
            f"PLAYHALL_RULESETS_PATH: {directory} is itself a ruleset or a package; name the "
            "folder that your rulesets' folders are in."
        )
    names = [module.name for module in iter_modules([str(directory)])]
    if not names:
        raise RulesetRefused(
            f"PLAYHALL_RULESETS_PATH: there is no ruleset in {directory}; each is a folder with an "
            "__init__.py."
        )
    return names


def _ruleset_in(directory: Path, name: str) -> AnyRuleset:
    if str(directory) not in __path__:
        __path__.append(str(directory))
    file = _file_of(directory, name)
    try:
        module = import_module(f"{__name__}.{name}")
    except KeyboardInterrupt:  # somebody at the terminal
        raise
    except BaseException as error:  # SystemExit and CancelledError are no Exception
        why = describe_failure(error, file.parent if file.name == "__init__.py" else file)
        raise RulesetRefused(f"The ruleset in {file} cannot be loaded: {why}.") from error
    if not hasattr(module, "RULESET"):
        raise RulesetRefused(f"{file} has no RULESET; add RULESET = YourRuleset() to it.")
    ruleset: AnyRuleset = module.RULESET
    if problem := ruleset_problem(ruleset, folder=name):
        raise RulesetRefused(
            f"The ruleset in {file} cannot be used: {problem}{_where(ruleset, file)}."
        )
    return ruleset


def _file_of(directory: Path, name: str) -> Path:
    package = directory / name / "__init__.py"
    return package if package.exists() else directory / f"{name}.py"


def _where(found: object, file: Path) -> str:
    """Name the file and line of a ruleset's class, if it is not a builtin one."""
    kind = found if isinstance(found, type) else type(found)
    try:
        return f" ({getsourcefile(kind) or file}, line {getsourcelines(kind)[1]})"
    except (TypeError, OSError):
        return ""
