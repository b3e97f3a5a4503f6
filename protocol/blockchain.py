"""HTTP bodies about the chain that owners are read from."""

from pydantic import Field

from protocol.envelope import WireModel


class ContractStatus(WireModel):
    """How far a contract has been read, as this node knows it."""

    chain_id: int
    contract_address: str
    head_block: int | None = Field(description="The newest block of the chain.")
    read_block: int | None = Field(description="The last block whose transfers were read.")
    blocks_behind: int = Field(description="Confirmed blocks not read yet.")
    success_age_s: float | None = Field(description="Seconds since the last successful step.")
    is_well: bool


class ChainStatus(WireModel):
    """The contracts being followed; none if no blockchain is configured."""

    contracts: list[ContractStatus]
