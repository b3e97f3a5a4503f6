"""The settings of the chain, as an operator writes them."""

import sys

import pytest
from pydantic import SecretStr

from persistence.blockchain.store import Contract
from persistence.database import Database
from persistence.errors import StartRefused
from persistence.rls import RlsDatabase
from server.config import Config
from server.core.clock import Clock
from server.core.tasks import Tasks
from server.domains.compete.blockchain.contracts import InvalidContracts, parse_contracts
from server.domains.compete.blockchain.domain import build, build_chain_follower
from server.domains.compete.blockchain.rpc import url_secrets
from server.domains.compete.blockchain.settings import BlockchainSettings
from server.domains.services import Services

ONE = "0x" + "A1" * 20
OTHER = "0x" + "b2" * 20


def test_contracts_are_read_in_lowercase_and_once() -> None:
    assert parse_contracts(f"1:{ONE}, 1:{OTHER},1:{ONE.lower()},") == (
        Contract(1, ONE.lower()),
        Contract(1, OTHER),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ONE, "write chain_id:0x and 40 hexadecimal digits"),
        (f"0:{ONE}", "write chain_id:0x"),
        (f"2147483648:{ONE}", "write chain_id:0x"),
        (f"1:{ONE}0", "write chain_id:0x"),
        (f"1:{ONE},10:{OTHER}", "names the chains 1 and 10; one server follows one chain"),
        (",".join(f"1:0x{n:040x}" for n in range(33)), "names 33 contracts; 32 can be followed"),
    ],
)
def test_bad_contracts_are_refused_with_what_to_write(text: str, message: str) -> None:
    with pytest.raises(InvalidContracts, match=message):
        parse_contracts(text)


@pytest.mark.parametrize(
    ("url", "contracts", "message"),
    [
        ("https://node.example/v2/key", "", "set both or none"),
        (None, f"1:{ONE}", "set both or none"),
        ("ws://node.example", f"1:{ONE}", "PLAYHALL_CHAIN_RPC_URL must be https"),
        (
            "https://node.example",
            f"1:{ONE},1",
            "PLAYHALL_CHAIN_CONTRACTS is wrong in entry 2; write",
        ),
        ("https://node.example", ",", "PLAYHALL_CHAIN_CONTRACTS names no contract"),
    ],
)
async def test_settings_that_do_not_work_refuse_the_start(
    url: str | None, contracts: str, message: str
) -> None:
    settings = BlockchainSettings(
        chain_rpc_url=None if url is None else SecretStr(url), chain_contracts=contracts
    )
    with pytest.raises(StartRefused, match=message):
        build_chain_follower(settings, database=Database.unopened(), clock=Clock())


async def test_chain_without_the_extra_refuses_the_start_and_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "eth_keys", None)  # as where it is not installed
    settings = BlockchainSettings(
        chain_rpc_url=SecretStr("https://node.example"), chain_contracts=f"1:{ONE}"
    )
    with pytest.raises(StartRefused, match=r"needs playhall-server\[blockchain\]; install it"):
        build_chain_follower(settings, database=Database.unopened(), clock=Clock())


async def test_without_settings_nothing_is_followed() -> None:
    database = Database.unopened()
    chain = build_chain_follower(BlockchainSettings(), database=database, clock=Clock())
    assert chain.status().contracts == []
    assert list(chain.collector.collect()) == []
    async with Tasks() as tasks:
        rls = RlsDatabase(database)
        assert build(Services(Config(), database, rls, "n1", Clock(), tasks, {})).jobs == []


def test_parts_of_the_url_that_may_be_a_key_are_found() -> None:
    found = url_secrets(
        "https://ada:pass%2Fword@node.example/v2/0123456789abcdef?apikey=fedcba9876"
    )
    assert {"0123456789abcdef", "fedcba9876", "pass/word", "pass%2Fword", "apikey"} <= set(found)
    assert "v2" not in found
