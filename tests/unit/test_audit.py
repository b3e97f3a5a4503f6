"""`make audit`: nothing counts as audited that was not looked up."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.audit import CLEAN, UNKNOWN, VULNERABLE, verdict

ROOT = Path(__file__).parents[2]
GOOD = {"name": "yarl", "version": "1.25.1", "vulns": []}
SKIPPED = {"name": "rich", "skip_reason": "Dependency not found on PyPI"}
BAD = {
    "name": "aiohttp",
    "version": "3.0.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.0.1"]}, {"id": "PYSEC-2", "fix_versions": []}],
}


@pytest.mark.parametrize(
    ("packages", "status", "said"),
    [
        ([GOOD], CLEAN, "in 1 locked packages"),
        ([GOOD, GOOD], CLEAN, "in 1 locked packages"),  # in both lock files
        ([GOOD, BAD], VULNERABLE, "aiohttp 3.0.0: PYSEC-1, fixed in 3.0.1\naiohttp 3.0.0: PYSEC-2"),
        ([SKIPPED, BAD], VULNERABLE, "PYSEC-1"),
        ([GOOD, SKIPPED], UNKNOWN, "1 of 2 packages are not known there"),
        ([], UNKNOWN, "could not be audited"),
    ],
)
def test_report_is_judged(packages: list[dict[str, Any]], status: int, said: str) -> None:
    judged = verdict({"dependencies": packages, "fixes": []}, "pypi")
    assert judged.status == status
    assert said in judged.text


def test_machine_without_a_network_says_in_one_sentence_that_it_could_not(tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("the environment was made without uv")
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "audit.py", uv, "pypi", ROOT / "requirements.lock"],
        env={**os.environ, "UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == UNKNOWN
    assert done.stdout == ""
    assert done.stderr.startswith("The lock files could not be audited against pypi")
    assert done.stderr.count("\n") == 1
