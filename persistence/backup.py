"""Dumps of a database, and new databases from them.

The work is that of PostgreSQL's `pg_dump` and `pg_restore`. What they leave out is done here:

- Row level security is forced, so an owner's `pg_dump` refuses every table unless it is told to
  dump what it may see. That is all, by the policy `owner`, which is checked first.
- Roles belong to a server and are in no dump; those that grants and policies name are made first.
- The policy `owner` names the login that migrated. Another one may restore, so it is changed.
- Rights on the database itself are in no dump either; see `playhall_auth.harden`.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import IO, Final
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg.sql import SQL, Identifier

from persistence.cluster import postgres_program
from persistence.dsn import normalise_dsn
from persistence.errors import StartRefused
from persistence.queries import load_queries

CONNECT_TIMEOUT_S: Final = 10
ERROR_CHARS_MAX: Final = 1000
OWNER_POLICY: Final = re.compile(rb'^CREATE POLICY owner ON \S+ TO ("(?:[^"]|"")+"|\w+)', re.M)

AS_ONE: Final = ("--single-transaction",)
# A dump of a newer server has what servers before this version do not know: a setting that
# `pg_restore` makes (from 17 on), and the form of events (`choose_event_form`).
EVENT_FORM_SINCE: Final = 18_00_00
UNKNOWN_SETTING: Final = b"SET transaction_timeout = 0;\n"
HEADER_LINES_MAX: Final = 100
COMPUTED_ON_READ: Final = re.compile(
    rb"^(    id uuid GENERATED ALWAYS AS \(\(md5\(.*\)\)::uuid\))(,?\n)$"
)
NOT_ENFORCED: Final = re.compile(rb"^(    ADD CONSTRAINT \w+ FOREIGN KEY .*) NOT ENFORCED;\n$")

_queries = load_queries("backup")


class BackupFailed(StartRefused):
    """A database could not be dumped, or not be made from a dump."""


def write_dump(dsn: str, file: Path) -> None:
    """Write a dump of a database, whole or not at all; raise `BackupFailed`.

    It has no roles, no sealing keys and no files. What is in it is secret: keys that sign tokens,
    and seeds of running games. How it ended is noted in the database, where the nodes see it.
    """
    began_at = monotonic()
    try:
        _write_dump(dsn, file)
    except BackupFailed as failed:
        _note(dsn, monotonic() - began_at, str(failed))
        raise
    _note(dsn, monotonic() - began_at, None)


def _note(dsn: str, seconds: float, error: str | None) -> None:
    said = None if error is None else error[:ERROR_CHARS_MAX]
    # What was dumped is a backup whether or not it can be noted: a standby can be dumped and not be
    # written to, and an old database has no such table.
    with suppress(BackupFailed), _connected(dsn) as connection:
        connection.execute(_queries["note_backup"], {"seconds": seconds, "error": said})


def _write_dump(dsn: str, file: Path) -> None:
    if file.exists():
        raise BackupFailed(f"{file} already exists; choose a new file, or move that one away.")
    with _connected(dsn) as connection:
        hidden = connection.execute(_queries["hidden"]).fetchone()
    if hidden is not None:
        raise BackupFailed(
            f"This login cannot see every row of {hidden[0]}; dump as the owner of the tables, "
            "who migrates, or as a superuser."
        )
    unfinished = file.with_name(f"{file.name}.part")
    try:
        unfinished.touch(mode=0o600, exist_ok=False)
        with unfinished.open("rb") as written:
            _run(
                dsn,
                *("pg_dump", "--format=custom", "--enable-row-security"),
                f"--file={unfinished}",
            )
            os.fsync(written.fileno())
        unfinished.rename(file)
    except FileExistsError:
        raise BackupFailed(f"{unfinished} already exists; is another backup running?") from None
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def restore_dump(dsn: str, file: Path) -> None:
    """Fill an empty database from a dump, whole or not at all; raise `BackupFailed`."""
    if not file.is_file():
        raise BackupFailed(f"There is no file {file}.")
    owners = _owners_in(dsn, file)
    with _connected(dsn) as connection:
        in_the_way = connection.execute(_queries["in_the_way"]).fetchone()
        if in_the_way is not None:
            raise BackupFailed(
                f"The database is not empty: {in_the_way[0]} is in it. Restore into a new one: "
                "another --data-dir, or what CREATE DATABASE makes."
            )
        connection.execute(_queries["roles"])
        with _roles_for_now(connection, owners), _list_of(dsn, file) as wanted:
            what = ("--no-owner", f"--use-list={wanted}", str(file))
            if connection.info.server_version >= EVENT_FORM_SINCE:
                _run(dsn, "pg_restore", *AS_ONE, "--exit-on-error", *what)
            else:
                _restore_into_older(dsn, *what)
            connection.execute(_queries["take_over"])


def count_archived(dsn: str) -> int:
    """Count the games whose logs are in the object store, and so in no dump."""
    with _connected(dsn) as connection:
        if connection.execute(_queries["has_archives"]).fetchone() != (True,):
            return 0
        found = connection.execute(_queries["archived"]).fetchone()
    return 0 if found is None else int(found[0])


def count_contents(dsn: str) -> dict[str, int]:
    """Count the rows of the main tables, by their names."""
    with _connected(dsn) as connection:
        cursor = connection.execute(_queries["contents"])
        assert cursor.description is not None
        names = [column.name for column in cursor.description]
        return dict(zip(names, cursor.fetchone() or (), strict=True))


@contextmanager
def _connected(dsn: str) -> Iterator["psycopg.Connection"]:
    try:
        with psycopg.connect(
            normalise_dsn(dsn), connect_timeout=CONNECT_TIMEOUT_S, autocommit=True
        ) as connection:
            yield connection
    except psycopg.Error as error:
        raise BackupFailed(f"The database says: {str(error).splitlines()[0]}.") from error


@contextmanager
def _roles_for_now(connection: "psycopg.Connection", names: set[str]) -> Iterator[None]:
    """Make the roles that a dump names as its owner, for a block; those that are there stay."""
    made = [n for n in names if connection.execute(_queries["is_role"], [n]).fetchone() is None]
    for name in made:
        connection.execute(SQL("CREATE ROLE {} NOLOGIN").format(Identifier(name)))
    try:
        yield
    finally:
        for name in made:
            connection.execute(SQL("DROP ROLE {}").format(Identifier(name)))


def _owners_in(dsn: str, file: Path) -> set[str]:
    text = _output_of(dsn, "pg_restore", "--section=post-data", "--file=-", str(file))
    return {_unquoted(name.decode()) for name in OWNER_POLICY.findall(text)}


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _run(dsn: str, name: str, *arguments: str) -> None:
    url, environment = _without_password(normalise_dsn(dsn))
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program
        [_program(dsn, name), f"--dbname={url}", "--no-password", *arguments],
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
    )
    if done.returncode:
        raise BackupFailed(_said(name, done.stderr))


@contextmanager
def _list_of(dsn: str, file: Path) -> Iterator[Path]:
    """List what a dump has, for a block, but for rights on PostgreSQL's own functions.

    `take_over` gives those anew: a server of another version has other functions.
    """
    text = _output_of(dsn, "pg_restore", "--list", str(file))
    kept = [line for line in text.splitlines(keepends=True) if b" ACL pg_catalog " not in line]
    with tempfile.TemporaryDirectory(prefix="playhall-") as folder:
        path = Path(folder, "list")
        path.write_bytes(b"".join(kept))
        yield path


def _restore_into_older(dsn: str, *what: str) -> None:
    """Restore as text, without what an older server does not know."""
    url, environment = _without_password(normalise_dsn(dsn))
    psql = [_program(dsn, "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", *AS_ONE]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603 - PostgreSQL's own program
            [*psql, "--no-password", f"--dbname={url}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=environment,
        ) as target,
    ):
        assert target.stdin is not None
        is_read = True
        try:
            # One after the other, so that only definitions are looked at, never what rows hold.
            for section in ("pre-data", "data", "post-data"):
                command = [_program(dsn, "pg_restore"), "--file=-", f"--section={section}", *what]
                is_read = _copy_section(command, section, target.stdin, said)
                if not is_read:
                    target.kill()  # before it commits a part
                    break
            target.stdin.close()
        except BrokenPipeError:
            pass  # psql has ended, and said why
        if target.wait() or not is_read:
            said.seek(0)
            raise BackupFailed(_said("pg_restore", said.read()))


def _copy_section(command: list[str], section: str, into: IO[bytes], said: IO[bytes]) -> bool:
    """Write a section of a dump as older servers take it; says if all of it could be read."""
    with subprocess.Popen(  # noqa: S603 - PostgreSQL's own program
        command, stdout=subprocess.PIPE, stderr=said
    ) as source:
        assert source.stdout is not None
        try:
            is_data = section == "data"
            for line in islice(source.stdout, HEADER_LINES_MAX if is_data else None):
                into.write(_without_timeout(line) if is_data else _for_older(line))
                if is_data and line.startswith(b"COPY "):
                    break  # what follows is what rows hold
            shutil.copyfileobj(source.stdout, into)
        except BrokenPipeError:
            source.terminate()
            raise
        return source.wait() == 0


def _without_timeout(line: bytes) -> bytes:
    return b"" if line == UNKNOWN_SETTING else line


def _for_older(line: bytes) -> bytes:
    """Write a line of a definition in the form that tables have on older servers."""
    line = COMPUTED_ON_READ.sub(rb"\1 STORED NOT NULL\2", _without_timeout(line))
    return NOT_ENFORCED.sub(rb"\1;\n", line)


def _output_of(dsn: str, name: str, *arguments: str) -> bytes:
    done = subprocess.run(  # noqa: S603 - PostgreSQL's own program
        [_program(dsn, name), *arguments], check=False, capture_output=True
    )
    if done.returncode:
        raise BackupFailed(_said(name, done.stderr))
    return done.stdout


def _said(name: str, stderr: bytes) -> str:
    return f"{name} failed, and nothing was kept: " + " ".join(
        stderr.decode(errors="replace").splitlines()
    )


def _program(dsn: str, name: str) -> str:
    """Take the machine's own program, which can do TLS, for a database that is reached by a host.

    The bundled ones cannot, and fit the bundled database.
    """
    own = shutil.which(name) if urlsplit(dsn).hostname else None
    return own or str(postgres_program(name))


def _without_password(url: str) -> tuple[str, dict[str, str]]:
    """Move the password into the environment: others see a program's arguments."""
    parts = urlsplit(url)
    user, has_password, password = parts.netloc.rpartition("@")[0].partition(":")
    if not has_password:
        return url, dict(os.environ)
    hosts = parts.netloc.rpartition("@")[2]
    bare = parts._replace(netloc=f"{user}@{hosts}").geturl()
    return bare, {**os.environ, "PGPASSWORD": unquote(password)}
