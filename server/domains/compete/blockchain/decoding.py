"""What a chain's node answers, as values: pure, and strict, for any server may answer anything."""

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias

from pydantic import JsonValue

from persistence.blockchain.store import Block, BlockHeader, Contract
from server.domains.compete.blockchain.errors import InvalidAnswer, NotErc721

TRANSFER: Final = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
TOPICS: Final = 4  # the event, and its three indexed arguments
OWNER_OF: Final = "0x6352211e"
QUANTITY_MAX: Final = 2**63 - 1
INDEX_MAX: Final = 2**31 - 1

_QUANTITY = re.compile(r"0x[0-9a-f]{1,64}")
_WORD = re.compile(r"0x[0-9a-f]{64}")
_ADDRESS_IN_WORD = re.compile(r"0x0{24}([0-9a-f]{40})")

Answer: TypeAlias = JsonValue


class TransferLog(NamedTuple):
    """A transfer, as its log has it; the time is its block's."""

    block: Block
    log_index: int
    token_id: int
    sender: str
    recipient: str


def parse_quantity(value: Answer, name: str, *, most: int = QUANTITY_MAX) -> int:
    """Read a number such as `0x1b4`."""
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value.lower()):
        raise InvalidAnswer(f"{name} is not a hexadecimal number")
    number = int(value, 16)
    if number > most:
        raise InvalidAnswer(f"{name} is too large")
    return number


def parse_header(value: Answer) -> BlockHeader:
    """Read a block's number, hash and time."""
    fields = _fields(value, "the block")
    seconds = parse_quantity(fields.get("timestamp"), "the block's timestamp")
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise InvalidAnswer("the block's timestamp is not a valid time") from None
    number = parse_quantity(fields.get("number"), "the block's number")
    return BlockHeader(Block(number, _word(fields.get("hash"), "the block's hash")), at)


def parse_transfer(value: Answer, contract: Contract) -> TransferLog:
    """Read a log of `Transfer(address, address, uint256)`, all three indexed.

    Raises `NotErc721` where the token is not indexed (an ERC-20 has an amount there).
    """
    fields = _fields(value, "a log")
    if str(fields.get("address")).lower() != contract.address:
        raise InvalidAnswer("a log is of a different contract than requested")
    if fields.get("removed") is True:
        raise InvalidAnswer("a log was removed from the chain")
    topics = fields.get("topics")
    if not isinstance(topics, list) or not topics or topics[0] != TRANSFER:
        raise InvalidAnswer("a log is not of a transfer")
    if len(topics) != TOPICS:
        raise NotErc721("its transfers do not name a token; it may be an ERC-20")
    number = parse_quantity(fields.get("blockNumber"), "a log's block number")
    return TransferLog(
        Block(number, _word(fields.get("blockHash"), "a log's block hash")),
        parse_quantity(fields.get("logIndex"), "a log's index", most=INDEX_MAX),
        int(_word(topics[3], "a log's token"), 16),
        _address(topics[1], "a log's sender"),
        _address(topics[2], "a log's recipient"),
    )


def encode_owner_of_call(token_id: int) -> str:
    """Write the data of a call of `ownerOf(uint256)`."""
    return f"{OWNER_OF}{token_id:064x}"


def parse_owner(value: Answer) -> str:
    """Read the result of that call."""
    if value == "0x":
        raise NotErc721("there is no contract at this address, or it has no ownerOf")
    return _address(value, "the owner")


def _fields(value: Answer, name: str) -> dict[str, Answer]:
    if not isinstance(value, dict):
        raise InvalidAnswer(f"{name} is no object")
    return value


def _word(value: Answer, name: str) -> str:
    if not isinstance(value, str) or not _WORD.fullmatch(value.lower()):
        raise InvalidAnswer(f"{name} is not 32 bytes in hexadecimal")
    return value.lower()


def _address(value: Answer, name: str) -> str:
    found = _ADDRESS_IN_WORD.fullmatch(_word(value, name))
    if found is None:
        raise InvalidAnswer(f"{name} is no address")
    return f"0x{found[1]}"
