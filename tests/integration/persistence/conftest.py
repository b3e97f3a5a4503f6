"""A database as Supabase hands it out, for what must work on both layouts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from migrations import runner
from tests.fixtures.postgres import Databases

DATA = Path(__file__).with_name("data")


@pytest.fixture
def supabase_dsn(databases: Databases) -> Iterator[str]:
    """A database as Supabase hands it out: its roles, its auth, and no superuser for us."""
    with _supabase(databases) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def _migrated_once(databases: Databases) -> Iterator[str]:
    with _supabase(databases) as dsn:
        runner.upgrade(dsn)
        yield dsn


@pytest.fixture
def migrated_supabase_dsn(_migrated_once: str, databases: Databases) -> Iterator[str]:
    """That database migrated by its owner: a copy, which takes a tenth of the time."""
    copy = databases.create(template=urlsplit(_migrated_once).path[1:])
    yield urlsplit(_migrated_once)._replace(path=urlsplit(copy).path).geturl()
    databases.drop(copy)


@contextmanager
def _supabase(databases: Databases) -> Iterator[str]:
    dsn, login = databases.create(), f"supabase_{uuid4().hex}"
    layout = SQL(DATA.joinpath("supabase.sql").read_text())
    with psycopg.connect(dsn) as connection:
        connection.execute(layout.format(owner=Identifier(login)))
    yield dsn.replace("//postgres@", f"//{login}@")
    databases.drop(dsn)
    with psycopg.connect(databases.dsn) as connection:
        connection.execute(SQL("DROP ROLE {}").format(Identifier(login)))
