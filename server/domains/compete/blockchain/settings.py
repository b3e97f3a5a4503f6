"""Blockchain: the contracts to follow, and how."""

from typing import Annotated

from pydantic import Field, SecretStr

from server.core.settings import Settings


class BlockchainSettings(Settings):
    """The node to ask, the contracts, the pace."""

    chain_rpc_url: SecretStr | None = Field(
        default=None, description="JSON-RPC of a blockchain node; if unset, owners are not read."
    )
    chain_contracts: str = Field(
        default="", description="ERC-721 contracts, `chain_id:0x…`, comma separated."
    )
    chain_confirmations: Annotated[int, Field(ge=0, le=10_000)] = 12
    chain_start_block: Annotated[int, Field(ge=0)] = 0
    chain_poll_s: Annotated[float, Field(ge=0.1, le=3600)] = 12.0
    chain_reconcile_s: Annotated[float, Field(ge=60, le=31_536_000)] = 86_400.0
