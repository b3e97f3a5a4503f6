"""Which contracts are followed, as an operator writes it."""

import re
from typing import Final

from persistence.blockchain.store import Contract

CONTRACTS_MAX: Final = 32
CHAIN_ID_MAX: Final = 2**31 - 1

_CONTRACT = re.compile(r"([1-9][0-9]{0,9}):(0x[0-9a-f]{40})")


class InvalidContracts(ValueError):
    """The list of contracts cannot be used; the message goes on after the setting's name."""


def parse_contracts(text: str) -> tuple[Contract, ...]:
    """Read `1:0x…,1:0x…`, all of one chain; raise `InvalidContracts`."""
    parts = filter(None, map(str.strip, text.split(",")))
    found = tuple(dict.fromkeys(_contract(part, n) for n, part in enumerate(parts, 1)))
    if not found:
        raise InvalidContracts("names no contract; leave it empty to follow none")
    if len(found) > CONTRACTS_MAX:
        raise InvalidContracts(
            f"names {len(found)} contracts; {CONTRACTS_MAX} can be followed at most"
        )
    chains = sorted({contract.chain_id for contract in found})
    if len(chains) > 1:
        named = " and ".join(map(str, chains))
        raise InvalidContracts(f"names the chains {named}; one server follows one chain")
    return found


def _contract(part: str, number: int) -> Contract:
    match = _CONTRACT.fullmatch(part.lower())
    if match is None or int(match[1]) > CHAIN_ID_MAX:
        # Not what it is: it may be the node's URL, put here by mistake, with its key.
        raise InvalidContracts(
            f"is wrong in entry {number}; write chain_id:0x and 40 hexadecimal digits, as in 1:0x…"
        )
    return Contract(int(match[1]), match[2])
