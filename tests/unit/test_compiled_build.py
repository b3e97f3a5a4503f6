"""When the compiled build is loaded, and what it is made of."""

import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from compiled.loader import IS_IN_USE, MANIFEST, ROOT, digest_of, extension_of, python_name
from compiled.modules import MODULES
from tools.compile_path import find_sources

# A compiled module that needs few others.
SMALL = "protocol.kept_bytes"
SAY = f"""
from compiled import loader
import {SMALL}
print(loader.IS_IN_USE, loader.PROBLEM, {SMALL}.__file__.rpartition(".")[2], sep="|")
"""


class Said(NamedTuple):
    is_in_use: bool
    problem: str
    suffix: str


class Checkout:
    """A copy of what decides, with a build whose extensions Python cannot load.

    So an import that fails shows that it was the extension that would have been loaded.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package in ("compiled", "protocol"):
            shutil.copytree(
                ROOT / package,
                folder / package,
                ignore=shutil.ignore_patterns("lib", "work", "__pycache__"),
            )

    def build(self, **changed: object) -> None:
        library = self.folder / "compiled" / "lib"
        extension = extension_of(library, SMALL)
        extension.parent.mkdir(parents=True)
        extension.write_bytes(b"no machine code")
        sources = ("protocol/limits.py", "protocol/kept_bytes.py")
        manifest = {
            "python": python_name(),
            "modules": MODULES,
            "sources": {name: digest_of(self.folder / name) for name in sources},
        }
        (library / MANIFEST).write_text(json.dumps({**manifest, **changed}))

    def run(self, switch: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", SAY],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder), "PLAYHALL_COMPILED": switch},
            capture_output=True,
            text=True,
            check=False,
        )

    def said(self, switch: str = "") -> Said:
        done = self.run(switch)
        assert done.returncode == 0, done.stderr
        is_in_use, problem, suffix = done.stdout.strip().split("|")
        return Said(is_in_use == "True", problem, suffix)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_without_a_build_the_source_runs(checkout: Checkout) -> None:
    assert checkout.said() == (False, "None", "py")


def test_a_build_of_the_present_sources_is_loaded(checkout: Checkout) -> None:
    checkout.build()
    done = checkout.run()
    assert done.returncode != 0
    assert str(extension_of(checkout.folder / "compiled" / "lib", SMALL)) in done.stderr


def test_a_build_that_is_switched_off_is_not_loaded(checkout: Checkout) -> None:
    checkout.build()
    assert checkout.said("off") == (False, "None", "py")


@pytest.mark.parametrize("name", ["protocol/kept_bytes.py", "protocol/limits.py"])
def test_nothing_compiled_is_loaded_once_any_source_has_changed(
    checkout: Checkout, name: str
) -> None:
    checkout.build()
    with (checkout.folder / name).open("a") as source:
        source.write("# changed\n")
    said = checkout.said()
    assert (said.is_in_use, said.suffix) == (False, "py")
    assert said.problem.startswith(f"{name} has changed since then; run `make fast` again, or ")


def test_a_source_that_is_gone_has_changed(checkout: Checkout) -> None:
    checkout.build()
    (checkout.folder / "protocol" / "limits.py").unlink()
    assert "protocol/limits.py has changed" in checkout.said().problem


@pytest.mark.parametrize(
    "changed", [{"python": "cpython-310-other.so"}, {"modules": ["protocol.codec"]}]
)
def test_a_build_for_another_python_or_of_other_modules_is_not_loaded(
    checkout: Checkout, changed: dict[str, object]
) -> None:
    checkout.build(**changed)
    said = checkout.said()
    assert (said.is_in_use, said.suffix) == (False, "py")
    assert "It was made for" in said.problem


def test_whoever_requires_a_build_is_refused_without_one(checkout: Checkout) -> None:
    done = checkout.run("required")
    assert done.returncode != 0
    assert done.stderr.strip().endswith("that could be loaded. Run `make fast`.")
    checkout.build(modules=[])
    done = checkout.run("required")
    assert done.returncode != 0
    assert "run `make fast` again" in done.stderr


def test_digests_cover_all_that_the_compiler_reads() -> None:
    """Constants of interpreted modules become part of the code, so these count as well."""
    sources = {str(file.relative_to(ROOT)) for file in find_sources(MODULES)}
    compiled = {module.replace(".", "/") + ".py" for module in MODULES}
    assert compiled < sources
    assert {
        "protocol/limits.py",
        "protocol/__init__.py",
        "server/gamekit/contract.py",
        "server/gateway/transport/websocket.py",
        "compiled/loader.py",
    } <= sources
    assert not [name for name in sources if name.startswith("server/rulesets/")]


def test_without_a_c_compiler_nothing_is_compiled_and_it_is_said_why() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.compile_path"],
        cwd=ROOT,
        env={**os.environ, "CC": "/nowhere/cc"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Nothing was compiled: there is no C compiler (/nowhere/cc). ")


@pytest.mark.skipif(not IS_IN_USE, reason="there is no compiled build")
def test_everything_that_was_compiled_is_loaded_as_that() -> None:
    files = [str(import_module(module).__file__) for module in MODULES]
    assert [file for file in files if not file.endswith(python_name())] == []
