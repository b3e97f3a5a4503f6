"""Backups that are restored: into a database of one's own and into the bundled one, both ways."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from migrations import runner
from persistence.cluster import postgres_program
from persistence.embedded import EmbeddedPostgres
from tests.fixtures import shell
from tests.fixtures.node import Node
from tests.fixtures.postgres import Databases

DATA = Path(__file__).parents[1] / "integration" / "persistence" / "data"
TIMEOUT_S = 120

TABLES = """
    SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('public', 'playhall_auth', 'auth') AND c.relkind = 'r' ORDER BY 1
"""
# Everything that decides who may do what, but for the names of owners.
RIGHTS = """
    SELECT 'policy', tablename, policyname, cmd, qual, with_check,
        CASE WHEN policyname = 'owner' THEN '' ELSE roles::text END
    FROM pg_policies WHERE schemaname IN ('public', 'playhall_auth', 'auth')
    UNION ALL
    SELECT 'table', c.oid::regclass::text, relrowsecurity::text, relforcerowsecurity::text, '', '',
        (SELECT string_agg(a.grantee::regrole || a.privilege_type, ' '
            ORDER BY a.grantee::regrole::text, a.privilege_type)
         FROM aclexplode(relacl) a WHERE a.grantee NOT IN (0, c.relowner))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('public', 'playhall_auth', 'auth') AND c.relkind IN ('r', 'p', 'v')
    UNION ALL
    SELECT 'trigger', tgrelid::regclass::text, tgname, tgenabled::text, '', '', ''
    FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT 'member', r.rolname, m.rolname, r.rolinherit::text, '', '', ''
    FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.member JOIN pg_roles m ON m.oid = a.roleid
    WHERE r.rolname = 'playhall_server'
    ORDER BY 1, 2, 3, 4, 5, 6, 7
"""


def playhall(*arguments: str, dsn: str | None = None, folder: Path | None = None) -> shell.Done:
    settings = {
        "PLAYHALL_DATABASE_URL": dsn,
        "PLAYHALL_DATA_DIR": None if folder is None else str(folder),
    }
    return shell.playhall(*arguments, environment=settings)


@pytest.fixture
def owner(databases: Databases) -> Iterator[str]:
    """A login that may make databases and roles, and is no superuser; its name."""
    name = f"owner_{uuid4().hex}"
    with psycopg.connect(databases.dsn, autocommit=True) as admin:
        admin.execute(SQL("CREATE ROLE {} LOGIN CREATEROLE").format(Identifier(name)))
        admin.execute(
            SQL(
                "GRANT anon, authenticated, service_role, playhall_server TO {} WITH ADMIN OPTION"
            ).format(Identifier(name))
        )
    yield name
    with psycopg.connect(databases.dsn, autocommit=True) as admin:
        admin.execute(SQL("DROP OWNED BY {}").format(Identifier(name)))
        admin.execute(SQL("DROP ROLE {}").format(Identifier(name)))


@pytest.fixture
def own_databases(databases: Databases, owner: str) -> Iterator[list[str]]:
    """Two empty databases of that login."""
    made = [databases.create() for _ in range(2)]
    with psycopg.connect(databases.dsn, autocommit=True) as admin:
        for dsn in made:
            name = Identifier(urlsplit(dsn).path[1:])
            admin.execute(SQL("ALTER DATABASE {} OWNER TO {}").format(name, Identifier(owner)))
    yield [urlsplit(dsn)._replace(netloc=f"{owner}@").geturl() for dsn in made]
    for dsn in made:
        databases.drop(dsn)


@pytest.fixture
def filled(own_databases: list[str], databases: Databases) -> str:
    """A database of one's own with a row in every table."""
    dsn = own_databases[0]
    runner.upgrade(dsn)
    with psycopg.connect(as_superuser(dsn)) as admin:
        for revision in runner.revisions():
            admin.execute(DATA.joinpath(f"{revision}.sql").read_bytes())
    return dsn


def as_superuser(dsn: str) -> str:
    return urlsplit(dsn)._replace(netloc="postgres@").geturl()


def contents(dsn: str) -> dict[str, list[str]]:
    """Read every row of every table, as text."""
    with psycopg.connect(as_superuser(dsn)) as admin:
        return {
            table: [
                text
                for (text,) in admin.execute(
                    f"SELECT row::text FROM {table} AS row ORDER BY 1".encode()
                )
                if not text.startswith("(backup,infinity")  # noted once the dump is complete
            ]
            for (table,) in admin.execute(TABLES.encode())
        }


def rights(dsn: str) -> list[tuple[str, ...]]:
    with psycopg.connect(as_superuser(dsn)) as admin:
        return list(admin.execute(RIGHTS.encode()))


