"""How many commands and requests were refused: by transport and by error code, since the start."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, Literal

from protocol.catalog import all_errors

Transport = Literal["http", "websocket"]

TRANSPORTS: Final[tuple[Transport, ...]] = ("http", "websocket")

# How refusals count that have no error code: those of the transport itself.
_CODES_OF_STATUSES: Final = {
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "too_large",
    500: "internal",
    503: "overloaded",
}


Count = Callable[[str], None]


def ignore_error(_: str) -> None:
    """Count nothing: for a part that is served by itself."""


class ErrorCounts:
    """The counts of one node.

    Every documented code is there from the beginning, at 0: `increase()` of Prometheus sees
    nothing in a series that begins with 1. Rulesets' own codes come when they are first used.
    """

    def __init__(self) -> None:
        codes = [error.code for error in all_errors()] + ["internal"]
        self._counts: Counter[tuple[Transport, str]] = Counter(
            {(transport, code): 0 for transport in TRANSPORTS for code in codes}
        )

    @property
    def counts(self) -> Mapping[tuple[Transport, str], int]:
        """The totals by (transport, code)."""
        return self._counts

    def counting(self, transport: Transport) -> Count:
        """Make the function that counts one refusal of a transport by its code."""
        counts = self._counts

        def count(code: str) -> None:
            counts[transport, code] += 1

        return count


def code_of_status(status: int) -> str:
    """Give the code by which an HTTP answer counts that has none of its own."""
    return _CODES_OF_STATUSES.get(status, f"http_{status}")
