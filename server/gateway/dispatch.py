"""From a command's type to the handler that carries it out.

A handler is either *immediate* (a plain function that answers for itself, now or when
its events are committed) or *awaited* (a coroutine whose result is the reply's fields, or
the whole reply).
A connection's commands are taken up in the order in which they came.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from protocol.catalog import COMMANDS
from protocol.envelope import Command, WireModel, type_of

if TYPE_CHECKING:
    from server.gateway.session import Session

Immediate = Callable[["Session", Any], None]
# What an awaited handler gives: the reply's fields, the whole reply, or None for a bare `ok`.
Answer = Mapping[str, object] | WireModel | None
Awaited = Callable[["Session", Any], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """How one command is carried out. `cost` is what it takes from the rate limit.

    Commands are people's unless `bots` says that a bot with a token of its own may send it too.
    """

    immediate: Immediate | None = None
    awaited: Awaited | None = None
    cost: float = 1.0
    greeted: bool = True
    bots: bool = False


Routes = dict[type[Command], Route]


def assemble(*tables: Routes) -> dict[str, Route]:
    """Join the domains' tables; every command of the catalogue has exactly one route."""
    routes: dict[str, Route] = {}
    for table in tables:
        for command, route in table.items():
            name = type_of(command)
            if name in routes:
                raise ValueError(f"two routes for {name}")
            routes[name] = route
    if missing := COMMANDS.keys() - routes.keys():
        raise ValueError(f"no route for {', '.join(sorted(missing))}")
    return routes
