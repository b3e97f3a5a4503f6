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
from protocol.errors import PlayhallError
from server.domains.contract import Build
from server.gamekit.checking import describe_failure

SETTING = "PLAYHALL_TITLES_PATH"


class TitlePackage(NamedTuple):
    """A package that can be used: how its domain is built, and its steps for the database."""

    name: str
    file: Path
    build: Build
    steps: PackageSteps


@cache
def find_titles(*directories: Path) -> tuple[TitlePackage, ...]:
    """Import every folder in these; raise `StartRefused` for the first that cannot be used.

    What is sent over the websocket is known to the whole process from then on.
    """
    found: dict[str, TitlePackage] = {}
    for directory in dict.fromkeys(path.resolve() for path in directories):
        for name in _names_in(directory):
            if name in found:
                raise StartRefused(f"{SETTING}: there are two packages called {name!r}.")
            found[name] = _title_in(directory, name)
    return tuple(found[name] for name in sorted(found))


def _names_in(directory: Path) -> list[str]:
    if not directory.is_dir():
        raise StartRefused(f"{SETTING}: there is no folder {directory}.")
    if (directory / "domain.py").exists() or (directory / "__init__.py").exists():
        raise StartRefused(
            f"{SETTING}: {directory} is itself a package; name the folder that it is in: "
            f"{directory.parent}."
        )
    for file in sorted(directory.glob("*/domain.py")):
        if not file.with_name("__init__.py").exists():
            raise StartRefused(f"{file.parent} has no __init__.py; add an empty one.")
    names = [each.name for each in iter_modules([str(directory)]) if each.ispkg]
    if not names:
        raise StartRefused(
            f"{SETTING}: there is no title package in {directory}; each is a folder with an "
            "__init__.py and a domain.py."
        )
    for name in names:
        if not name.isidentifier():
            raise StartRefused(
                f"{directory / name} cannot be imported; name the folder with letters, digits "
                "and _ only."
            )
    return names


def _title_in(directory: Path, name: str) -> TitlePackage:
    if str(directory) not in __path__:
        __path__.append(str(directory))
    if (directory / name / "wire.py").exists():
        wire = _imported(directory, name, "wire")
        try:
            catalog.register(getattr(wire, "COMMANDS", ()), getattr(wire, "UPDATES", ()))
        except ValueError as error:
            raise StartRefused(
                f"{directory / name / 'wire.py'} cannot be used: {error}; choose another type."
            ) from error
    file = directory / name / "domain.py"
    domain = _imported(directory, name, "domain")
    if not hasattr(domain, "build"):
        raise StartRefused(f"{file} has no build(services) -> Domain.")
    _check_codes(directory / name, f"{__name__}.{name}.")
    return TitlePackage(name, file, domain.build, steps_in(name, directory / name / "migrations"))


def _check_codes(folder: Path, package: str) -> None:
    """Refuse an error whose code another error has."""
    errors: list[type[PlayhallError]] = [PlayhallError, *catalog.all_errors()]
    ours = [error for error in errors if error.__module__.startswith(package)]
    of_code = {error.code: error for error in errors if error not in ours}
    for error in ours:
        if of_code.setdefault(error.code, error) is not error:
            raise StartRefused(
                f"{folder}: {error.__name__} has the code {error.code!r}, which another error has; "
                "give it another code."
            )


def _imported(directory: Path, name: str, module: str) -> ModuleType:
    try:
        return import_module(f"{__name__}.{name}.{module}")
    except KeyboardInterrupt:  # somebody at the terminal
        raise
    except BaseException as error:  # SystemExit is no Exception
        why = describe_failure(error, directory / name)
        raise StartRefused(f"{directory / name / module}.py cannot be loaded: {why}.") from error
