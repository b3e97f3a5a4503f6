"""What can be wrong with a chain or its node: each message is a sentence for the log.

ChainError
├── RpcFailed
│   ├── NotReached   the node did not answer, or not with JSON-RPC
│   ├── TooMuch      it took too long, or answered more than we take: asking for less may help
│   └── Refused      it answered with an error
├── BadAnswer        it answered what cannot be right
│   └── NotErc721    the contract is none of ERC-721
├── ChainMoved       the chain changed while it was read; the next step looks again
├── ChainLost        the chain shares nothing with what was read
└── WrongChain       the node follows another chain than is configured
"""


class ChainError(Exception):
    """Owners cannot be read from the chain."""


class RpcError(ChainError):
    """The chain's node could not be asked."""


class NodeUnreachable(RpcError):
    """It did not answer, or not with JSON-RPC."""


class AnswerTooLarge(RpcError):
    """It took too long, or answered more than we take."""


class RpcRefused(RpcError):
    """It answered with an error; `is_revert` if it was the contract's."""

    def __init__(self, reason: str, *, is_revert: bool = False) -> None:
        super().__init__(reason)
        self.is_revert = is_revert


class InvalidAnswer(ChainError):
    """The chain's node answered what cannot be right."""


class NotErc721(InvalidAnswer):
    """The contract is none of ERC-721."""


class ChainReorganised(ChainError):
    """The chain changed while it was read: what was read may be of two branches."""


class ChainHistoryLost(ChainError):
    """The chain shares nothing with what was read of it."""


class WrongChain(ChainError):
    """The node follows another chain than is configured."""
