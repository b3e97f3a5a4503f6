"""The bundled PostgreSQL: shared by processes, and usable after whatever happened to it."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from migrations import runner
from persistence.cluster import PostgresCluster
from persistence.embedded import SETTINGS, EmbeddedPostgres
from persistence.errors import UnusableFolder
from tests.fixtures.postgres import postmaster_pid, stop_immediately

ROOT = Path(__file__).parents[3]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts it as somebody else")
not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")

HOLDER = """
import sys
from pathlib import Path
from persistence.embedded import EmbeddedPostgres
server = EmbeddedPostgres()
server.start(Path(sys.argv[1]))
print("started", flush=True)
sys.stdin.read()
server.stop()
"""


def test_what_was_committed_is_there_after_a_restart(used_data_dir: Path) -> None:
    with _running(used_data_dir) as dsn:
        _write(dsn, 1)
    with _running(used_data_dir) as dsn:
        assert _read(dsn) == [1]


def test_settings_are_the_declared_ones(used_data_dir: Path) -> None:
    with _running(used_data_dir) as dsn, psycopg.connect(dsn) as connection:
        shown = {
            name: connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            for name in SETTINGS
        }
        listening = connection.execute("SHOW listen_addresses").fetchone()
    assert shown == {name: (value,) for name, value in SETTINGS.items()}
    assert listening == ("",)


def test_nobody_else_on_the_machine_gets_to_the_socket(data_dir: Path) -> None:
    with _running(data_dir):
        cluster = data_dir / "cluster"
        assert (cluster / ".s.PGSQL.5432").is_socket()
        assert cluster.stat().st_mode & 0o077 == 0


def test_the_last_of_two_users_stops_the_server(used_data_dir: Path) -> None:
    first, second = EmbeddedPostgres(), EmbeddedPostgres()
    assert first.start(used_data_dir) == second.start(used_data_dir)
    first.stop()
    assert _is_running(used_data_dir)
    second.stop()
    assert not _is_running(used_data_dir)
    second.stop()  # twice does no harm


def test_a_killed_user_leaves_the_server_to_the_others(used_data_dir: Path) -> None:
    with _running(used_data_dir) as dsn:
        _kill(_holder(used_data_dir))
        _write(dsn, 1)
        assert _read(dsn) == [1]
    assert not _is_running(used_data_dir)


def test_the_servers_only_user_was_killed_and_the_next_takes_it_over(used_data_dir: Path) -> None:
    _kill(_holder(used_data_dir))
    assert _is_running(used_data_dir)
    before = postmaster_pid(used_data_dir)
    with _running(used_data_dir):
        assert postmaster_pid(used_data_dir) == before
    assert not _is_running(used_data_dir)


def test_many_processes_starting_a_new_folder_at_once_share_one_server(data_dir: Path) -> None:
    holders = [_spawn(data_dir) for _ in range(4)]
    try:
        assert [_wait_started(holder) for holder in holders] == ["started"] * 4
        with _running(data_dir) as dsn:
            _write(dsn, 1)
            assert _read(dsn) == [1]
    finally:
        for holder in holders:
            _kill(holder)


def test_nothing_committed_is_lost_by_a_power_failure(used_data_dir: Path) -> None:
    with _running(used_data_dir) as dsn:
        _write(dsn, 1)
        stop_immediately(used_data_dir)
        with _running(used_data_dir) as dsn_after:
            assert _read(dsn_after) == [1]


def test_a_server_that_was_killed_outright_starts_again(used_data_dir: Path) -> None:
    with _running(used_data_dir) as dsn:
        _write(dsn, 1)
        os.kill(postmaster_pid(used_data_dir), signal.SIGKILL)
        with _running(used_data_dir) as dsn_after:
            assert _read(dsn_after) == [1]


def test_a_recycled_pid_is_not_taken_for_the_server(used_data_dir: Path) -> None:
    with _running(used_data_dir) as dsn:
        _write(dsn, 1)
        left_behind = (used_data_dir / "cluster" / "postmaster.pid").read_text().splitlines()
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        stale = "\n".join([str(stranger.pid), *left_behind[1:], ""])
        (used_data_dir / "cluster" / "postmaster.pid").write_text(stale)
        (used_data_dir / "cluster" / ".s.PGSQL.5432").touch()
        (used_data_dir / "cluster" / ".s.PGSQL.5432.lock").write_text(stale)
        with _running(used_data_dir) as dsn:
            assert _read(dsn) == [1]
        assert stranger.poll() is None
    finally:
        _kill(stranger)


def test_a_half_made_folder_is_made_anew(data_dir: Path) -> None:
    unfinished = data_dir / "cluster.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with _running(data_dir) as dsn:
        _write(dsn, 1)


def test_the_environment_does_not_lead_it_astray(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "6000")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("LANG", "xx_XX.UTF-8")
    monkeypatch.chdir("/")
    with _running(data_dir) as dsn:
        monkeypatch.delenv("PGPORT")
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SHOW port").fetchone() == ("5432",)


def test_it_is_quiet(data_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HOLDER, str(data_dir)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("started\n", "")


# ------------------------------------------------------------------ the login that serves


def test_session_of_the_server_has_no_more_rights_to_go_back_to(used_data_dir: Path) -> None:
    with _admitted(used_data_dir) as dsn, psycopg.connect(dsn, autocommit=True) as session:
        session.execute("SET ROLE playhall_server")
        session.execute("RESET ROLE")
        mighty = session.execute(
            "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication"
            " FROM pg_roles WHERE rolname = session_user"
        )
        assert mighty.fetchone() == (False,)
        for statement in (
            "SET ROLE postgres",
            "SET SESSION AUTHORIZATION postgres",
            "SET ROLE service_role",
            "CREATE ROLE more",
            "ALTER ROLE playhall_node SUPERUSER",
            "ALTER TABLE game_events DISABLE TRIGGER ALL",
            "COPY (SELECT 1) TO PROGRAM 'true'",
            "SELECT pg_read_file('PG_VERSION')",
            "CREATE EXTENSION dblink",
            "CREATE TABLE public.own (n int)",
            "DELETE FROM game_events",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(statement.encode())


def test_folder_of_an_older_version_gets_the_login_and_loses_what_it_must_not_have(
    used_data_dir: Path,
) -> None:
    with _admitted(used_data_dir), psycopg.connect(_owner(used_data_dir), autocommit=True) as owner:
        owner.execute("ALTER ROLE playhall_node SUPERUSER CREATEROLE BYPASSRLS")
        owner.execute("GRANT postgres, service_role TO playhall_node")
    with _admitted(used_data_dir) as dsn, psycopg.connect(dsn) as session:
        found = session.execute(
            "SELECT rolsuper, rolcreaterole, rolbypassrls,"
            " ARRAY(SELECT roleid::regrole::text FROM pg_auth_members WHERE member = r.oid)"
            " FROM pg_roles r WHERE rolname = session_user"
        )
        assert found.fetchone() == (False, False, False, ["playhall_server", "pg_maintain"])


@contextmanager
def _admitted(data_dir: Path) -> Iterator[str]:
    server = EmbeddedPostgres()
    runner.upgrade(server.start(data_dir))
    try:
        yield server.ensure_login()
    finally:
        server.stop()


def _owner(data_dir: Path) -> str:
    return PostgresCluster(data_dir.resolve() / "cluster").dsn


# ------------------------------------------------------------------ refusals


def test_another_versions_folder_is_refused(used_data_dir: Path) -> None:
    with _running(used_data_dir):
        pass
    (used_data_dir / "cluster" / "PG_VERSION").write_text("14\n")
    with pytest.raises(UnusableFolder, match="was made by PostgreSQL 14, and this is 18"):
        EmbeddedPostgres().start(used_data_dir)


def test_a_file_in_the_folders_place_is_refused(data_dir: Path) -> None:
    (data_dir.parent / "file").touch()
    with pytest.raises(UnusableFolder, match=r"cannot be used \(Not a directory\)"):
        EmbeddedPostgres().start(data_dir.parent / "file" / "postgres")


def test_a_path_too_long_for_a_socket_is_refused(data_dir: Path) -> None:
    with pytest.raises(UnusableFolder, match="too long for a socket; choose another data folder"):
        EmbeddedPostgres().start(data_dir / ("x" * 100))


@pytest.mark.parametrize("name", ["a,b", "two\nlines", "not \udcff UTF-8"])
def test_a_path_that_clients_cannot_name_is_refused_before_anything_is_made(
    data_dir: Path, name: str
) -> None:
    with pytest.raises(UnusableFolder, match="choose another data folder with --data-dir"):
        EmbeddedPostgres().start(data_dir / name)
    assert not (data_dir / name / "cluster").exists()


@pytest.mark.parametrize(
    "name",
    ['it\'s a "quote"', "$HOME `id` back\\slash", "ünï a+b=c@d 100% #1?"],
)
def test_a_path_with_odd_characters_is_served_from(data_dir: Path, name: str) -> None:
    with _running(data_dir / name) as dsn:
        runner.upgrade(dsn)
        assert runner.status(dsn).pending == ()
        _write(dsn, 1)
    with _running(data_dir / name) as dsn:
        assert _read(dsn) == [1]
    assert not (data_dir / name / "cluster" / "postmaster.pid").exists()


@as_root
def test_a_closed_folder_is_opened_for_postgresqls_user_alone(data_dir: Path) -> None:
    private = data_dir.parent / "private"
    private.mkdir(mode=0o700)
    server = EmbeddedPostgres()
    server.start(private / "postgres")
    server.stop()
    for folder in (private, private / "postgres"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o710
        assert folder.stat().st_gid == (private / "postgres" / "cluster").stat().st_gid


@not_as_root
def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UnusableFolder, match=r"cannot be used \(Permission denied\)"):
        EmbeddedPostgres().start(tmp_path / "postgres")


def test_what_postgresql_says_is_passed_on(data_dir: Path) -> None:
    with pytest.raises(UnusableFolder, match="shared_buffers"):
        EmbeddedPostgres(settings={**SETTINGS, "shared_buffers": "none"}).start(data_dir)
    with _running(data_dir):
        pass


@contextmanager
def _running(data_dir: Path) -> Iterator[str]:
    server = EmbeddedPostgres()
    dsn = server.start(data_dir)
    try:
        yield dsn
    finally:
        server.stop()


def _write(dsn: str, value: int) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])


def _read(dsn: str) -> list[int]:
    with psycopg.connect(dsn) as connection:
        return [value for (value,) in connection.execute("SELECT value FROM kept")]


def _is_running(data_dir: Path) -> bool:
    return (data_dir / "cluster" / "postmaster.pid").exists()


def _spawn(data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(data_dir)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _wait_started(holder: subprocess.Popen[str]) -> str:
    assert holder.stdout is not None
    return holder.stdout.readline().strip()


def _holder(data_dir: Path) -> subprocess.Popen[str]:
    holder = _spawn(data_dir)
    assert _wait_started(holder) == "started"
    return holder


def _kill(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()