def test_how_a_backup_ended_is_noted_for_the_nodes(fresh_dsn: str, tmp_path: Path) -> None:
    dsn = fresh_dsn

    def noted() -> Any:
        with psycopg.connect(as_superuser(dsn)) as admin:
            return admin.execute(
                "SELECT last_error, duration_s > 0, ended_at IS NOT NULL FROM maintenance_jobs "
                "WHERE job = 'backup'"
            ).fetchone()

    file = tmp_path / "playhall.dump"
    assert playhall("backup", str(file), dsn=dsn, folder=tmp_path).status == 0
    assert noted() == (None, True, True)
    refused = playhall("backup", str(file), dsn=dsn, folder=tmp_path)
    assert refused.status == 1
    error, *_ = noted()
    assert "already exists" in error
    # A standby, and a database that is older than the table, are dumped all the same.
    with psycopg.connect(as_superuser(dsn), autocommit=True) as admin:
        name = Identifier(urlsplit(dsn).path[1:])
        admin.execute(SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
    again = tmp_path / "again.dump"
    done = playhall("backup", str(again), dsn=dsn, folder=tmp_path)
    assert done.status == 0, done.err
    assert again.stat().st_size > 0


def test_own_database_is_restored_by_its_owner_and_by_another(
    filled: str, own_databases: list[str], databases: Databases, tmp_path: Path
) -> None:
    file = tmp_path / "playhall.dump"
    done = playhall("backup", str(file), dsn=filled, folder=tmp_path)
    assert done.status == 0, done.err
    assert file.stat().st_mode & 0o077 == 0
    done = playhall("restore", str(file), dsn=own_databases[1], folder=tmp_path)
    assert done.status == 0, done.err
    assert contents(own_databases[1]) == contents(filled)
    assert rights(own_databases[1]) == rights(filled)
    assert len([row for row in rights(filled) if row[0] == "policy"]) > 150
    assert runner.status(own_databases[1]).pending == ()
    # Whoever restored may back it up in turn: the owner's policies are theirs.
    again = tmp_path / "again.dump"
    assert playhall("backup", str(again), dsn=own_databases[1], folder=tmp_path).status == 0
    serves(tmp_path / "node", databases.serving_dsn(own_databases[1]))


@pytest.mark.long("another PostgreSQL server, and everything three times")
def test_own_database_is_restored_into_the_bundled_one_and_back(
    filled: str, own_databases: list[str], databases: Databases, tmp_path: Path, data_dir: Path
) -> None:
    folder, dumps = data_dir.parent, [tmp_path / "first.dump", tmp_path / "second.dump"]
    assert playhall("backup", str(dumps[0]), dsn=filled, folder=tmp_path).status == 0
    done = playhall("restore", str(dumps[0]), folder=folder)
    assert done.status == 0, done.err
    with bundled(data_dir) as dsn:
        assert contents(dsn) == contents(filled)
        assert rights(dsn) == rights(filled)
        with psycopg.connect(dsn) as admin:  # the role that the dump named as owner is gone again
            left = admin.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'owner%'")
            assert left.fetchone() == (0,)
        forget_made_up_keys(dsn)
    with Node(folder, None, epochs=False) as node:
        assert get(f"{node.url}/readyz") == 200
        assert node.stop() == 0
    assert playhall("backup", str(dumps[1]), folder=folder).status == 0
    done = playhall("restore", str(dumps[1]), dsn=own_databases[1], folder=tmp_path)
    assert done.status == 0, done.err
    assert rights(own_databases[1]) == rights(filled)
    serves(tmp_path / "node", databases.serving_dsn(own_databases[1]))


OLDER = sorted(
    path for path in Path("/usr/lib/postgresql").glob("1[56]/bin") if (path / "initdb").exists()
)


@pytest.mark.long("another PostgreSQL server")
@pytest.mark.skipif(not OLDER, reason="no PostgreSQL before 17 here")
def test_backup_is_restored_into_an_older_postgres(filled: str, data_dir: Path) -> None:
    folder, user = data_dir.parent, "nobody" if os.geteuid() == 0 else None
    where = folder / "older"
    where.mkdir()
    if user:
        shutil.chown(where, user)

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [OLDER[0] / program, "-D", where / "data", *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=where,
            user=user,
            extra_groups=[] if user else None,
        )

    run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
    options = f"-c listen_addresses='' -c unix_socket_directories={where}"
    run("pg_ctl", "start", "-w", "-l", f"{where}/log", "-o", options)
    try:
        dsn = f"postgresql://postgres@/postgres?host={where}"
        file = folder / "playhall.dump"
        assert playhall("backup", str(file), dsn=filled, folder=folder).status == 0
        done = playhall("restore", str(file), dsn=dsn, folder=folder)
        assert done.status == 0, done.err
        assert contents(dsn) == contents(filled)
        assert [r for r in rights(dsn) if r[0] == "policy"] == [
            r for r in rights(filled) if r[0] == "policy"
        ]
    finally:
        run("pg_ctl", "stop", "-m", "immediate")


@pytest.mark.long("everything once more")
def test_documented_way_by_hand_restores_everything_too(
    filled: str, own_databases: list[str], tmp_path: Path
) -> None:
    file = f"{tmp_path}/playhall.dump"
    for program in (
        ("pg_dump", "--format=custom", "--enable-row-security", f"--file={file}", filled),
        (
            *("pg_restore", "--no-owner", "--exit-on-error", "--single-transaction"),
            *(f"--dbname={own_databases[1]}", file),
        ),
    ):
        command = [postgres_program(program[0]), *program[1:]]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert contents(own_databases[1]) == contents(filled)
    assert rights(own_databases[1]) == rights(filled)


def test_person_who_signs_in_by_email_is_not_shut_out_by_a_move_to_ones_own_database(
    own_databases: list[str], databases: Databases, tmp_path: Path, used_data_dir: Path
) -> None:
    """The bundled database comes with mail in a folder, one's own with none until SMTP is set."""
    folder, file = used_data_dir.parent, tmp_path / "playhall.dump"
    login = {"email": "mike@example.org", "password": "correct horse"}
    with Node(folder, None) as node:
        post(node, "/v1/auth/email", {"email": login["email"]})
        code = mailed_code(folder / "mail")
        post(node, "/v1/auth/email/confirm", {"code": code, "password": login["password"]})
        node.stop()
    assert playhall("backup", str(file), folder=folder).status == 0
    assert playhall("restore", str(file), dsn=own_databases[1], folder=tmp_path).status == 0
    secret_keys = (folder / "secret.key").read_text()  # as the instructions say
    serving = databases.serving_dsn(own_databases[1])
    with Node(tmp_path / "node", serving, secret_keys=secret_keys) as node:
        tokens = post(node, "/v1/auth/email/sign-in", login)
        assert tokens["access_token"]
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            post(node, "/v1/auth/email", {"email": "new@example.org"})
        assert b"This server does not send email" in refused.value.read()
        refused.value.close()
        change = {"password": login["password"], "new_password": "battery staple"}
        post(node, "/v1/me/password", change, token=str(tokens["access_token"]))
        assert post(node, "/v1/auth/email/sign-in", {**login, "password": "battery staple"})


def post(
    node: Node, path: str, body: dict[str, str], token: str | None = None
) -> dict[str, object]:
    request = urllib.request.Request(f"{node.url}{path}", json.dumps(body).encode(), method="POST")
    request.add_header("Content-Type", "application/json")
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request) as response:
        answer: dict[str, object] = json.load(response)
        return answer


