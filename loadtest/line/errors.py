"""What can go wrong for a client.

ClientError
├── Refused       the server answered, and the answer is no
├── Lost          the connection is gone, and with it what was not answered
├── OutOfOrder    an event is missing, repeated, or in the wrong place
└── Unreachable   nobody answers at the address
"""

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """Base of all that a client raises."""


class Refused(ClientError):
    """The server refused a command.

    `event_index` is set where the refusal itself is in the game's log.
    """

    def __init__(
        self, code: str, message: str, *, retry: bool = False, event_index: int | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retry = retry
        self.event_index = event_index

    @classmethod
    def of(cls, reply: Mapping[str, Any]) -> "Refused":
        """Read an error reply."""
        return cls(
            str(reply.get("code", "unknown")),
            str(reply.get("message", "")),
            retry=bool(reply.get("retry", False)),
            event_index=reply.get("event_index"),
        )


class Lost(ClientError):
    """The connection was lost, and is not coming back or took an answer with it."""


class OutOfOrder(ClientError):
    """The server sent another event than the one that comes next."""


class Unreachable(ClientError):
    """Nobody answers at the address."""
