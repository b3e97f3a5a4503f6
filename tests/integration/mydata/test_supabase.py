"""On a database laid out as Supabase's: what is ours goes, the account there is theirs."""

from urllib.parse import urlsplit

import asyncpg
import orjson
import pytest

from migrations import runner
from tests.fixtures.postgres import Databases
from tests.integration.mydata.conftest import ADA, CALLED, DATA, DISPLAY_NAME, EMAIL, PLAYER
from tests.integration.mydata.conftest import tables_with as find


@pytest.fixture
def migrated_dsn(supabase_dsn: str, databases: Databases) -> str:
    """That database migrated by its owner, for a superuser."""
    runner.upgrade(supabase_dsn)
    return databases.dsn_of(urlsplit(supabase_dsn).path[1:])


async def test_export_and_erasure_work_and_leave_the_account_to_supabase(migrated_dsn: str) -> None:
    owner = await asyncpg.connect(migrated_dsn)
    try:
        rows = [DATA.joinpath(f"{revision}.sql").read_text() for revision in runner.revisions()]
        await owner.execute("\n".join(rows))
        await owner.execute("ALTER TABLE profiles DISABLE TRIGGER profiles_username_seldom")
        await owner.execute(CALLED)
        await owner.execute("SET ROLE playhall_server")
        account = await owner.fetchval(
            "SELECT playhall_auth.person_rows($1, 'auth.users')::text", ADA
        )
        assert {"encrypted_password", "email"} & orjson.loads(account).keys() == {"email"}
        assert str(await owner.fetchval("SELECT playhall_auth.erase_person($1)", ADA)) == PLAYER
        await owner.execute("RESET ROLE")
        assert await find(owner, DISPLAY_NAME) == set()
        assert await find(owner, EMAIL) == {"auth.users"}
        assert await find(owner, ADA) <= {
            *("auth.users", "audit_log", "event_outbox", "file_trash", "webhook_deliveries"),
        }
    finally:
        await owner.close()
