"""What domains are built from: one value for a node, made before the first of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from persistence.broker import Broker
from persistence.broker.memory import MemoryBroker
from persistence.database import Database
from persistence.dsn import EXAMPLE_URL, find_dsn_problem
from persistence.errors import StartRefused
from persistence.objects import ObjectStorage
from persistence.replica import LOOK_EVERY_S, ReplicaReads
from persistence.rls import RlsDatabase
from persistence.sealing import Seal, make_seal
from server.config import Config
from server.core.clock import Clock
from server.core.events import LocalEventBus
from server.core.node_calls import NodeCalls
from server.core.passwords import PasswordHasher
from server.core.periodic import repeat_every
from server.core.settings import SettingsReader
from server.core.shared_limits import SharedLimits
from server.core.subscriptions import Subscriptions
from server.core.tasks import Tasks
from server.gamekit.fold import AnyRuleset
from server.gateway.error_counts import ErrorCounts
from server.gateway.session.sessions import CommandRate, Sessions

T = TypeVar("T")

KEY_FILE: Final = "secret.key"


class NodeAddress:
    """Where clients reach this node; known once it listens, before any domain starts."""

    def __init__(self) -> None:
        self.url = ""

    def __call__(self) -> str:
        """Give the URL."""
        return self.url


class InterfaceNotProvided(LookupError):
    """No domain provides an interface, or only one that is built later; a bug of ours."""


class Interfaces:
    """What domains provide for each other, by the interface."""

    def __init__(self) -> None:
        self._provided: dict[type, object] = {}

    def provide(self, interface: type, implementation: object) -> None:
        """Add an implementation; raise `ValueError` where there is one."""
        if interface in self._provided:
            raise ValueError(f"{interface.__name__} is provided twice")
        self._provided[interface] = implementation

    def get(self, interface: type[T]) -> T:
        """Find the implementation; raise `InterfaceNotProvided`.

        While domains are built, only what earlier ones provide is there. Of a later one, ask when
        it is needed.
        """
        try:
            return self._provided[interface]  # type: ignore[return-value]  # `provide` compared them
        except KeyError:
            raise InterfaceNotProvided(
                f"no domain that was built so far provides {interface.__name__}"
            ) from None


@dataclass(frozen=True, slots=True)
class Services:
    """What a node has, whatever its domains. The broker carries what `subscriptions` announces."""

    config: Config
    database: Database
    rls: RlsDatabase
    node: str
    clock: Clock
    tasks: Tasks
    rulesets: Mapping[str, AnyRuleset]
    broker: Broker = field(default_factory=MemoryBroker)
    # What builds the domains of title packages, after those of this repository.
    titles: Sequence[Callable[["Services"], Any]] = ()
    # Gives each domain the settings that are its own, by their class.
    settings: SettingsReader = field(default_factory=SettingsReader)
    subscriptions: Subscriptions = field(init=False)
    objects: ObjectStorage = field(init=False)
    passwords: PasswordHasher = field(init=False, default_factory=PasswordHasher)
    error_counts: ErrorCounts = field(init=False, default_factory=ErrorCounts)
    sessions: Sessions = field(init=False)
    calls: NodeCalls = field(init=False)
    shared_limits: SharedLimits = field(init=False)
    events: LocalEventBus = field(init=False, default_factory=LocalEventBus)
    interfaces: Interfaces = field(init=False, default_factory=Interfaces)
    address: NodeAddress = field(init=False, default_factory=NodeAddress)
    replica: ReplicaReads = field(init=False)

    def __post_init__(self) -> None:
        config = self.config
        objects = ObjectStorage(config.files_url, folder=config.data_dir / "files")
        sessions = Sessions(
            clock=self.clock,
            tasks=self.tasks,
            rate=CommandRate(config.commands_per_s, config.commands_burst),
            events=self.events,
            count_refusal=self.error_counts.counting("websocket"),
        )
        subscriptions = Subscriptions(self.broker)
        calls = NodeCalls(subscriptions, node=self.node, tasks=self.tasks)
        object.__setattr__(self, "subscriptions", subscriptions)
        object.__setattr__(self, "calls", calls)
        shared_limits = SharedLimits(subscriptions, self.clock.monotonic)
        object.__setattr__(self, "shared_limits", shared_limits)
        object.__setattr__(self, "objects", objects)
        object.__setattr__(self, "replica", _build_replica(config, self.database, self.clock))
        object.__setattr__(self, "sessions", sessions)


def build_seal(config: Config) -> Seal:
    """Seal with the configuration's keys; for development, with one in the data folder."""
    return make_seal(
        config.secret_keys.get_secret_value() if config.secret_keys else "",
        key_file=config.data_dir / KEY_FILE,
        may_make=config.database_url is None,
    )


async def watch_replica(replica: ReplicaReads) -> None:
    """Look again and again whether the standby may be read, until cancelled; then leave it."""
    try:
        await repeat_every(LOOK_EVERY_S, replica.look, "watching the standby", at_once=True)
    finally:
        await replica.close()


def _build_replica(config: Config, database: Database, clock: Clock) -> ReplicaReads:
    """Read from the standby, if there is one. Raise `StartRefused` for a URL that is none."""
    url = config.database_replica_url
    given = url.get_secret_value() if url is not None else ""
    if given and (problem := find_dsn_problem(given)):
        raise StartRefused(f"PLAYHALL_DATABASE_REPLICA_URL: {problem}; the format is {EXAMPLE_URL}")
    return ReplicaReads(
        database,
        open_replica=None
        if not given
        else partial(
            Database.open,
            given,
            pool_max=config.database_pool,
            allow_unsafe=True,  # nothing is written there
            only_reads=True,
        ),
        lag_max_s=config.database_replica_lag_s,
        now=clock.monotonic,
    )


def build_broker(config: Config) -> Broker:
    """Choose what carries notices between nodes. Raise `StartRefused` for a URL that is none."""
    if config.redis_url is None or not (url := config.redis_url.get_secret_value()):
        return MemoryBroker()
    # Only here: importing it takes a third of a second, which most commands need not wait.
    from persistence.broker.link import InvalidRedisUrl
    from persistence.broker.redis import RedisBroker

    try:
        seal = build_seal(config)
        return RedisBroker(url, keys=lambda: seal.derive_keys("broker"))
    except InvalidRedisUrl as error:
        raise StartRefused(f"PLAYHALL_REDIS_URL cannot be used: {error}.") from None
