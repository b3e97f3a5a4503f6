"""`playhall migrate --down` asks before it deletes."""

import os
import pty
import subprocess
from pathlib import Path

import psycopg
import pytest

from migrations import runner
from tests.fixtures.shell import PLAYHALL, TIMEOUT_S, Done, playhall, surroundings

DATA = Path(__file__).parents[1] / "integration" / "persistence" / "data"


def migrate(dsn: str, folder: Path, *arguments: str, answer: str | None = None) -> Done:
    """Run `playhall migrate`; with an answer, at a terminal where it is typed."""
    settings = {"PLAYHALL_DATABASE_URL": dsn, "PLAYHALL_DATA_DIR": str(folder)}
    if answer is None:
        return playhall("migrate", *arguments, environment=settings)
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        done = subprocess.run(
            [*PLAYHALL, "migrate", *arguments],
            env=surroundings(settings),
            stdin=theirs,
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return Done(done.returncode, done.stdout, done.stderr)


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
    assert done.status == 1
    assert f"games: {before} row" in done.err
    assert "game_events: 10 rows" in done.err
    assert "Nothing was changed. Make a backup" in done.err
    assert games_in(filled) == before
    assert runner.status(filled).pending == ()


@pytest.mark.parametrize(("answer", "is_left"), [("n", True), ("y", False)])
def test_way_down_that_deletes_asks_at_a_terminal(
    filled: str, tmp_path: Path, answer: str, is_left: bool
) -> None:
    done = migrate(filled, tmp_path, "--down", "base", answer=answer)
    assert done.status == (1 if is_left else 0), done
    assert "Delete it?" in done.err
    assert (games_in(filled) is not None) == is_left


def test_way_down_that_deletes_is_taken_with_yes(filled: str, tmp_path: Path) -> None:
    assert migrate(filled, tmp_path, "--down", "base", "--yes").status == 0
    assert games_in(filled) is None


def test_columns_with_rows_are_named_as_well(filled: str, tmp_path: Path) -> None:
    done = migrate(filled, tmp_path, "--down", "20261121_000011")
    assert done.status == 1
    assert "profiles.preferences: a column of" in done.err


def test_way_down_that_deletes_nothing_asks_nothing(fresh_dsn: str, tmp_path: Path) -> None:
    with psycopg.connect(fresh_dsn) as connection:
        connection.execute("DELETE FROM luminors")  # those that are there from the start
    done = migrate(fresh_dsn, tmp_path, "--down", "20261121_000014")
    assert (done.status, done.err) == (0, "")


def test_events_get_the_form_of_a_server_that_was_upgraded(fresh_dsn: str, tmp_path: Path) -> None:
    form = """
        SELECT attgenerated::text FROM pg_attribute
        WHERE attrelid = 'game_events'::regclass AND attname = 'id'
    """
    with psycopg.connect(fresh_dsn, autocommit=True) as connection:
        newest = connection.execute(form).fetchone()
        connection.execute("SELECT playhall_auth.choose_event_form(false)")
        assert connection.execute(form).fetchone() == ("s",)
        assert migrate(fresh_dsn, tmp_path).status == 0
        assert connection.execute(form).fetchone() == newest
        assert newest == ("v" if connection.info.server_version >= 18_00_00 else "s",)
