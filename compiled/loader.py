"""Decides, at the first import of anything of ours, whether the compiled modules are loaded.

Extensions do not lie beside their sources, where Python would prefer them whatever they were made
of. They are in `compiled/lib`, with a manifest: the Python that they are for, and a digest of every
source that the compiler has read. Only if all of it holds does `install` put a finder before
Python's own. So nobody who edits a source runs what was compiled of the source before.

The sources are more than the compiled modules: constants of other modules become part of the code.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

from compiled.modules import MODULES

ROOT: Final = Path(__file__).parents[1]
LIBRARY: Final = ROOT / "compiled" / "lib"
MANIFEST: Final = "manifest.json"
# All modules share what is compiled; each has a file that only names its part.
GROUP: Final = "playhall"
SHARED: Final = f"{GROUP}__mypyc"

# `off` runs the source whatever was built, `required` refuses to run anything else than the build.
SWITCH: Final = "PLAYHALL_COMPILED"


class CompiledFinder(MetaPathFinder):
    """Finds the compiled modules, and nothing else."""

    def __init__(self, library: Path) -> None:
        self._files = {name: extension_of(library, name) for name in (*MODULES, SHARED)}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module by its name."""
        if (file := self._files.get(fullname)) is None:
            return None
        loader = ExtensionFileLoader(fullname, str(file))
        return spec_from_file_location(fullname, file, loader=loader)


def extension_of(library: Path, module: str) -> Path:
    """Say where a module's extension is."""
    return library / (module.replace(".", "/") + EXTENSION_SUFFIXES[0])


def digest_of(source: Path) -> str:
    """Make a digest of a source; of one that is gone, none."""
    try:
        return blake2b(source.read_bytes(), digest_size=16).hexdigest()
    except FileNotFoundError:
        return ""


def python_name() -> str:
    """Name the Python that extensions made now are for."""
    return EXTENSION_SUFFIXES[0].strip(".")


def find_problem(root: Path, manifest: Mapping[str, object]) -> str | None:
    """Say why a build cannot be used; None if it can."""
    again = "run `make fast` again, or `make pure` to remove the compiled build"
    if manifest.get("python") != python_name() or manifest.get("modules") != list(MODULES):
        return f"It was made for {manifest.get('python')}, or of other modules; {again}."
    sources = manifest.get("sources")
    assert isinstance(sources, dict)
    for name, digest in sources.items():
        if digest_of(root / name) != digest:
            return f"{name} has changed since then; {again}."
    return None


def install(root: Path = ROOT) -> tuple[bool, str | None]:
    """Load the compiled modules from now on, if they may be; else say why not.

    Says nothing where there are none, or where they are switched off.
    """
    switch = os.environ.get(SWITCH, "")
    if switch == "off":
        return False, None
    library = root / "compiled" / "lib"
    problem: str | None
    try:
        manifest = json.loads((library / MANIFEST).read_bytes())
    except FileNotFoundError:
        problem = None
        is_built = False
    else:
        is_built = True
        problem = find_problem(root, manifest)
    if is_built and problem is None:
        sys.meta_path.insert(0, CompiledFinder(library))
        return True, None
    if switch == "required":
        raise ImportError(
            f"{SWITCH}=required, but there is no compiled build that could be loaded. "
            + (problem or "Run `make fast`.")
        )
    return False, problem


# Whether this process runs compiled modules, and why not where there are some.
IS_IN_USE, PROBLEM = install()
