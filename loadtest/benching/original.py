"""The original El Dorado server in a folder of the user's, on a database with our settings.

None of it is in this repository: loadtest/peers/el_dorado/README.md says how it is built.
"""

import shutil
import signal
import socket
from pathlib import Path
from typing import Final

import psycopg

from loadtest.benching.direct import OWNER
from loadtest.benching.figures import RunResult
from loadtest.benching.loads import ROOMS, PeerUnavailable
from loadtest.benching.machine import CoreAssignment, monitor_usage
from loadtest.benching.servers import BenchNode, BenchServer
from loadtest.processes import merge_measurements, run_scenarios
from loadtest.report import make_report
from loadtest.scenarios.original import OriginalScenario
from loadtest.scenarios.scenario import Shard

DATABASE: Final = "el_dorado"
README: Final = "loadtest/peers/el_dorado/README.md"
# Its best: no traces, which it would print if they were sent nowhere, and no line for each move.
SETTINGS: Final = {
    "NODE_ENV": "production",
    "LOG_LEVEL": "error",
    "OTEL_TRACES_SAMPLER": "always_off",
    "HOST": "127.0.0.1",
}


class OriginalServer:
    """The server on its core and its database on the other; ready once it is made."""

    def __init__(self, checkout: Path | None, folder: Path, *, on: CoreAssignment) -> None:
        program = _built(checkout)
        node = shutil.which("node")
        if node is None:
            raise PeerUnavailable("node is missing: the original El Dorado server needs Node.js.")
        self._on = on
        folder.mkdir()
        self._database = BenchNode(folder / "database", on=on)
        self._server: BenchServer | None = None
        try:
            self._make_database(program.parents[3] / "db" / "migrations")
            port = _free_port()
            self._server = _PortServer(
                [node, str(program)],
                log=folder / "server.log",
                on=on,
                env={**SETTINGS, "PORT": str(port), "DATABASE_URL": self.dsn},
            )
            self._server.url = f"http://127.0.0.1:{port}"
            self._server.start()
        except BaseException:
            self.destroy()
            raise

    @property
    def dsn(self) -> str:
        """Its database."""
        return self._database.dsn(OWNER, DATABASE)

    def run_matches(
        self, *, seconds: float, rooms: int = ROOMS, rounds: int = 10, sample: int = 20
    ) -> RunResult:
        """Play El Dorado in a hundred rooms."""
        assert self._server is not None
        share = OriginalScenario(
            shard=Shard(self._server.url),
            dsn=self.dsn,
            rooms=rooms,
            rounds=rounds,
            duration_s=seconds,
            ramp_up_s=seconds,  # so that games do not end all at once
            sample=sample,
        )
        database = self._database.database_pid
        with monitor_usage(on=self._on, server=self._server.pid, database=database) as monitor:
            measured = merge_measurements(run_scenarios([share], progress=lambda _: None))
        began, ended = measured.numbers["from s"], measured.numbers["to s"]
        rows = make_report("", measured, began_at="", settings={}).rows
        usage = monitor.usage_between(began, ended)
        return RunResult("original El Dorado server", rows, measured.checks, usage)

    def destroy(self) -> None:
        """End it and its database."""
        if self._server is not None:
            self._server.stop_with_signal(signal.SIGKILL)
        self._database.destroy()

    def _make_database(self, migrations: Path) -> None:
        """Have one of our nodes start it, with our settings; once killed, it leaves it running."""
        self._database.start()
        self._database.kill()
        with psycopg.connect(self._database.dsn(OWNER), autocommit=True) as database:
            database.execute(f"CREATE DATABASE {DATABASE}".encode())
        with psycopg.connect(self.dsn) as database:
            for step in sorted(migrations.glob("*.sql")):
                database.execute(step.read_bytes())


class _PortServer(BenchServer):
    """A server that prints nothing once it is ready; its address is known before."""

    def _find_url(self) -> str | None:
        host, _, port = self.url.rpartition("/")[2].partition(":")
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            return None
        return self.url


def _built(checkout: Path | None) -> Path:
    """Find the compiled server in a folder."""
    if checkout is None:
        raise PeerUnavailable(
            "name the folder of the original server, with --el-dorado or PLAYHALL_EL_DORADO: "
            f"{README} says how to get one."
        )
    program = checkout.resolve() / "apps" / "server" / "dist" / "index.js"
    if not program.exists():
        raise PeerUnavailable(f"{program} is missing: build the server as {README} says.")
    return program


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
