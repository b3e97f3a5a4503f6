"""HTTP bodies about the chain that owners are read from."""

from pydantic import Field

from protocol.envelope import WireModel


class ContractStatus(WireModel):
    """How far this node knows a contract to be read."""

    chain_id: int
    contract_address: str
    head_block: int | None = Field(description="The newest block of the chain.")
    read_block: int | None = Field(description="The last block until which transfers were read.")
    blocks_behind: int = Field(description="Confirmed blocks that were not read yet.")
    success_age_s: float | None = Field(description="Since the last step that worked.")
    is_well: bool


class ChainStatus(WireModel):
    """The contracts that are followed; none where no chain is configured."""

    contracts: list[ContractStatus]
