"""A game in a scratch folder: served, load tested and verified without an edit anywhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.fixtures.node import Node

PAGE = Path(__file__).parents[2] / "docs" / "rulesets.md"
GAMES = 12


def playhall(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `playhall` as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "server.cli", *arguments],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_scratch_ruleset_is_served_load_tested_and_verified(
    tmp_path: Path, serving_dsn: str
) -> None:
    games = tmp_path / "games"
    (games / "nim").mkdir(parents=True)
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    (games / "nim" / "__init__.py").write_text(code)
    with Node(tmp_path / "node", serving_dsn, rulesets_path=games) as node:
        done = playhall(
            "loadtest", "matches", "--url", node.url, "--ruleset", "nim",
            "--games", str(GAMES), "--concurrency", "4", "--misplays", "0.2",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(rf"games in all +│ +{GAMES} ", done.stdout), done.stdout
        unknown = playhall("loadtest", "matches", "--url", node.url, "--ruleset", "chess")
    assert unknown.returncode == 1
    assert "has no chess; it has el_dorado, four_in_a_row, nim, relay." in unknown.stderr
    settings = {"PLAYHALL_DATABASE_URL": serving_dsn, "PLAYHALL_RULESETS_PATH": str(games)}
    verified = playhall("verify", "--since", "2000-01-01", **settings)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert str(GAMES) in verified.stdout
