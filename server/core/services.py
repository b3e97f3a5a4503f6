"""What every room stands on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from persistence.broker import Broker
from persistence.broker.memory import MemoryBroker
from persistence.database import Database
from persistence.errors import StartRefused
from persistence.rls import RlsDatabase
from server.config import Config
from server.core.clock import Clock
from server.core.subscriptions import Subscriptions
from server.core.tasks import Tasks
from server.gamekit.fold import AnyRuleset


@dataclass(frozen=True, slots=True)
class Services:
    """What the rooms stand on. The broker carries what `subscriptions` announces."""

    config: Config
    database: Database
    behalf: RlsDatabase
    node: str
    clock: Clock
    tasks: Tasks
    rulesets: Mapping[str, AnyRuleset]
    broker: Broker = field(default_factory=MemoryBroker)
    subscriptions: Subscriptions = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "subscriptions", Subscriptions(self.broker))


def broker_by(config: Config) -> Broker:
    """Choose what carries notices between nodes. Raise `StartRefused` for a URL that is none."""
    if config.redis_url is None or not (url := config.redis_url.get_secret_value()):
        return MemoryBroker()
    # Only here: importing it takes a third of a second, which most commands need not wait.
    from persistence.broker.link import BadUrl
    from persistence.broker.redis import RedisBroker

    try:
        return RedisBroker(url)
    except BadUrl as error:
        raise StartRefused(f"PLAYHALL_REDIS_URL cannot be used: {error}.") from None
