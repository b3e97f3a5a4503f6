"""The JavaScript client and the pages ask for what there is, and the types say what that is."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from protocol.catalog import COMMANDS, UPDATES
from tools.client_types import FILE, write_types

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "js"
STATIC = ROOT / "server" / "web" / "static"
SCRIPTS = sorted(
    [
        CLIENT / "playhall.js",
        CLIENT / "conformance.js",
        *STATIC.glob("*.js"),
        *(ROOT / "server" / "rulesets").glob("*/web/*.js"),
    ]
)
OPENAPI = json.loads((ROOT / "docs" / "openapi.json").read_text())
ASYNCAPI = json.loads((ROOT / "docs" / "asyncapi.json").read_text())
STRINGS = (STATIC / "strings.js").read_text()
KEYS = set(re.findall(r'^  "([\w.]+)":', STRINGS, re.MULTILINE))
TYPESCRIPT = "typescript@7"


def test_types_are_those_of_the_documents() -> None:
    assert FILE.read_text() == write_types(OPENAPI, ASYNCAPI), "run python -m tools.client_types"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_endpoints_and_commands_exist(script: Path) -> None:
    source = script.read_text()
    for method, path in re.findall(r'"(GET|POST|PUT|PATCH|DELETE) (/[^"]*)"', source):
        assert method.lower() in OPENAPI["paths"].get(path, {}), f"{method} {path}"
    for name in re.findall(r'(?:call|send)\("([a-z]+\.\w+)"', source):
        assert name in COMMANDS, name
    for name in re.findall(r'client\.on\("([a-z]+\.\w+)"', source):
        assert name in UPDATES, name


def test_repeatable_commands_exist() -> None:
    source = (CLIENT / "playhall.js").read_text()
    (listed,) = re.findall(r"REPEATABLE = new Set\(\[(.*?)\]\)", source, re.DOTALL)
    names = re.findall(r'"([\w.]+)"', listed)
    assert names
    assert set(names) <= set(COMMANDS)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_texts_exist_and_markup_is_never_made_of_text(script: Path) -> None:
    source = script.read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", source)
    if script.name != "strings.js":
        used = set(re.findall(r'\bt\((?:[^()"`]*\? )?"([a-z_0-9]+\.[\w.]+)"', source))
        used |= set(re.findall(r'[?:] "((?:play|lobbies|peers)\.[\w.]+)"', source))
        assert used <= KEYS, used - KEYS


@pytest.mark.long("fetches TypeScript")
def test_declarations_are_those_of_the_client(tmp_path: Path) -> None:
    if (npm := shutil.which("npm")) is None:
        pytest.skip("npm is not installed")
    command = [npm, "install", "--no-audit", "--no-fund", TYPESCRIPT]
    if subprocess.run(
        command, cwd=tmp_path, capture_output=True, timeout=120, check=False
    ).returncode:
        pytest.skip("npm cannot install TypeScript")
    tsc = tmp_path / "node_modules" / ".bin" / "tsc"
    done = subprocess.run(
        [tsc, "-p", CLIENT, "--outDir", tmp_path / "out"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    written = (tmp_path / "out" / "playhall.d.ts").read_text()
    assert (CLIENT / "playhall.d.ts").read_text() == written, "run tsc -p clients/js"
