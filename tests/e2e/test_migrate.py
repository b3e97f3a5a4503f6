"""`playhall migrate --down` asks before it deletes."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from migrations import runner

DATA = Path(__file__).parents[1] / "integration" / "persistence" / "data"
TIMEOUT_S = 120


def migrate(
    dsn: str, folder: Path, *arguments: str, answer: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `playhall migrate`; with an answer, at a terminal where it is typed."""
    ours, theirs = pty.openpty()
    try:
        if answer is not None:
            os.write(ours, f"{answer}\n".encode())
        return subprocess.run(
            [sys.executable, "-m", "server.cli", "migrate", *arguments],
            env={**os.environ, "PLAYHALL_DATABASE_URL": dsn, "PLAYHALL_DATA_DIR": str(folder)},
            stdin=subprocess.DEVNULL if answer is None else theirs,
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.fixture
def filled(fresh_dsn: str) -> str:
    with psycopg.connect(fresh_dsn) as admin:
        for revision in runner.revisions():
            admin.execute(DATA.joinpath(f"{revision}.sql").read_bytes())
    return fresh_dsn


def games_in(dsn: str) -> int | None:
    with psycopg.connect(dsn) as admin:
        if admin.execute("SELECT to_regclass('games')").fetchone() == (None,):
            return None
        found = admin.execute("SELECT count(*) FROM games").fetchone()
        assert found is not None
        return int(found[0])


def test_way_down_that_deletes_is_refused_without_somebody_to_ask(
    filled: str, tmp_path: Path
) -> None:
    before = games_in(filled)
    done = migrate(filled, tmp_path, "--down", "base")
    assert done.returncode == 1
    assert f"games: {before} row" in done.stderr
    assert "game_events: 10 rows" in done.stderr
    assert "Nothing was changed. Make a backup" in done.stderr
    assert games_in(filled) == before
    assert runner.status(filled).pending == ()


@pytest.mark.parametrize(("answer", "is_left"), [("n", True), ("y", False)])
def test_way_down_that_deletes_asks_at_a_terminal(
    filled: str, tmp_path: Path, answer: str, is_left: bool
) -> None:
    done = migrate(filled, tmp_path, "--down", "base", answer=answer)
    assert done.returncode == (1 if is_left else 0), done
    assert "Delete it?" in done.stderr
    assert (games_in(filled) is not None) == is_left


def test_way_down_that_deletes_is_taken_with_yes(filled: str, tmp_path: Path) -> None:
    assert migrate(filled, tmp_path, "--down", "base", "--yes").returncode == 0
    assert games_in(filled) is None


def test_columns_with_rows_are_named_as_well(filled: str, tmp_path: Path) -> None:
    done = migrate(filled, tmp_path, "--down", "20261121_000011")
    assert done.returncode == 1
    assert "profiles.preferences: a column of" in done.stderr


def test_way_down_that_deletes_nothing_asks_nothing(fresh_dsn: str, tmp_path: Path) -> None:
    done = migrate(fresh_dsn, tmp_path, "--down", "20261121_000014")
    assert (done.returncode, done.stderr) == (0, "")
