"""URLs of databases as hosting services hand them out: they work, or one sentence says why not."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from migrations import runner
from persistence.cluster import PostgresCluster
from persistence.embedded import EmbeddedPostgres
from tests.fixtures.node import Node
from tests.fixtures.pgbouncer import IGNORED, pgbouncer
from tests.fixtures.postgres import Databases
from tests.fixtures.shell import playhall

TIMEOUT_S = 60


def refusal(folder: Path, dsn: str, *command: str) -> str:
    """Run a command that must end with one sentence; gives it."""
    settings = {"PLAYHALL_DATABASE_URL": dsn, "PLAYHALL_DATA_DIR": str(folder)}
    done = playhall(*(command or ("serve", "--port", "0")), environment=settings)
    assert done.status == 1, done.said
    (line,) = done.err.splitlines()
    assert line.startswith("playhall: ")
    return line


def serves(folder: Path, dsn: str) -> None:
    """Start a node, and have it read and write."""
    with Node(folder, dsn) as node:
        guest = urllib.request.Request(f"{node.url}/v1/auth/guest", b"{}", method="POST")
        guest.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(guest) as response:
            assert response.status == 200
        with urllib.request.urlopen(f"{node.url}/v1/lobbies") as response:
            assert response.status == 200
        assert node.stop() == 0


def _with(dsn: str, parameters: str) -> str:
    return f"{dsn}{'&' if urlsplit(dsn).query else '?'}{parameters}"


@pytest.mark.parametrize(
    "parameters",
    [
        "connect_timeout=10&application_name=x&channel_binding=prefer&keepalives=1",
        "pgbouncer=true&connection_limit=1&schema=public&sslmode=prefer",
        "ssl=false&options=-c%20work_mem%3D8MB&target_session_attrs=read-write",
    ],
)
def test_parameters_of_hosters_are_served_with(
    tmp_path: Path, serving_dsn: str, parameters: str
) -> None:
    serves(tmp_path, _with(serving_dsn, parameters))


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ("sslmode=no-verify", "sslmode=no-verify is none of disable, allow, prefer"),
        ("sslmode=verify-full&sslrootcert=/no/such.pem", "/no/such.pem of sslrootcert cannot be"),
        ("schema=other", "schema=other is not possible"),
        ("statement_cache_size=0&nonsense=1", "does not know the parameter nonsense"),
    ],
)
@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("migrate",), ("keys", "list")])
def test_parameters_that_cannot_be_followed_are_named_by_every_command(
    tmp_path: Path, serving_dsn: str, parameters: str, said: str, command: tuple[str, ...]
) -> None:
    assert said in refusal(tmp_path, _with(serving_dsn, parameters), *command)


@pytest.mark.parametrize("parameters", ["ssl=true", "sslmode=require"])
def test_tls_that_a_server_does_not_offer_is_said(
    tmp_path: Path, serving_dsn: str, parameters: str
) -> None:
    with pgbouncer(serving_dsn, mode="session") as dsn:  # what there is here that listens on TCP
        line = refusal(tmp_path, _with(dsn, parameters))
    assert "does not offer TLS, which sslmode requires" in line


def test_host_that_there_is_not_is_named(tmp_path: Path) -> None:
    line = refusal(tmp_path, "postgresql://u:secret@no-such-host.invalid/db")
    assert "There is no host no-such-host.invalid" in line
    assert "secret" not in line


def test_database_that_nothing_listens_for_cannot_be_reached(tmp_path: Path) -> None:
    line = refusal(tmp_path, "postgresql://u:secret@127.0.0.1:9/db")
    assert "The database cannot be reached" in line


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_database_of_another_encoding_is_refused(
    tmp_path: Path, databases: Databases, encoding: str
) -> None:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(databases.dsn, autocommit=True) as connection:
        connection.execute(
            SQL(
                "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LOCALE_PROVIDER libc LOCALE 'C'"
            ).format(Identifier(name), encoding)
        )
    dsn = databases.dsn_of(name)
    try:
        for command in ("serve", "migrate"):
            line = refusal(tmp_path, dsn, command)
            assert f"stores text as {encoding}" in line
            assert "ENCODING 'UTF8'" in line
    finally:
        databases.drop(dsn)


# ------------------------------------------------------------------ odd defaults of a login


@pytest.fixture
def odd_login(databases: Databases, fresh_dsn: str) -> Iterator[str]:
    """A login that may serve, to be given odd defaults; its name for the fresh database."""
    name = f"odd_{uuid4().hex}"
    with psycopg.connect(databases.dsn, autocommit=True) as connection:
        connection.execute(
            SQL("CREATE ROLE {} LOGIN IN ROLE playhall_server").format(Identifier(name))
        )
    yield urlsplit(fresh_dsn)._replace(netloc=f"{name}@").geturl()
    with psycopg.connect(databases.dsn, autocommit=True) as connection:
        connection.execute(SQL("DROP ROLE {}").format(Identifier(name)))


def _set_default(databases: Databases, login_dsn: str, name: str, value: str) -> None:
    with psycopg.connect(databases.dsn, autocommit=True) as connection:
        login = Identifier(urlsplit(login_dsn).username or "")
        connection.execute(SQL("ALTER ROLE {} SET {} = {}").format(login, Identifier(name), value))


ODD_DEFAULTS = {
    "search_path": "pg_catalog",
    "statement_timeout": "7min",
    "lock_timeout": "7min",
    "idle_in_transaction_session_timeout": "7min",
    "idle_session_timeout": "7min",
    "DateStyle": "German, DMY",
    "TimeZone": "Pacific/Chatham",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "row_security": "off",
    "default_transaction_deferrable": "on",
    "client_encoding": "LATIN1",
    "role": "anon",
}


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_odd_defaults_of_a_login_change_nothing(
    tmp_path: Path, databases: Databases, odd_login: str, isolation: str
) -> None:
    for name, value in {**ODD_DEFAULTS, "default_transaction_isolation": isolation}.items():
        _set_default(databases, odd_login, name, value)
    serves(tmp_path, odd_login)


def test_odd_defaults_of_the_owner_do_not_keep_it_from_migrating(
    databases: Databases, empty_dsn: str
) -> None:
    name = Identifier(urlsplit(empty_dsn).path[1:])
    with psycopg.connect(databases.dsn, autocommit=True) as connection:
        for setting, value in {
            **ODD_DEFAULTS,
            "default_transaction_isolation": "serializable",
        }.items():
            if setting != "role":  # a login's only
                connection.execute(
                    SQL("ALTER DATABASE {} SET {} = {}").format(name, Identifier(setting), value)
                )
    runner.upgrade(empty_dsn)
    assert runner.status(empty_dsn).pending == ()


def test_login_that_may_only_read_is_refused(
    tmp_path: Path, databases: Databases, odd_login: str
) -> None:
    _set_default(databases, odd_login, "default_transaction_read_only", "on")
    assert "default_transaction_read_only is on" in refusal(tmp_path, odd_login)


def test_error_for_a_login_without_a_free_connection_says_so(
    tmp_path: Path, databases: Databases, odd_login: str
) -> None:
    with psycopg.connect(databases.dsn, autocommit=True) as connection:
        login = Identifier(urlsplit(odd_login).username or "")
        connection.execute(SQL("ALTER ROLE {} CONNECTION LIMIT 0").format(login))
    assert "has no free connection" in refusal(tmp_path, odd_login)


# ------------------------------------------------------------------ a server of another kind


def test_standby_is_refused_and_so_is_a_wrong_password(tmp_path: Path, used_data_dir: Path) -> None:
    server = EmbeddedPostgres()
    dsn = server.start(used_data_dir)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE ROLE node LOGIN PASSWORD 'right' IN ROLE playhall_server")
    server.stop()
    cluster = used_data_dir / "cluster"
    (cluster / "pg_hba.conf").write_text("local all node scram-sha-256\nlocal all all trust\n")
    (cluster / "standby.signal").touch()
    server.start(used_data_dir)
    try:
        parts = urlsplit(dsn)
        right, wrong = (
            parts._replace(netloc=f"node:{word}@").geturl() for word in ("right", "wrong")
        )
        line = refusal(tmp_path, right)
        assert "is a standby, which only reads" in line
        assert "target_session_attrs=read-write" in line
        line = refusal(tmp_path, wrong)
        assert 'password authentication failed for user "node"' in line
        assert "wrong" not in line
        line = refusal(tmp_path, _with(right, "target_session_attrs=read-write"))
        assert "what target_session_attrs asks for" in line
    finally:
        server.stop()
        PostgresCluster(cluster).stop()


# ------------------------------------------------------------------ poolers


@pytest.mark.parametrize("settings", [{}, {"ignore_startup_parameters": IGNORED}])
def test_pooler_in_session_mode_is_served_through(
    tmp_path: Path, serving_dsn: str, settings: dict[str, object]
) -> None:
    with pgbouncer(serving_dsn, mode="session", **settings) as dsn:
        serves(tmp_path, dsn)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"ignore_startup_parameters": IGNORED},
        {"ignore_startup_parameters": IGNORED, "default_pool_size": 1},
        {"ignore_startup_parameters": IGNORED, "server_round_robin": 1, "min_pool_size": 3},
    ],
    ids=["default", "ignoring", "one server", "round robin"],
)
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_pooler_that_keeps_no_sessions_is_refused_at_the_start(
    tmp_path: Path, serving_dsn: str, mode: str, settings: dict[str, object]
) -> None:
    with pgbouncer(serving_dsn, mode=mode, **settings) as dsn:
        line = refusal(tmp_path, _with(dsn, "pgbouncer=true"))
        assert "is a pooler (such as PgBouncer) that keeps no sessions" in line
        with psycopg.connect(dsn, autocommit=True) as connection:  # what others find behind it
            assert connection.execute("SELECT current_user = session_user").fetchone() == (True,)
