"""The verification in the browser agrees with the server, wherever JavaScript runs."""

import shutil
import subprocess
from pathlib import Path

import pytest

from server.web import pages
from tests.fixtures.verification import CHECKS, FILE, written

NODE = shutil.which("node")
STATIC = Path(pages.__file__).parent / "static"
SCRIPT = """
import { readFileSync } from "node:fs";
const [checks, vectors, folder] = process.argv.slice(1);
const check = (0, eval)(readFileSync(checks, "utf8"));
const verify = await import(`${folder}/verify.js`);
const settle = await import(`${folder}/settle.js`);
const wrong = await check(verify, settle, JSON.parse(readFileSync(vectors, "utf8")));
console.log(wrong.slice(0, 20).join("\\n"));
"""


def test_vectors_are_those_of_the_code() -> None:
    assert FILE.read_bytes() == written(), "run: python -m tests.fixtures.verification"


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_vectors_hold_in_node() -> None:
    assert NODE is not None
    done = subprocess.run(
        [NODE, "--input-type=module", "--eval", SCRIPT, "--", CHECKS, FILE, STATIC],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout + done.stderr
