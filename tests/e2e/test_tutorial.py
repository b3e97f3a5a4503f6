"""The tutorial, as it stands: its files are written, its commands are run, in its order."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.node import SECRET_KEYS, Node
from tests.fixtures.shell import playhall, surroundings

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "your-first-game.md"
SERVER = "http://127.0.0.1:8080"
TIMEOUT_S = 60

FILES = {
    code.partition("\n")[0].removeprefix("# "): code
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
}
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for line in block.splitlines()
]


def parted(command: str) -> tuple[dict[str, str], list[str]]:
    """Part a line of the page into the variables before it, and what is run."""
    words = shlex.split(command)
    variables = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
    return variables, [word for word in words if not re.match(r"[A-Z_]+=", word)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the reader is, with everything that the page has them save."""
    assert list(FILES) == ["games/guess/__init__.py", "player.py"]
    assert COMMANDS[0] == "mkdir -p games/guess"
    for name, code in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(code)
    return tmp_path


def test_tutorial_is_followed_to_its_end(folder: Path, serving_dsn: str) -> None:
    _, serve, *others = COMMANDS
    players = [line for line in others if "player.py" in line]
    checks = [line for line in others if "player.py" not in line]

    variables, program = parted(serve)
    assert program == [".venv/bin/playhall", "serve"]
    rulesets = folder / variables.pop("PLAYHALL_RULESETS_PATH")
    assert variables == {}
    with Node(folder / "node", serving_dsn, rulesets_path=rulesets) as node:
        printed = play(folder, node.url, players)
        in_terminal = playhall(
            *("play", "--url", node.url, "--ruleset", "guess", "--auto"),
            environment={"XDG_STATE_HOME": str(folder)},
        )
    assert in_terminal.status == 0, in_terminal.said
    assert "Final score" in in_terminal.out

    guesses = [re.findall(r"^(\d+ \d+ \w+)$", each, re.M) for each in printed]
    assert guesses[0] == guesses[1]
    assert guesses[0][-1].endswith(" found")
    ends = [re.search(r"^(I won|I lost) game (\S+)$", each, re.M) for each in printed]
    assert {end[1] for end in ends if end} == {"I won", "I lost"}
    (game,) = {end[2] for end in ends if end}

    database = {"PLAYHALL_DATABASE_URL": serving_dsn, "PLAYHALL_SECRET_KEYS": SECRET_KEYS}
    assert len(checks) == 3
    for line in checks:
        variables, program = parted(line.replace("GAME", game))
        assert program[0] == ".venv/bin/playhall"
        done = playhall(*program[1:], environment={**database, **variables}, cwd=folder)
        assert done.status == 0, done.said
    assert "game_completed" in done.out


def play(folder: Path, url: str, lines: list[str]) -> list[str]:
    """Run the players of the page side by side; give what each printed."""
    running = []
    for line in lines:
        variables, program = parted(line)
        assert (variables, program[0], program[-1]) == ({}, ".venv/bin/python", SERVER)
        running.append(
            subprocess.Popen(
                [sys.executable, *program[1:-1], url],
                cwd=folder,
                env=surroundings({}),
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    assert len(running) == 2
    try:
        return [process.communicate(timeout=TIMEOUT_S)[0] for process in running]
    finally:
        for process in running:
            process.kill()
