"""`playhall economy verify`: what is held is what the ledger says."""

import asyncpg
import pytest

from protocol.ids import UserId
from protocol.inventory import Bundle
from tests.fixtures.shell import Done, playhall
from tests.integration.inventory.conftest import Market


def verify(dsn: str, *arguments: object) -> Done:
    done = playhall("economy", "verify", *arguments, environment={"PLAYHALL_DATABASE_URL": dsn})
    done.assert_plain()
    return done


async def test_everything_that_was_moved_is_found_in_the_ledger(
    market: Market, ada: UserId, slot: str, serving_dsn: str, fresh_dsn: str
) -> None:
    await market.move(ada, slot, "collect", bundle={"items": {"iron": 7}})
    await market.give(ada, slot, items={"sword": 3}, currencies={"gems": 5, "gold": 2})
    await market.give(ada, slot, items={"sword": 1}, metadata={"engraved": "Ada"})
    await market.move(ada, slot, "spend", bundle={"items": {"iron": 2}, "currencies": {"gems": 5}})
    gone = await market.slot(ada)
    await market.grant(ada, gone, Bundle(items={"sword": 1}, currencies={"gold": 3}), "quest:1")
    await market.run("DELETE FROM save_slots WHERE slot_id = $1", gone)
    done = verify(serving_dsn)
    assert (done.status, done.said) == (
        0,
        "1 accounts with 6 transactions checked, 0 differences from the ledger.",
    )

    owner = await asyncpg.connect(fresh_dsn)
    try:
        await owner.execute(
            "UPDATE inventory_items SET quantity = 9 WHERE item_id = 'iron';"
            "UPDATE currency_balances SET gained = 8 WHERE currency_id = 'gems';"
            "DELETE FROM currency_balances WHERE currency_id = 'gold';"
            "ALTER TABLE ledger_entries DISABLE TRIGGER USER;"
            "UPDATE ledger_entries SET amount = 3 WHERE amount = 2 AND currency_id = 'gold'"
        )
    finally:
        await owner.close()
    done = verify(serving_dsn)
    lines = done.out.splitlines()
    assert done.status == 1
    assert "sums to 1 for currency gold" in lines[0]
    assert lines[1:] == [
        f"account {ada}, slot {slot}: item iron: 9 held, 5 by the ledger",
        f"account {ada}, slot {slot}: currency gold: 0 held, 3 by the ledger",
        f"account {ada}: currency gems: 8 earned, 0 by the ledger",
        "1 accounts with 6 transactions checked, 4 differences from the ledger.",
    ]
    # What a slot held that went without its trigger is missed.
    owner = await asyncpg.connect(fresh_dsn)
    try:
        await owner.execute("ALTER TABLE save_slots DISABLE TRIGGER save_slots_discard")
        await owner.execute("DELETE FROM save_slots WHERE slot_id = $1", slot)
    finally:
        await owner.close()
    assert f"slot {slot}: item iron: 0 held, 5 by the ledger" in verify(serving_dsn).out
    other = await market.person()
    assert verify(serving_dsn, "--account", other).status == 0


@pytest.mark.parametrize("account", ["ada", ""])
def test_account_is_named_by_its_id(serving_dsn: str, account: str) -> None:
    assert verify(serving_dsn, "--account", account).status == 2
