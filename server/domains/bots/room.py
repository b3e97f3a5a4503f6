"""The room of bots put together."""

from persistence.behalf import Behalf
from persistence.bots import BotStore
from persistence.bottokens import BotTokenStore
from persistence.database import Database
from server.domains.bots.adminroutes import BotAdminRoutes
from server.domains.bots.passes import Passes, People, Sockets
from server.domains.bots.routes import BotRoutes
from server.gateway.http import Endpoint
from server.kernel.clock import Clock
from server.kernel.tasks import Tasks


class BotRoom:
    """Everything of bots; `passes` says whose a token is, a bot's or a person's."""

    def __init__(
        self,
        *,
        database: Database,
        behalf: Behalf,
        people: People,
        sockets: Sockets,
        clock: Clock,
    ) -> None:
        self.store = BotStore(database, behalf)
        self._tokens = BotTokenStore(database)
        self._clock = clock
        self.passes = Passes(store=self._tokens, people=people, sockets=sockets)

    def start(self, tasks: Tasks) -> None:
        """Set going what must not stop."""
        tasks.loop(self.passes.follow(), name="bots' tokens")

    def endpoints(self) -> list[Endpoint]:
        """List the addresses."""
        routes = BotRoutes(
            bots=self.store, tokens=self._tokens, passes=self.passes, clock=self._clock
        )
        admin = BotAdminRoutes(bots=self.store, passes=self.passes)
        return [*routes.endpoints(), *admin.endpoints()]
