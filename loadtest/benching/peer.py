"""The same work on another server: Colyseus' bare relay, with a load of its own.

Needs Node.js and npm; the packages go into a temporary folder.
"""

import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

import orjson

from loadtest.benching.figures import Run
from loadtest.benching.loads import PAYLOAD_BYTES, PLAYERS, WINDOW
from loadtest.benching.machine import Cores, watching
from loadtest.benching.node import Server
from loadtest.measure.checks import Checked, Checks

SOURCES: Final = Path(__file__).parents[1] / "peers"
INSTALL_TIMEOUT_S: Final = 180.0
LOAD_TIMEOUT_S: Final = 180.0
IN_ORDER: Final = "every client got everybody's messages, in order"


class Colyseus:
    """Colyseus on the server's core; installed in a folder and ready once it is made."""

    def __init__(self, folder: Path, *, on: Cores) -> None:
        self._folder = folder
        self._on = on
        self._node = _found("node")
        self._server = peer_server("colyseus", folder, on=on)
        self._server.start()

    def relay(self, *, rooms: int, seconds: float) -> Run:
        """Relay messages."""
        asked = {
            "url": self._server.url,
            "rooms": rooms,
            "players": PLAYERS,
            "window": WINDOW,
            "payload_bytes": PAYLOAD_BYTES,
            "ramp_up_s": 1,
            "duration_s": seconds,
        }
        load = [self._node, "load.js", orjson.dumps(asked).decode()]
        with watching(on=self._on, server=self._server.pid) as watch:
            said = orjson.loads(_run(load, self._folder, LOAD_TIMEOUT_S))
        window_s = said["to_s"] - said["from_s"]
        numbers = {"window s": window_s, "deliveries/s": said["deliveries"] / window_s}
        checked = Checked(said["passed"], said["failed"], said["examples"])
        usage = watch.between(said["from_s"], said["to_s"])
        return Run(f"Colyseus, {rooms} rooms", numbers, Checks({IN_ORDER: checked}), usage)

    def clear(self) -> None:
        """End it."""
        self._server.end(signal.SIGKILL)


def peer_server(name: str, folder: Path, *, on: Cores) -> Server:
    """Install one of `loadtest/peers` into a folder; it is not started yet."""
    shutil.copytree(SOURCES / name, folder)
    _run([_found("npm"), "install", "--no-audit", "--no-fund"], folder, INSTALL_TIMEOUT_S)
    return Server(
        [_found("node"), str(folder / "server.js")],
        log=folder / "server.log",
        on=on,
        env={"NODE_ENV": "production"},
    )


class NoPeer(Exception):
    """The other server cannot be run here; the message says why."""


def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise NoPeer(f"{program} is missing: the comparison needs Node.js and npm.")
    return path


def _run(command: list[str], folder: Path, timeout_s: float) -> bytes:
    done = subprocess.run(  # noqa: S603 - programs that the user asked for
        command, cwd=folder, capture_output=True, check=False, timeout=timeout_s
    )
    if done.returncode:
        raise NoPeer(f"{' '.join(command[:2])} failed: {done.stderr.decode(errors='replace')}")
    return done.stdout
