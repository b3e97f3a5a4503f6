"""Our load on the original El Dorado server; `PLAYHALL_EL_DORADO` names a folder with it, built."""

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from loadtest.benching.machine import assign_cores
from loadtest.benching.original import OriginalServer
from loadtest.measure import Checks
from loadtest.players.el_dorado import KIND
from loadtest.scenarios.original import LOG, SUMMARY, audit_stored_games
from loadtest.simulation.trace import AGREE, ORDER, SCORE, FinishedGame

FOLDER = os.environ.get("PLAYHALL_EL_DORADO")

pytestmark = pytest.mark.skipif(FOLDER is None, reason="needs PLAYHALL_EL_DORADO")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OriginalServer]:
    assert FOLDER is not None
    folder = tmp_path_factory.mktemp("original") / "server"
    server = OriginalServer(Path(FOLDER), folder, on=assign_cores())
    yield server
    server.destroy()


def test_games_are_played_to_their_end_and_compared_with_its_database(
    server: OriginalServer,
) -> None:
    run = server.run_matches(seconds=2, rooms=2, rounds=2, sample=5)

    assert run.ok, run.checks
    assert set(run.checks.by_name) == {ORDER, AGREE, SCORE, LOG, SUMMARY}
    assert run.numbers["moves in all"] == run.numbers["games in all"] * (10 + 9 + 2) * 4
    assert run.usage is not None
    assert min(run.usage.server, run.usage.database) > 0


def test_a_log_and_a_summary_that_are_not_what_clients_got_are_noticed(
    server: OriginalServer,
) -> None:
    server.run_matches(seconds=1, rooms=1, rounds=1, sample=0)
    with psycopg.connect(server.dsn) as database:
        found = database.execute("SELECT game_id, final_scores FROM game_summaries").fetchone()
    assert found is not None
    game_id, totals = found
    seen = FinishedGame(
        game_id=str(game_id),
        head=1,
        digest=b"of another log",
        totals={**totals, "nobody": 1},
        misplays={},
        hidden=(),
        hides=dict(KIND.hidden or {}),
        token="",
    )
    checks = Checks()

    audit_stored_games(server.dsn, [seen], checks)

    assert {name: each.failed for name, each in checks.by_name.items()} == {LOG: 1, SUMMARY: 1}
