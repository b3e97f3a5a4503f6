"""Title packages: domains of one's own, outside the repository, one folder each, found by scan.

For: a folder `<name>/` with `domain.py`, which has `build(services) -> Domain`; where it needs
them, `wire.py` with `COMMANDS` and `UPDATES`, and `migrations/` (see `migrations.packages`).

Promises: adding a folder needs no edit elsewhere; one that cannot be used is said in a sentence.

Must not know: what a domain does.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import NamedTuple

from migrations.packages import PackageSteps, steps_in
from persistence.errors import StartRefused
from protocol import catalog
from server.domains.contract import Build

SETTING = "PLAYHALL_TITLES_PATH"


class TitlePackage(NamedTuple):
    """A package that can be used: how its domain is built, and its steps for the database."""

    name: str
    build: Build
    steps: PackageSteps


@cache
def find_titles(*directories: Path) -> tuple[TitlePackage, ...]:
    """Import every folder in these; raise `StartRefused` for the first that cannot be used.

    What is sent over the websocket is known to the whole process from then on.
    """
    found: dict[str, TitlePackage] = {}
    for directory in dict.fromkeys(path.resolve() for path in directories):
        if not directory.is_dir():
            raise StartRefused(f"{SETTING}: there is no folder {directory}.")
        for name in [each.name for each in iter_modules([str(directory)]) if each.ispkg]:
            if name in found:
                raise StartRefused(f"{SETTING}: there are two packages called {name!r}.")
            found[name] = _title_in(directory, name)
    return tuple(found[name] for name in sorted(found))


def _title_in(directory: Path, name: str) -> TitlePackage:
    if str(directory) not in __path__:
        __path__.append(str(directory))
    if (directory / name / "wire.py").exists():
        wire = _imported(directory, name, "wire")
        try:
            catalog.add(getattr(wire, "COMMANDS", ()), getattr(wire, "UPDATES", ()))
        except ValueError as error:
            raise StartRefused(f"The package {name!r} cannot be used: {error}.") from error
    domain = _imported(directory, name, "domain")
    if not hasattr(domain, "build"):
        raise StartRefused(f"{directory / name / 'domain.py'} has no build(services) -> Domain.")
    return TitlePackage(name, domain.build, steps_in(name, directory / name / "migrations"))


def _imported(directory: Path, name: str, module: str) -> ModuleType:
    try:
        return import_module(f"{__name__}.{name}.{module}")
    except KeyboardInterrupt:  # somebody at the terminal
        raise
    except BaseException as error:  # SystemExit is no Exception
        said = f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(".: ")
        raise StartRefused(f"{directory / name / module}.py cannot be loaded: {said}.") from error
