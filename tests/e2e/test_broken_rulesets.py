"""A ruleset with a mistake in it: the start ends with one sentence that says where."""

from pathlib import Path

import pytest

from tests.fixtures.node import SECRET_KEYS
from tests.fixtures.shell import Done, playhall

GOOD = """
from server.rulesets.relay.ruleset import Relay

class Game(Relay):
    name = "game"

RULESET = Game()
"""


def changed(line: str) -> str:
    return GOOD.replace('    name = "game"\n', f'    name = "game"\n    {line}\n')


MISTAKES = {
    "syntax": ("x = 1\ndef f(:\n", ["SyntaxError in ", "__init__.py, line 2"]),
    "import": ("\nimport nowhere_at_all\n", ["No module named 'nowhere_at_all'", "line 2"]),
    "raises": ("x = 1 / 0\n", ["ZeroDivisionError", "line 1"]),
    "exits": ("import sys\nsys.exit(3)\n", ["SystemExit: 3", "line 2"]),
    "nothing": ("", ["has no RULESET"]),
    "wrong type": ("RULESET = 7\n", ["RULESET is of type int"]),
    "class": (GOOD.replace("Game()", "Game"), ["class Game itself", "write RULESET = Game()"]),
    "abstract": (
        "from server.gamekit.contract import Ruleset\n"
        "class Game(Ruleset):\n    name = 'game'\nRULESET = Game()\n",
        ["abstract", "line 4"],
    ),
    "other name": (changed('name = "chess"'), ["'chess'", "folder is called 'game'", "line 4"]),
    "bad name": (changed('name = "My Game!"'), ["name is 'My Game!'", "a-z, 0-9 and _"]),
    "no seats": (changed("seats = range(0)"), ["seats is range(0, 0)", "range(2, 5)"]),
    "too many seats": (changed("seats = range(1, 1000)"), ["seats is range(1, 1000)"]),
    "seats of another type": (changed("seats = [2, 3]"), ["seats is [2, 3]"]),
    "version": (changed("version = '1'"), ["version is '1'", "an integer of at least 1"]),
    "title": (changed("title = ''"), ["title is ''"]),
    "bots": (changed("bots = {'random': 1}"), ["bots is {'random': 1}"]),
    "config": (changed("config = dict"), ["config is <class 'dict'>", "RulesetConfig"]),
    "earlier": (changed("earlier = (1,)"), ["earlier is (1,)", "a tuple of rulesets"]),
    "no earlier": (changed("earlier = None"), ["earlier is None", "a tuple of rulesets"]),
    "leavers": (changed("leavers_rank_last = 'no'"), ["leavers_rank_last is 'no'", "True or"]),
    "declared": (changed("scores_declared = 1"), ["scores_declared is 1", "True or False"]),
    "verbatim": (changed("verbatim_moves = None"), ["verbatim_moves is None", "True or False"]),
    "not a method": (changed("view = None"), ["view is not a method"]),
    "no timeout_move": (changed("to_act = lambda self, state: None"), ["timeout_move is missing"]),
    "title that raises": (changed("title = property(lambda _: 1 / 0)"), ["title raises Zero"]),
    "title that exits": (changed("title = property(lambda _: exit(3))"), ["title raises System"]),
    "cancels": ("import asyncio\nraise asyncio.CancelledError\n", ["CancelledError", "line 2"]),
}  # fmt: skip


def start(folder: Path, dsn: str, rulesets: str) -> Done:
    environment = {
        "PLAYHALL_DATABASE_URL": dsn,
        "PLAYHALL_SECRET_KEYS": SECRET_KEYS,
        "PLAYHALL_RULESETS_PATH": rulesets,
    }
    done = playhall("serve", "--port", 0, "--data-dir", folder, environment=environment)
    assert done.status == 1, done.said
    done.assert_plain()
    return done


def write(folder: Path, text: str, name: str = "game") -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(text)
    return folder


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_ruleset_with_a_mistake_ends_the_start_with_a_sentence(
    tmp_path: Path, serving_dsn: str, mistake: str
) -> None:
    text, expected = MISTAKES[mistake]
    games = write(tmp_path / "games", text)
    done = start(tmp_path / "data", serving_dsn, str(games))
    assert str(games / "game" / "__init__.py") in done.said
    for words in expected:
        assert words in done.said


def test_two_rulesets_of_one_name_are_refused(tmp_path: Path, serving_dsn: str) -> None:
    first, second = write(tmp_path / "a", GOOD), write(tmp_path / "b", GOOD)
    done = start(tmp_path / "data", serving_dsn, f"{first}:{second}")
    assert "two rulesets called 'game'" in done.said
    assert str(second / "game") in done.said


def test_one_that_is_called_as_one_of_playhalls_own_is_refused(
    tmp_path: Path, serving_dsn: str
) -> None:
    games = write(tmp_path / "games", GOOD.replace("game", "relay"), "relay")
    assert "two rulesets called 'relay'" in start(tmp_path / "data", serving_dsn, str(games)).said


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("nowhere", "there is no folder"),
        ("empty", "there is no ruleset in"),
        ("games/game", "is itself a ruleset"),
    ],
)
def test_a_path_without_rulesets_is_refused(
    tmp_path: Path, serving_dsn: str, path: str, expected: str
) -> None:
    write(tmp_path / "games", GOOD)
    (tmp_path / "empty").mkdir()
    done = start(tmp_path / "data", serving_dsn, str(tmp_path / path))
    assert expected in done.said
    assert "PLAYHALL_RULESETS_PATH" in done.said


def test_the_auditor_says_so_too(tmp_path: Path, serving_dsn: str) -> None:
    games = write(tmp_path / "games", "def f(:\n")
    settings = {"PLAYHALL_DATABASE_URL": serving_dsn, "PLAYHALL_RULESETS_PATH": str(games)}
    done = playhall("verify", "--since", "2000-01-01", environment=settings)
    assert done.status == 1
    assert "SyntaxError in " in done.said
    done.assert_plain()
