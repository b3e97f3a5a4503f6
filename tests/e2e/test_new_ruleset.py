"""`playhall new-ruleset` writes games that work; `playhall ruleset test` says what is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.shell import TIMEOUT_S, playhall

KINDS = {"turns": (), "simultaneous": ("--simultaneous",), "realtime": ("--realtime",)}


@pytest.mark.parametrize("kind", KINDS)
def test_new_game_keeps_every_promise_and_its_tests_run(tmp_path: Path, kind: str) -> None:
    made = playhall("new-ruleset", "my_game", "--folder", tmp_path / "games", *KINDS[kind])
    assert made.status == 0, made.said
    folder = tmp_path / "games" / "my_game"
    assert "Skeleton" not in (folder / "__init__.py").read_text()
    checked = playhall("ruleset", "test", folder)
    assert checked.status == 0, checked.said
    assert "my_game keeps all" in checked.said
    ran = subprocess.run(
        [sys.executable, "-m", "unittest", "discover", folder],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Ran 1" not in ran.stderr or kind == "realtime"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("My-Game",), "use 1 to 32 of a-z, 0-9 and _"),
        (("9lives",), "beginning with a letter"),
        (("x" * 33,), "use 1 to 32"),
        (("../up",), "cannot be the name of a game"),
        (("reversi",), "comes with a game called reversi"),
        (("taken",), "taken exists; choose another name"),
        (("both", "--realtime", "--simultaneous"), "Choose one of"),
    ],
)
def test_what_cannot_be_made_is_refused_with_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "taken").mkdir()
    done = playhall("new-ruleset", *arguments, "--folder", tmp_path, cwd=tmp_path)
    assert (done.status, said in done.said) == (1, True), done.said
    done.assert_plain()
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


def test_broken_promise_is_explained_and_can_be_seen_again(tmp_path: Path) -> None:
    playhall("new-ruleset", "leaky", "--folder", tmp_path, "--simultaneous")
    rules = tmp_path / "leaky" / "__init__.py"
    hidden = '"scores": list(state.scores),'
    rules.write_text(
        rules.read_text().replace(hidden, f'{hidden} "sum": sum(state.picks.values()),')
    )
    done = playhall("ruleset", "test", tmp_path / "leaky")
    assert done.status == 1
    assert "FAIL unseen_moves" in done.said
    assert "leaky breaks 1 of 22 promises." in done.said
    assert "Leave out of the view what redact hides" in done.said
    [again] = [line for line in done.out.splitlines() if "again:" in line]
    arguments = again.partition("playhall ")[2].split()
    once_more = playhall(*arguments)
    assert once_more.status == 1
    assert "leaky breaks 1 of 1 promises." in once_more.said
    assert "0 game_created" in once_more.said
    done.assert_plain()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere/at_all",), "There is no folder nowhere/at_all."),
        (("empty",), "it has no __init__.py"),
        (("broken",), "SyntaxError in"),
        (("reversi", "--only", "luck"), "There is no promise luck; there are introduces_itself"),
        (("reversi", "--seats", "7"), "reversi has 2 to 2 seats, not 7."),
        (("reversi", "--version", "7"), "reversi has no rules of version 7."),
    ],
)
def test_what_cannot_be_checked_is_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "__init__.py").write_text("def f(:\n")
    done = playhall("ruleset", "test", *arguments, cwd=tmp_path)
    assert (done.status, said in done.said) == (1, True), done.said
    done.assert_plain()


def test_one_of_ours_is_checked_by_its_name_and_the_version_that_is_asked_for() -> None:
    done = playhall("ruleset", "test", "el_dorado", "--version", 1, "--only", "configuration")
    assert done.status == 0, done.said
    assert "ok configuration (version 1)" in done.said
