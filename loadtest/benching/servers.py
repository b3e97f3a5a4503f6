"""A server of the benchmark's own: started on its core, stopped, killed, started again."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

from loadtest.benching.machine import CoreAssignment, pin_process, process_tree

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 40.0
API_SECRET: Final = "of benchmarks alone, and never anywhere else"  # noqa: S105 - of no real node
SETTINGS: Final = {
    "PLAYHALL_COMMANDS_PER_S": "1000000",
    "PLAYHALL_COMMANDS_BURST": "1000000",
    "PLAYHALL_GUESTS_PER_MINUTE": "1000000",
    "PLAYHALL_CONNECTIONS_PER_ADDRESS_MAX": "20000",
    "PLAYHALL_BOT_PAUSE_S": "0",
    "PLAYHALL_PEER_MESSAGES_PER_S": "1000000",
    "PLAYHALL_SAVES_WRITES_PER_MINUTE": "100000000",
    "PLAYHALL_SAVES_WRITES_BURST": "1000000",
    "PLAYHALL_TELEMETRY_BATCHES_PER_MINUTE": "1000000",
    "PLAYHALL_FEED_SEARCHES_PER_MINUTE": "1000000",
    "PLAYHALL_REACTIONS_LIKES_PER_MINUTE": "1000000",
    "PLAYHALL_SUPABASE_API_SECRET": API_SECRET,
    "PLAYHALL_REST_REQUESTS_PER_MINUTE": "100000000",
    "PLAYHALL_REST_REQUESTS_BURST": "1000000",
}
_READY: Final = re.compile(r"ready at (http\S+)")


class ServerDidNotStart(Exception):
    """A server of the benchmark did not start; the message has what it said."""


class BenchServer:
    """A program that says where it is once it is ready; pinned to the server's core.

    Its output goes to a file, so that it never waits for a reader.
    """

    def __init__(
        self, command: list[str], *, log: Path, on: CoreAssignment, env: dict[str, str]
    ) -> None:
        self.url = ""
        self._command = command
        self.log = log
        self._env = {**os.environ, **env}
        self._on = on
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process, which must have been started."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> float:
        """Start it; gives the seconds until it was ready."""
        began = time.monotonic()
        with self.log.open("wb") as out:
            self._process = self._launch(out)
        pin_process(self.pid, self._on.server)
        while (url := self._find_url()) is None:
            if self._process.poll() is not None or time.monotonic() - began > START_TIMEOUT_S:
                self.stop_with_signal(signal.SIGKILL)
                raise ServerDidNotStart(self.log.read_text(errors="replace"))
            time.sleep(0.005)
        self.url = url
        return time.monotonic() - began

    def stop_with_signal(self, number: signal.Signals) -> None:
        """Send it a signal that ends it, and wait until it has."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(STOP_TIMEOUT_S)

    def _find_url(self) -> str | None:
        """Find out where it is, once it is ready."""
        found = _READY.search(self.log.read_text(errors="replace"))
        return None if found is None else found[1]

    def _launch(self, out: IO[bytes]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603 - a program of ours, or one that the user asked for
            self._command, stdout=out, stderr=subprocess.STDOUT, env=self._env
        )


class BenchNode(BenchServer):
    """`playhall serve` with a bundled database, which goes to the other core."""

    def __init__(self, folder: Path, *, on: CoreAssignment, env: Mapping[str, str] = {}) -> None:
        folder.mkdir(mode=0o755, exist_ok=True)
        self.data = folder / "data"
        self._postmaster = self.data / "postgres" / "cluster" / "postmaster.pid"
        super().__init__(
            [sys.executable, "-m", "server.cli", "serve", "--port", "0"],
            log=folder / "server.log",
            on=on,
            env={**SETTINGS, **env, "PLAYHALL_DATA_DIR": str(self.data)},
        )

    @property
    def database_pid(self) -> int:
        """PostgreSQL's first process; whatever it starts later runs where it does."""
        return int(self._postmaster.read_text().partition("\n")[0])

    def start(self) -> float:
        """Start it, and move its database to the other core."""
        seconds = super().start()
        for pid in process_tree(self.database_pid):
            pin_process(pid, self._on.rest)
        return seconds

    def dsn(self, user: str, database: str = "postgres") -> str:
        """Name its database, or another one beside it, for a user."""
        return f"postgresql://{user}@/{database}?host={quote(str(self._postmaster.parent))}"

    def set_database(self, name: str, value: str) -> None:
        """Set a parameter of PostgreSQL; it holds from the next start on."""
        with (self._postmaster.parent / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"{name} = '{value}'\n")

    def run_command(self, *arguments: str) -> list[str]:
        """Run a command of `playhall` beside it; gives the words that it printed."""
        said = subprocess.run(  # noqa: S603 - a program of ours
            [sys.executable, "-m", "server.cli", *arguments],
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
        )
        if said.returncode:
            raise ServerDidNotStart(said.stderr)
        return said.stdout.split()

    def stop(self) -> None:
        """Ask it to go away, and its database with it."""
        self.stop_with_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power failure would; the database goes on."""
        self.stop_with_signal(signal.SIGKILL)

    def destroy(self) -> None:
        """End it and its database, whatever state they are in; nothing is worth keeping."""
        self.kill()
        if self._postmaster.exists():
            os.kill(self.database_pid, signal.SIGQUIT)
