"""The check that `docs/explanation/fairness.md` gives to players does what it says, by itself."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from persistence.eventlog.hashchain import canonical_json, genesis_hash, link_hash
from tests.integration.audit.conftest import Played

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "fairness.md"
Lines = list[dict[str, Any]]


@pytest.fixture
def check(tmp_path: Path) -> Callable[[Path], subprocess.CompletedProcess[str]]:
    """The page's own check of a deal, in a Python that knows nothing of ours."""
    [code, _] = re.findall(r"```python\n(.+?)```", PAGE.read_text("utf-8"), re.DOTALL)
    script = tmp_path / "check.py"
    script.write_text(code, "utf-8")

    def run(log: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", "-S", script, log], capture_output=True, text=True, check=False
        )

    return run


def rewrite(path: Path, spoil: Callable[[Lines], object], *, rehash: bool) -> None:
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    spoil(lines)
    last = genesis_hash(lines[0]["game_id"])
    for index, line in enumerate(lines):
        last = link_hash(last, index, line["event"], canonical_json(line["payload"]))
        if rehash:
            line["hash"] = last.hex()
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))


def of(lines: Lines, kind: str) -> dict[str, Any]:
    payload: dict[str, Any] = next(line for line in lines if line["event"] == kind)["payload"]
    return payload


def other_cards(lines: Lines) -> None:
    one, other, *_ = of(lines, "cards_dealt")["hands"].values()
    one[0], other[0] = other[0], one[0]


def other_trump(lines: Lines) -> None:
    hand, *_ = of(lines, "cards_dealt")["hands"].values()
    of(lines, "trump_revealed")["card"] = hand[0]


def other_seed(lines: Lines) -> None:
    lines[-1]["payload"]["session_seed"] = "another"


def test_real_game_passes(check: Callable[..., Any], played: Played, exported: Path) -> None:
    checked = check(exported)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout == "2 rounds were dealt as the seed says\n"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (other_cards, "round 1 was dealt otherwise\n"),
        (other_trump, "round 1 has another trump\n"),
        (other_seed, "the seed is not the one that was committed to\n"),
    ],
)
def test_forger_who_rehashes_is_found_by_the_deal(
    check: Callable[..., Any], exported: Path, spoil: Callable[[Lines], None], sentence: str
) -> None:
    rewrite(exported, spoil, rehash=True)
    checked = check(exported)
    assert (checked.returncode, checked.stderr) == (1, sentence)


@pytest.mark.parametrize("spoil", [other_cards, other_seed, lambda lines: lines.pop(7)])
def test_forger_who_does_not_is_found_by_the_chain(
    check: Callable[..., Any], exported: Path, spoil: Callable[[Lines], None]
) -> None:
    rewrite(exported, spoil, rehash=False)
    checked = check(exported)
    assert (checked.returncode, "breaks the hash chain" in checked.stderr) == (1, True)
