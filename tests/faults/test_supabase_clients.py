"""Unmodified clients of Supabase, from npm and from PyPI, against a real node.

They are installed for the occasion, which takes a while; without Node.js or a registry the test is
skipped.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from server.gateway.supabase_keys import make_api_key
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases

pytestmark = pytest.mark.skipif(
    os.environ.get("PLAYHALL_FAULTS") != "long", reason="installs packages; part of make faults"
)

HERE: Final = Path(__file__).parent / "supabase"
SECRET: Final = "a secret of the tests, long enough to sign"
INSTALL_S: Final = 300
RUN_S: Final = 120


@pytest.fixture
def node(databases: Databases, tmp_path: Path) -> Iterator[Node]:
    dsn = databases.create(template=TEMPLATE)
    with Node(tmp_path / "node", databases.serving_dsn(dsn), supabase_api_secret=SECRET) as node:
        yield node
    databases.drop(dsn)


async def run(*command: str | Path, cwd: Path, more: tuple[str, ...] = ()) -> Any:
    key = make_api_key(SECRET, "anon", issued_at=1_700_000_000)
    done = await asyncio.to_thread(
        subprocess.run,
        [*command, key, *more],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def install(*command: str | Path, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, timeout=INSTALL_S, check=False)
    if done.returncode != 0:
        pytest.skip("the package cannot be installed here")


async def test_supabase_js_works_unmodified(node: Node, tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("there is no npm here")
    (tmp_path / "package.json").write_text('{"name": "client", "private": true}')
    install("npm", "install", "--no-audit", "--no-fund", "@supabase/supabase-js", cwd=tmp_path)
    shutil.copy(HERE / "client.mjs", tmp_path)
    found = await run("node", "client.mjs", node.url, cwd=tmp_path)
    assert found == {
        "guest": [None, True],
        "profile": [None, True],
        "conversation": [None, "string"],
        "search": [None, []],
        "list": [None, 1],
        "claims": [None, True],
        "user": [None, True],
        "refreshed": [None, True],
        "uploaded": [None, True],
        "downloaded": [None, 7],
        "public": 200,
        "signed": [None, 200],
        "listed": ["11111111-1111-4111-8111-111111111111"],
        "info": 7,
        "exists": True,
        "uploadUrl": [None, None],
        "removed": 1,
        "buckets": True,
        "wrong": "invalid_credentials",
        "signedOut": None,
    }


async def test_supabase_of_pypi_works_unmodified(node: Node, tmp_path: Path) -> None:
    install(sys.executable, "-m", "venv", "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    install(python, "-m", "pip", "install", "-q", "supabase", cwd=tmp_path)
    found = await run(python, HERE / "client_of_pypi.py", node.url, cwd=tmp_path)
    assert found == {
        "profile": True,
        "conversation": "str",
        "search": [],
        "count": 1,
        "user": True,
        "refreshed": True,
        "uploaded": True,
        "downloaded": True,
        "signed": True,
        "removed": 1,
        "buckets": True,
        "nothing": "PGRST205",
        "wrong": "invalid_credentials",
    }


async def test_channels_of_supabase_js_work_unmodified(node: Node, tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("there is no npm here")
    (tmp_path / "package.json").write_text('{"name": "client", "private": true}')
    packages = ("@supabase/supabase-js", "ws")
    install("npm", "install", "--no-audit", "--no-fund", *packages, cwd=tmp_path)
    shutil.copy(HERE / "realtime.mjs", tmp_path)
    for version in ("2.0.0", "1.0.0"):
        found = await run("node", "realtime.mjs", node.url, cwd=tmp_path, more=(version,))
        sent = [["a", {"n": 1}], ["b", 3], ["c", {"n": 2}]]
        assert found == {
            "ready": ["ok", "ok"],
            "ann": [["INSERT", "one"], ["UPDATE", "two"], ["DELETE", None]],
            "deleted": ["id"],
            "ben": 0,
            "acknowledged": "ok",
            "http": {"success": True},
            "said": [each for each in sent if version == "2.0.0" or each[0] != "b"],
            "tracked": "ok",
            "seen": {"joins": ["ben"], "leaves": ["ben"]},
            "private": ["CHANNEL_ERROR", True],
            "again": ["INSERT", "three"],
            "signedOut": "error",
        }


async def test_channels_of_the_client_of_pypi_work_unmodified(node: Node, tmp_path: Path) -> None:
    install(sys.executable, "-m", "venv", "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    install(python, "-m", "pip", "install", "-q", "supabase", cwd=tmp_path)
    found = await run(python, HERE / "realtime_of_pypi.py", node.url, cwd=tmp_path)
    assert found == {
        "ann": ["INSERT", "UPDATE", "DELETE"],
        "title": "two",
        "ben": 0,
        "said": {"n": 1},
        "mood": "glad",
    }
