"""The rooms of the daily competition, joined: bots, their chain, and epochs."""

from collections.abc import Callable

from prometheus_client.registry import Collector

from persistence.objects import ObjectMissing, Objects
from protocol.errors import NotFound
from server.core.services import Services
from server.domains.compete.blockchain.domain import chain_of
from server.domains.compete.bots.authentication import People, Sockets
from server.domains.compete.bots.domain import BotDomain
from server.domains.compete.epochs.domain import Epochs
from server.domains.compete.epochs.steps import require_profiles
from server.gateway.http.endpoints import Endpoint


class Competition:
    """Bots and the days they compete in.

    `people` says whose a token is that is no bot's, `server` where clients reach this node.
    """

    def __init__(
        self,
        base: Services,
        *,
        people: People,
        sockets: Sockets,
        objects: Objects,
        server: Callable[[], str],
    ) -> None:
        self._base = base
        self._objects = objects
        self.bots = BotDomain(
            database=base.database,
            behalf=base.behalf,
            subscriptions=base.subscriptions,
            people=people,
            sockets=sockets,
            clock=base.clock,
            server=server,
            origins=base.config.origins,
        )
        self.chain = chain_of(base.config, database=base.database, clock=base.clock)
        self.epochs = Epochs(
            base.database,
            base.behalf,
            subscriptions=base.subscriptions,
            clock=base.clock,
            tasks=base.tasks,
            node=base.node,
            owners_at=self.bots.store.owner_at,
            owners_known=self.chain.knows_owners_at,
            put=objects.put,
            get=self._read,
        )

    async def start(self) -> None:
        """Set going what must not stop; raise `StartRefused` where days cannot be made."""
        if self._base.config.epochs:
            await require_profiles(self.epochs.days)
        tasks = self._base.tasks
        self.chain.start(tasks)
        if self._base.config.epochs:
            tasks.loop(self.epochs.scheduler.run(), name="epochs")

    def endpoints(self) -> list[Endpoint]:
        """List the addresses."""
        return [*self.bots.endpoints(), *self.epochs.endpoints(), *self.chain.endpoints()]

    def collectors(self) -> list[Collector]:
        """List what Prometheus reads."""
        return [self.chain.collector, self.epochs.collector]

    async def _read(self, key: str) -> bytes:
        try:
            return await self._objects.read_whole(key)
        except ObjectMissing:
            raise NotFound("There is no such file; it may have been deleted.") from None
