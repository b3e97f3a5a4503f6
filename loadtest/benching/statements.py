"""How many statements a game costs the database, counted by `pg_stat_statements`.

The count covers all of a game: its lobby is opened, filled and closed, it is created, played and
completed, and its replay is stored. Appends of events do not count: under load, one serves many
games. What the server does in any case meanwhile is counted before, and taken off.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import psycopg

from loadtest.benching import loads
from loadtest.benching.figures import Run
from loadtest.benching.machine import Cores
from loadtest.benching.node import Node

ROOMS: Final = 4
IDLE_S: Final = 5.0
SETTLE_S: Final = 2.0  # replays are stored after their games
COUNTED: Final = Path(__file__).with_suffix(".sql").read_text("utf-8")
OWNER: Final = "postgres"


class _Count(NamedTuple):
    statements: int
    transactions: int


def count(node: Node, on: Cores, *, games: int) -> Run:
    """Play some games of El Dorado; gives the statements and transactions of one."""
    node.stop()
    node.set_database("shared_preload_libraries", "pg_stat_statements")
    node.start()
    with psycopg.connect(node.dsn(OWNER), autocommit=True) as database:
        database.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        idle = _counted(database, lambda: time.sleep(IDLE_S))
        began = time.monotonic()
        runs: list[Run] = []

        def play() -> None:
            runs.append(loads.play(node, on, seconds=0, rooms=ROOMS, games=games, sample=0))
            time.sleep(SETTLE_S)

        busy = _counted(database, play)
        share = (time.monotonic() - began) / IDLE_S
    (run,) = runs
    numbers = {
        "statements per game": (busy.statements - share * idle.statements) / games,
        "transactions per game": (busy.transactions - share * idle.transactions) / games,
    }
    return Run(f"{games} games, counted", numbers, run.checks, run.usage)


def _counted(database: psycopg.Connection[tuple[int, int]], work: Callable[[], None]) -> _Count:
    database.execute(b"SELECT pg_stat_statements_reset()")
    work()
    row = database.execute(COUNTED.encode()).fetchone()
    assert row is not None
    return _Count(*row)
