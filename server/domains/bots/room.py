"""The room of bots put together."""

from collections.abc import Callable, Sequence

from persistence.avatars import AvatarStore
from persistence.behalf import Behalf
from persistence.bots import BotStore
from persistence.bottokens import BotTokenStore
from persistence.database import Database
from persistence.wallets import WalletStore
from server.config import names_in
from server.domains.bots.adminroutes import BotAdminRoutes
from server.domains.bots.avatarroutes import AvatarRoutes
from server.domains.bots.passes import Passes, People, Sockets
from server.domains.bots.routes import BotRoutes
from server.domains.bots.siwe import Origin
from server.domains.bots.walletroutes import WalletRoutes
from server.gateway.http import Endpoint
from server.gateway.origins import ANY_ORIGIN
from server.kernel.clock import Clock
from server.kernel.tasks import Tasks


class BotRoom:
    """Everything of bots; `passes` says whose a token is, a bot's or a person's.

    `server` says where clients reach this node, `origins` are allowed pages, comma separated.
    """

    def __init__(
        self,
        *,
        database: Database,
        behalf: Behalf,
        people: People,
        sockets: Sockets,
        clock: Clock,
        server: Callable[[], str],
        origins: str,
    ) -> None:
        self.store = BotStore(database, behalf)
        self._tokens = BotTokenStore(database)
        self._wallets = WalletStore(database, behalf)
        self._avatars = AvatarStore(database, behalf)
        self._clock = clock
        self._server = server
        self._pages = [page for page in names_in(origins) if page != ANY_ORIGIN]
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
        wallets = WalletRoutes(
            store=self._wallets, passes=self.passes, origins=self._origins, clock=self._clock
        )
        avatars = AvatarRoutes(bots=self.store, avatars=self._avatars)
        return [
            *routes.endpoints(),
            *avatars.endpoints(),
            *admin.endpoints(),
            *wallets.endpoints(),
        ]

    def _origins(self) -> Sequence[Origin]:
        """List whose messages are taken: this server's own pages', and those of allowed origins."""
        return [Origin.of(url) for url in (self._server(), *self._pages)]
