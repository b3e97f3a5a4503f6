"""Compile the path of a move with mypyc into `compiled/lib`: what `make fast` runs.

    python -m tools.compile_path [--can]

With `--can`, only say whether this machine can, and fail if not.
Which modules these are is in `compiled/modules.py`, and when they are loaded in
`compiled/loader.py`. Nothing is compiled if nothing has changed.
"""

import ast
import json
import os
import shutil
import sys
import sysconfig
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from compiled.loader import GROUP, LIBRARY, MANIFEST, ROOT, digest_of, find_problem, python_name
from compiled.modules import MODULES

WORK = ROOT / "compiled" / "work"
# Those whose files count as sources.
OURS = ("compiled", "persistence", "protocol", "server")
# Of mypy's settings in pyproject.toml: those that say what is checked are replaced by the modules.
NOT_FOR_THE_COMPILER = ("packages", "overrides")

# How mypyc 2.4 reads a tuple of floats that is `Final`: it raises `NameError` instead. Where the
# source has none, nothing else looks like this.
MISCOMPILED = "!= -113.0 && PyErr_Occurred()"


def find_missing() -> str | None:
    """Say what the machine lacks for compiling."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler})"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.is_file():
        return f"there are no headers of Python ({header})"
    return None


def source_of(module: str) -> Path | None:
    """Find the source of one of our modules."""
    path = ROOT.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file() and module.split(".")[0] in OURS:
            return file
    return None


def imported_by(source: Path) -> Iterator[str]:
    """Name what a source may import, and the packages that it is in."""
    package = ".".join(source.relative_to(ROOT).parent.parts)
    names = [package]
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, source  # there are no relative imports
            assert node.module is not None
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    for name in names:
        parts = name.split(".")
        yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def find_sources(modules: Iterable[str]) -> list[Path]:
    """List everything of ours that some modules import, directly or not, and themselves."""
    found: set[Path] = set()
    waiting = list(modules)
    while waiting:
        source = source_of(waiting.pop())
        if source is not None and source not in found:
            found.add(source)
            waiting += imported_by(source)
    return sorted(found)


def write_settings() -> Path:
    """Write mypy's settings as it takes them beside a list of files."""
    mypy = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    lines = ["[mypy]", *_settings(mypy)]
    for override in mypy["overrides"]:
        named = override["module"]
        lines.append(f"[mypy-{named if isinstance(named, str) else ','.join(named)}]")
        lines += _settings(override)
    file = WORK / "mypy.ini"
    file.write_text("\n".join(lines) + "\n")
    return file


def _settings(table: dict[str, Any]) -> Iterator[str]:
    for name, value in table.items():
        if name not in (*NOT_FOR_THE_COMPILER, "module"):
            yield f"{name} = {', '.join(value) if isinstance(value, list) else value}"


def compile_modules() -> None:
    """Compile them all as one unit."""
    import setuptools  # noqa: F401 - mypyc asks whether it was imported
    from mypyc.build import mypycify
    from setuptools import Distribution

    WORK.mkdir(parents=True, exist_ok=True)
    files = [str(source_of(module)) for module in MODULES]
    extensions = mypycify(
        ["--config-file", str(write_settings()), *files],
        opt_level="2",
        debug_level="0",
        multi_file=True,
        target_dir=str(WORK),
        group_name=GROUP,
    )
    for file in WORK.rglob("*.c"):
        if MISCOMPILED in file.read_text():
            sys.exit(f"{file.name}: a `Final` tuple of floats would not be read; see MISCOMPILED.")
    command = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(LIBRARY), str(WORK)
    command.parallel = os.cpu_count()
    command.ensure_finalized()
    command.run()


def main() -> None:
    """Build, unless what is built is up to date."""
    os.chdir(ROOT)
    if (missing := find_missing()) is not None:
        sys.exit(
            f"Nothing was compiled: {missing}. Install it (on Debian: apt-get install gcc "
            "python3-dev), or do without: everything runs from the source as well."
        )
    if sys.argv[1:] == ["--can"]:
        return
    manifest = LIBRARY / MANIFEST
    if manifest.is_file() and find_problem(ROOT, json.loads(manifest.read_bytes())) is None:
        print("The compiled build is up to date.")  # noqa: T201
        return
    # Digests first, of what is about to be read; the manifest last, so that half a build is none.
    digests = {str(file.relative_to(ROOT)): digest_of(file) for file in find_sources(MODULES)}
    shutil.rmtree(LIBRARY, ignore_errors=True)
    compile_modules()
    written = {"python": python_name(), "modules": MODULES, "sources": digests}
    manifest.write_text(json.dumps(written, indent=1))
    print(f"Compiled {len(MODULES)} modules. `make pure` removes them.")  # noqa: T201


if __name__ == "__main__":
    main()
