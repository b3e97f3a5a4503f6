"""What a chain's node may answer, and what is refused."""

from datetime import UTC, datetime

import pytest
from pydantic import JsonValue

from persistence.blockchain.store import Block, BlockHeader, Contract
from server.domains.compete.blockchain.decoding import (
    TRANSFER,
    TransferLog,
    encode_owner_of_call,
    parse_header,
    parse_owner,
    parse_quantity,
)
from server.domains.compete.blockchain.decoding import parse_transfer as read
from server.domains.compete.blockchain.errors import InvalidAnswer, NotErc721

CONTRACT = Contract(1, "0x" + "c" * 40)
HASH = "0x" + "ab" * 32
ADA = "0x" + "a1" * 20
BOB = "0x" + "b2" * 20
TOKEN = 2**256 - 1


def word(address: str) -> str:
    return "0x" + address[2:].rjust(64, "0")


def log(**fields: JsonValue) -> dict[str, JsonValue]:
    return {
        "address": "0x" + "C" * 40,
        "topics": [TRANSFER, word(ADA), word(BOB), hex(TOKEN)],
        "data": "0x",
        "blockNumber": "0x10",
        "blockHash": HASH.upper().replace("0X", "0x"),
        "logIndex": "0x2",
        "removed": False,
        **fields,
    }


def test_log_of_a_transfer_is_read() -> None:
    assert read(log(), CONTRACT) == TransferLog(Block(16, HASH), 2, TOKEN, ADA, BOB)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"address": ADA}, "a different contract"),
        ({"address": None}, "a different contract"),
        ({"removed": True}, "removed"),
        ({"topics": None}, "not of a transfer"),
        ({"topics": []}, "not of a transfer"),
        ({"topics": [HASH, word(ADA), word(BOB), "0x1"]}, "not of a transfer"),
        ({"topics": [TRANSFER, word(ADA), word(BOB), "0x1"]}, "a log's token is not 32 bytes"),
        ({"topics": [TRANSFER, HASH, word(BOB), HASH]}, "a log's sender is no address"),
        ({"topics": [TRANSFER, word(ADA), 7, HASH]}, "a log's recipient is not 32 bytes"),
        ({"blockNumber": None}, "a log's block number is not a hexadecimal number"),
        ({"blockNumber": "0x" + "f" * 17}, "a log's block number is too large"),
        ({"blockHash": "0x12"}, "a log's block hash is not 32 bytes"),
        ({"logIndex": "0x80000000"}, "a log's index is too large"),
        ({"logIndex": "-0x1"}, "a log's index is not a hexadecimal number"),
    ],
)
def test_bad_log_is_refused_by_what_is_wrong(fields: dict[str, JsonValue], message: str) -> None:
    with pytest.raises(InvalidAnswer, match=message):
        read(log(**fields), CONTRACT)


def test_transfer_of_an_erc20_is_refused_as_such() -> None:
    amounts = log(topics=[TRANSFER, word(ADA), word(BOB)], data="0x" + "0" * 64)
    with pytest.raises(NotErc721, match="may be an ERC-20"):
        read(amounts, CONTRACT)


def test_log_that_is_no_object_is_refused() -> None:
    with pytest.raises(InvalidAnswer, match="a log is no object"):
        read("0x", CONTRACT)


def test_block_is_read() -> None:
    found = parse_header({"number": "0x10", "hash": HASH, "timestamp": "0x69200000"})
    assert found == BlockHeader(Block(16, HASH), datetime(2025, 11, 21, 6, 0, 32, tzinfo=UTC))


@pytest.mark.parametrize("timestamp", ["0x7fffffffffffffff", "soon", None, 7])
def test_block_without_a_time_is_refused(timestamp: JsonValue) -> None:
    with pytest.raises(InvalidAnswer, match="the block's timestamp"):
        parse_header({"number": "0x10", "hash": HASH, "timestamp": timestamp})


def test_call_of_owner_of_is_written_as_the_abi_wants_it() -> None:
    assert encode_owner_of_call(7) == "0x6352211e" + "0" * 63 + "7"
    assert encode_owner_of_call(TOKEN) == "0x6352211e" + "f" * 64


def test_owner_is_read() -> None:
    assert parse_owner(word(ADA)) == ADA


@pytest.mark.parametrize("answer", [None, "0x1", HASH, ADA])
def test_owner_that_is_no_address_is_refused(answer: JsonValue) -> None:
    with pytest.raises(InvalidAnswer, match="the owner is"):
        parse_owner(answer)


def test_empty_answer_is_no_contract() -> None:
    with pytest.raises(NotErc721, match="no contract at this address"):
        parse_owner("0x")


@pytest.mark.parametrize("value", ["0x", "12", "0xg", 12, None, "0x" + "1" * 65, " 0x1"])
def test_quantity_must_be_hexadecimal(value: JsonValue) -> None:
    with pytest.raises(InvalidAnswer, match="it is not a hexadecimal number"):
        parse_quantity(value, "it")
