"""An account's revisions are in one part, and no query looks into the others."""

import re

import pytest

from persistence.saves.store import SQL
from protocol.ids import UserId
from tests.integration.saves.conftest import Saves

VALUES = {
    "lock_for_mutation": "'{slot}', '{account}', gen_random_uuid()",
    "find_created": "'{account}', gen_random_uuid()",
    "read_revision": "'{account}', '{slot}', 1",
    "list_revisions": "'{account}', '{slot}', 9, 9",
    "read_parents": "'{account}', '{slot}'",
    "kept_revisions": "'{account}', '{slot}'",
    "prune_revisions": "'{account}', '{slot}', '{{1}}'",
    "forget_revisions": "'{account}', '{slot}', 9",
}


@pytest.mark.parametrize("query", VALUES)
async def test_query_looks_into_the_part_of_its_account_alone(
    saves: Saves, ada: UserId, query: str
) -> None:
    slot = await saves.make(ada)
    where = "SELECT DISTINCT tableoid::regclass::text FROM save_revisions WHERE account_id = $1"
    (part,) = await saves.run(where, ada)
    values = VALUES[query].format(slot=slot, account=ada)
    async with saves.database.transaction() as connection:
        await connection.execute(f"PREPARE asked AS {SQL[query]}")
        plan = await connection.fetch(f"EXPLAIN EXECUTE asked({values})")
    tables = {name for (line,) in plan for name in re.findall(r" on (save_revisions_\d)", line)}
    assert tables == {part["tableoid"]}
