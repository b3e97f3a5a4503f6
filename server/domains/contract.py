"""The contract between a domain and the server: one value that says all that a domain offers.

A domain's `domain.py` has `build(services) -> Domain`. The server builds the domains in the order
of `server.app.DOMAINS`, and then goes through the values: it adds the commands and the endpoints,
registers the metrics, connects the listeners, starts the jobs. Nothing is assigned to a domain
after it was built.

Domains do not import each other. What one asks of another is an interface (`interfaces.py`) that
the other one provides; what one announces to the others is an event (`server.core.events`).
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, TypeVar

from aiohttp import web
from prometheus_client.registry import Collector
from pydantic_settings import BaseSettings

from server.core.event_delivery import DurableListener
from server.core.events import Listeners
from server.core.retention import RetentionSweep
from server.domains.services import Services
from server.gateway.http.endpoints import Endpoint
from server.gateway.session.sessions import Routes
from server.gateway.transport.listener import WebSocketRoute

T = TypeVar("T")

Hook: TypeAlias = Callable[[], Awaitable[None]]


class Job(NamedTuple):
    """Work that lasts as long as the server. If it fails, the server ends: see `core.tasks`."""

    name: str
    run: Callable[[], Coroutine[Any, Any, None]]


class Provided(NamedTuple):
    """An interface, and what implements it; made by `provide`, which has the types compared."""

    interface: type
    implementation: object


def provide(interface: type[T], implementation: T) -> Provided:
    """Say that something implements an interface; raise `TypeError` if it lacks a method.

    A type checker does not find that: for it, anything is an `object`, and so `T` can be that.
    """
    methods = (name for name in vars(interface) if not name.startswith("_"))
    if missing := [name for name in methods if not hasattr(implementation, name)]:
        lacks = f"{type(implementation).__name__} lacks {', '.join(missing)}"
        raise TypeError(f"{lacks} of {interface.__name__}")
    return Provided(interface, implementation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What a domain offers. Whatever it does not have, it leaves out."""

    name: str
    # Its own variables, which `build` is given by `services.settings`; nobody else reads them.
    settings: type[BaseSettings] | None = None
    commands: Routes = field(default_factory=dict)
    endpoints: Sequence[Endpoint] = ()
    # Addresses that are no JSON of ours: bytes of files, pages that a browser is sent to.
    mounts: Sequence[Callable[[web.Application], None]] = ()
    websockets: Mapping[str, WebSocketRoute] = field(default_factory=dict)
    listens: Listeners = field(default_factory=dict)
    # Who listens to durable events, at least once; see `server.core.event_delivery`.
    durable: Sequence[DurableListener] = ()
    metrics: Sequence[Collector] = ()
    provides: Sequence[Provided] = ()
    # Before anything is made: raises `StartRefused` where what is stored does not fit the settings.
    checks: Sequence[Hook] = ()
    # Before the first client: raises `StartRefused` where the domain cannot do what it promises.
    start: Sequence[Hook] = ()
    jobs: Sequence[Job] = ()
    # Tables that are cleared by age, each once; `persistence.retention` says why.
    retention: Sequence[RetentionSweep] = ()
    # Before the connections are closed: finish what is under way, within a bound of its own.
    stop: Sequence[Hook] = ()


Build: TypeAlias = Callable[[Services], Domain]
