"""A database as Supabase hands it out, for what must work on both layouts."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.fixtures.postgres import Databases

DATA = Path(__file__).with_name("data")


@pytest.fixture
def supabase_dsn(databases: Databases) -> Iterator[str]:
    """A database as Supabase hands it out: its roles, its auth, and no superuser for us."""
    dsn, login = databases.create(), f"supabase_{uuid4().hex}"
    layout = SQL(DATA.joinpath("supabase.sql").read_text())
    with psycopg.connect(dsn) as connection:
        connection.execute(layout.format(owner=Identifier(login)))
    yield dsn.replace("//postgres@", f"//{login}@")
    databases.drop(dsn)
    with psycopg.connect(databases.dsn) as connection:
        connection.execute(SQL("DROP ROLE {}").format(Identifier(login)))
