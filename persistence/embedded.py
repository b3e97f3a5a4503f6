"""The bundled PostgreSQL, as something that a process starts, shares and stops.

    <data_dir>/lock         held while anybody starts or stops the server
    <data_dir>/users        share-locked by every process that uses it; the last one stops it
    <data_dir>/cluster/     PostgreSQL's own folder

The locks are the kernel's, so a killed process holds none. Linux and macOS only.

A process that serves also watches over the server (`keep`) and starts it again when it was
killed. A server that outlived all its users is taken over by the next one.
"""

import asyncio
import fcntl
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from persistence.address_space import lift_limit
from persistence.cluster import PostgresCluster, require_usable
from persistence.errors import UnusableFolder
from persistence.private_files import make_folder, open_private
from persistence.signals import hold_signals

log = logging.getLogger(__name__)

WATCH_S: Final = 0.25
# A start that fails, or that lasts less than this, is a failed one.
STEADY_S: Final = 5.0
FAILED_STARTS_MAX: Final = 10
RETRY_S_MAX: Final = 8.0

SETTINGS: Final[Mapping[str, str]] = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_compression": "pglz",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


class EmbeddedPostgres:
    """One process's hold on a bundled server; any number of processes may share a folder."""

    def __init__(self, *, settings: Mapping[str, str] = SETTINGS) -> None:
        self._settings = settings
        self._data_dir: Path | None = None
        self._use: IO[bytes] | None = None

    def has_cluster(self, data_dir: Path) -> bool:
        """Say whether there is a server's folder to start; raise `UnusableFolder`."""
        try:
            return (data_dir.expanduser() / "cluster" / "PG_VERSION").exists()
        except OSError as error:
            raise UnusableFolder(
                f"The data folder {data_dir} cannot be read ({error.strerror}); "
                "run this as the user who runs the server."
            ) from error

    def check_path(self, data_dir: Path) -> None:
        """Raise `UnusableFolder` where no server could be reached in a folder of this name."""
        require_usable(data_dir.expanduser().resolve() / "cluster")

    def start(self, data_dir: Path) -> str:
        """Start the server, or join it if it runs; make the folder if there is none.

        Returns the data source name of its superuser; raises `UnusableFolder`. Blocks: about
        two seconds for a new folder, a fraction of one for an existing one.
        """
        self.check_path(data_dir)
        self._data_dir = data_dir = data_dir.expanduser().resolve()
        try:
            make_folder(data_dir)
            with _locked(data_dir / "lock"):
                cluster = PostgresCluster(data_dir / "cluster")
                cluster.ensure_initialised()
                try:
                    cluster.ensure_running(self._settings)
                    self._use = open_private(data_dir / "users", "ab")
                    fcntl.flock(self._use, fcntl.LOCK_SH)
                except BaseException:
                    with hold_signals():
                        _leave(data_dir, self._use)
                        self._use = None
                    raise
        except OSError as error:
            raise UnusableFolder(
                f"The data folder {data_dir} cannot be used ({error.strerror}); "
                "choose another one, or give this user the right to write there."
            ) from error
        return cluster.dsn

    def ensure_login(self) -> str:
        """Make the login that serves, if need be, and return its data source name."""
        assert self._data_dir is not None
        cluster = PostgresCluster(self._data_dir / "cluster")
        cluster.ensure_login()
        return cluster.serving_dsn

    async def keep_running(self) -> None:
        """Start the server again whenever it ended, until this is cancelled.

        Connections are cut meanwhile, and nothing that was committed is lost. Raises
        `UnusableFolder` when several starts in a row have failed.
        """
        assert self._data_dir is not None
        cluster = PostgresCluster(self._data_dir / "cluster")
        now = asyncio.get_running_loop().time
        failed, started_at, why = 0, now(), ""
        while True:
            await asyncio.sleep(min(WATCH_S * 2**failed, RETRY_S_MAX))
            if await asyncio.to_thread(cluster.is_alive):
                failed = 0 if now() - started_at > STEADY_S else failed
                continue
            if failed >= FAILED_STARTS_MAX:
                raise UnusableFolder(
                    f"The bundled PostgreSQL exited, and {failed} starts in a row failed. {why}"
                )
            try:
                if not await asyncio.to_thread(self._start_again, cluster):
                    continue
                log.warning("the bundled PostgreSQL has exited and is being restarted")
                why = "It exited again within seconds."
            except (UnusableFolder, OSError) as error:
                log.warning("the bundled PostgreSQL has exited and cannot be restarted: %s", error)
                why = str(error)
            failed, started_at = failed + 1, now()  # until it has proved steady

    def stop(self) -> None:
        """Let go of the server, and stop it if nobody else uses it."""
        if self._use is None or self._data_dir is None:
            return
        with hold_signals(), _locked(self._data_dir / "lock"):
            _leave(self._data_dir, self._use)
            self._use = None

    def _start_again(self, cluster: PostgresCluster) -> bool:
        """Start a server that ended; false if another process is just starting or stopping it."""
        assert self._data_dir is not None
        with (self._data_dir / "lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if cluster.is_alive():
                return False
            lift_limit()  # which the database would inherit
            cluster.launch(self._settings)
        return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open_private(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _leave(data_dir: Path, use: IO[bytes] | None) -> None:
    """Give up one's hold, and stop the server if that was the last; the lock is held."""
    if use is not None:
        use.close()
    if _unused(data_dir / "users"):
        PostgresCluster(data_dir / "cluster").stop()


def _unused(path: Path) -> bool:
    with open_private(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
