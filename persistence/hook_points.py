"""Places in the source at which what runs can be observed: for traces, times and log lines.

What can be observed asks its hook point whether anybody does, and runs as it is where nobody does.
That costs a comparison, and works in compiled code as well, where callers look no method up::

    def publish(self, notice: Notice) -> None:
        if (observed := PUBLISHING.around) is None:
            self._publish(notice)
        else:
            observed(self, notice)

    PUBLISHING: Final = HookPoint(Broker._publish)

Hook points are the process's, like the classes whose methods they observe.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class HookPoint(Generic[F]):
    """One of them. `around` is called instead of what it observes; None while nobody does."""

    __slots__ = ("_observed", "around")

    def __init__(self, observed: F) -> None:
        self._observed = observed
        self.around: F | None = None

    def observe(self, wrapper: Callable[[F], F]) -> None:
        """Have a wrapper made around what is called here: what was first observed is innermost."""
        self.around = wrapper(self._observed if self.around is None else self.around)