def mailed_code(folder: Path) -> str:
    """Wait for the one mail, and read the code in it."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (mails := list(folder.glob("*.eml"))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    text = message_from_bytes(mails[0].read_bytes(), policy=policy.default).get_content()
    found = re.search(r"code=([\w-]+)", text) or re.search(r"^\s*([\w-]{20,})\s*$", text, re.M)
    assert found, text
    return found[1]


def test_restore_goes_into_an_empty_database_only(
    filled: str, tmp_path: Path, own_databases: list[str]
) -> None:
    file = tmp_path / "playhall.dump"
    assert playhall("backup", str(file), dsn=filled, folder=tmp_path).status == 0
    before = contents(filled)
    done = playhall("restore", str(file), dsn=filled, folder=tmp_path)
    assert done.status == 1
    assert "The database is not empty" in done.err
    assert contents(filled) == before

    file.write_bytes(file.read_bytes()[:-2000])  # as by a full disk
    done = playhall("restore", str(file), dsn=own_databases[1], folder=tmp_path)
    assert done.status == 1
    assert "Traceback" not in done.err
    assert contents(own_databases[1]) == {}


def test_backup_is_whole_or_refused(filled: str, tmp_path: Path, databases: Databases) -> None:
    file = tmp_path / "playhall.dump"
    done = playhall("backup", str(file), dsn=databases.serving_dsn(filled), folder=tmp_path)
    assert done.status == 1
    assert "cannot see every row of" in done.err
    assert list(tmp_path.iterdir()) == []
    file.write_text("mine")
    done = playhall("backup", str(file), dsn=filled, folder=tmp_path)
    assert (done.status, file.read_text()) == (1, "mine")
    assert "already exists" in done.err


@contextmanager
def bundled(data_dir: Path) -> Iterator[str]:
    """Run the bundled PostgreSQL of a folder for a block; gives its superuser's name of it."""
    server = EmbeddedPostgres()
    yield server.start(data_dir)
    server.stop()


def forget_made_up_keys(dsn: str) -> None:
    """Delete of the test's rows what no key signs with, or opens."""
    with psycopg.connect(as_superuser(dsn)) as admin:
        for table in ("signing_keys", "methods", "codes"):
            admin.execute(f"DELETE FROM playhall_auth.{table}".encode())
        admin.execute("DELETE FROM webhook_endpoints")


def serves(folder: Path, dsn: str) -> None:
    forget_made_up_keys(dsn)
    with Node(folder, dsn, epochs=False) as node:  # the rows' days have no rules to go by
        assert get(f"{node.url}/readyz") == 200
        assert post(node, "/v1/auth/guest", {})["access_token"]
        assert node.stop() == 0


def get(url: str) -> int:
    with urllib.request.urlopen(url) as response:
        status: int = response.status
        return status
