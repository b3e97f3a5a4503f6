"""The steps of title packages: pairs of SQL files, taken in order once the schema is up to date.

`migrations/0001_entries.up.sql` makes what `0001_entries.down.sql` removes. Each step is one
transaction, and which were taken is on record in `playhall_auth.package_steps`, a table that is
made with the first of them.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import psycopg
from psycopg import errors

from persistence.dsn import normalise_dsn
from persistence.errors import NotMigrated, StartRefused
from persistence.queries import load_queries

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 10

_queries = load_queries("sql/packages", package="migrations")


class PackageSteps(NamedTuple):
    """A package, and its steps in order: what each is called, and its two statements' files."""

    package: str
    folder: Path
    names: tuple[str, ...]

    def sql(self, step: str, way: str) -> bytes:
        """Read the file of a step for a way, `up` or `down`."""
        return (self.folder / f"{step}.{way}.sql").read_bytes()


def steps_in(package: str, folder: Path) -> PackageSteps:
    """List a folder's steps; raise `StartRefused` for one that has no way back."""
    names = sorted(path.name.removesuffix(".up.sql") for path in folder.glob("*.up.sql"))
    for name in names:
        if not (folder / f"{name}.down.sql").exists():
            raise StartRefused(f"{folder / name}.down.sql is missing: every migration needs one.")
    return PackageSteps(package, folder, tuple(names))


def pending(dsn: str, packages: Sequence[PackageSteps]) -> list[str]:
    """List the steps that are still to be taken, as `package/step`."""
    with _connection(dsn) as connection:
        return [f"{package.package}/{step}" for package, step in _pending(connection, packages)]


def installed(dsn: str) -> list[str]:
    """List the packages whose tables are there, whether or not this program has them."""
    with _connection(dsn) as connection:
        try:
            found = connection.execute(_queries["installed"]).fetchall()
        except errors.UndefinedTable:
            return []
    return [package for (package,) in found]


def upgrade(dsn: str, packages: Sequence[PackageSteps]) -> None:
    """Take every step that is pending; raise `NotMigrated` for one that cannot be taken."""
    with _connection(dsn) as connection:
        if not _pending(connection, packages):
            return
        connection.execute(_queries["lock"])
        if connection.execute(_queries["is_made"]).fetchone() != (True,):
            with (
                _said_plainly("that creates playhall_auth.package_steps"),
                connection.transaction(),
            ):
                connection.execute(_queries["make"])
        for package, step in _pending(connection, packages):
            with _said_plainly(f"{package.package}/{step}"), connection.transaction():
                connection.execute(package.sql(step, "up"))
                connection.execute(_queries["record"], [package.package, step])
            log.info("ran the migration %s/%s", package.package, step)


def downgrade(dsn: str, package: PackageSteps) -> None:
    """Take a package's steps back, the last first: its tables and their rows go."""
    with _connection(dsn) as connection:
        connection.execute(_queries["lock"])
        for step in reversed(_taken(connection, package.package)):
            with _said_plainly(f"{package.package}/{step}"), connection.transaction():
                connection.execute(package.sql(step, "down"))
                connection.execute(_queries["forget"], [package.package, step])


def _pending(
    connection: "psycopg.Connection", packages: Sequence[PackageSteps]
) -> list[tuple[PackageSteps, str]]:
    return [
        (package, step)
        for package in packages
        for taken in [_taken(connection, package.package)]
        for step in package.names
        if step not in taken
    ]


def _taken(connection: "psycopg.Connection", package: str) -> list[str]:
    try:
        with connection.transaction():
            found = connection.execute(_queries["taken"], [package]).fetchall()
    except errors.UndefinedTable:
        return []
    return [step for (step,) in found]


@contextmanager
def _said_plainly(step: str) -> Iterator[None]:
    try:
        yield
    except errors.InsufficientPrivilege as error:
        raise NotMigrated(
            f"The migration {step} is pending, but this login is not allowed to run it; run "
            "`playhall migrate` with PLAYHALL_DATABASE_URL naming the database's owner."
        ) from error
    except psycopg.Error as error:
        said = str(error).partition("\n")[0]
        raise NotMigrated(f"The database rejected the migration {step}: {said}.") from error


@contextmanager
def _connection(dsn: str) -> Iterator["psycopg.Connection"]:
    with psycopg.connect(
        normalise_dsn(dsn), connect_timeout=CONNECT_TIMEOUT_S, autocommit=True
    ) as connection:
        yield connection
