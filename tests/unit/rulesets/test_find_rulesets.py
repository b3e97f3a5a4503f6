"""A game is found wherever its folder is."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server import rulesets
from server.rulesets import find_rulesets

SCRATCH = """
from server.rulesets.relay.ruleset import Relay

class Scratch(Relay):
    name = "scratch_game"

RULESET = Scratch()
"""


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "scratch_game").mkdir()
    (tmp_path / "scratch_game" / "__init__.py").write_text(SCRATCH)
    monkeypatch.setattr(rulesets, "__path__", list(rulesets.__path__))
    yield tmp_path
    sys.modules.pop("server.rulesets.scratch_game", None)
    find_rulesets.cache_clear()


def test_every_folder_here_is_found_by_name() -> None:
    assert {"el_dorado", "four_in_a_row", "relay"} <= set(find_rulesets())


def test_game_in_another_directory_is_found_too(scratch: Path) -> None:
    assert set(find_rulesets()) | {"scratch_game"} == set(find_rulesets(scratch))
    assert find_rulesets(scratch)["scratch_game"].title == "Relay"
