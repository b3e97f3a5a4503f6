"""A game in a scratch folder: served, load tested and verified without an edit anywhere."""

import re
from pathlib import Path

from tests.fixtures.node import Node
from tests.fixtures.shell import playhall

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "rulesets.md"
GAMES = 12


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
        assert done.status == 0, done.said
        assert re.search(rf"games in all +│ +{GAMES} ", done.out), done.out
        unknown = playhall("loadtest", "matches", "--url", node.url, "--ruleset", "chess")
    assert unknown.status == 1
    assert "has no chess; it has arena, el_dorado, four_in_a_row, lamplighter" in unknown.said
    settings = {"PLAYHALL_DATABASE_URL": serving_dsn, "PLAYHALL_RULESETS_PATH": str(games)}
    verified = playhall("verify", "--since", "2000-01-01", environment=settings)
    assert verified.status == 0, verified.said
    assert str(GAMES) in verified.out
