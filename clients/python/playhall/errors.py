"""What the client raises, and the type of what it sends and receives.

ClientError
├── RequestRefused      the server answered, and the answer is no
├── ConnectionLost      the connection is gone, and with it what was not answered
├── DataDamaged         bytes are not what was announced
├── EventOutOfOrder     an event is missing, repeated, or in the wrong place
└── ServerUnreachable   no Playhall server answers at the address
"""

from collections.abc import Mapping
from typing import Any

# A JSON object, as parsed.
Json = dict[str, Any]


class ClientError(Exception):
    """Base of everything that the client raises."""


class RequestRefused(ClientError):
    """The server refused a command or a request.

    `retry` says whether the same may succeed later. `event_index` is set where the refusal
    itself is in the game's log. `details` is what some codes tell beside their message.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retry: bool = False,
        event_index: int | None = None,
        details: Json | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retry = retry
        self.event_index = event_index
        self.details = details

    def to_json(self) -> Json:
        """Write it as an error reply."""
        return {
            "code": self.code,
            "message": self.message,
            "retry": self.retry,
            "event_index": self.event_index,
            "details": self.details,
        }

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> "RequestRefused":
        """Read an error reply."""
        return cls(
            str(reply.get("code", "unknown")),
            str(reply.get("message", "")),
            retry=bool(reply.get("retry", False)),
            event_index=reply.get("event_index"),
            details=reply.get("details"),
        )


class ConnectionLost(ClientError):
    """The connection is lost, and will not come back or took an answer with it."""


class DataDamaged(ClientError):
    """Bytes are not what was announced: cut off, changed on the way, or of something else."""


class EventOutOfOrder(ClientError):
    """The server sent another event than the one that comes next."""


class ServerUnreachable(ClientError):
    """Nothing that speaks Playhall's protocol answers at the address."""
