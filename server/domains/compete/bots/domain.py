"""The room of bots put together."""

from collections.abc import Callable, Sequence

from persistence.bots.avatars import AvatarStore
from persistence.bots.store import BotStore
from persistence.bots.tokens import BotTokenStore
from persistence.bots.wallets import WalletStore
from persistence.database import Database
from persistence.rls import RlsDatabase
from server.config import names_in
from server.core.clock import Clock
from server.core.subscriptions import Subscriptions
from server.domains.compete.bots.authentication import BotAuthenticator, People, Sockets
from server.domains.compete.bots.avatar_http import AvatarRoutes
from server.domains.compete.bots.http import BotAdminRoutes, BotRoutes
from server.domains.compete.bots.siwe import Origin
from server.domains.compete.bots.wallet_http import WalletRoutes
from server.gateway.http.cors import ANY_ORIGIN
from server.gateway.http.endpoints import Endpoint


class BotDomain:
    """Everything of bots; `passes` says whose a token is, a bot's or a person's.

    `server` says where clients reach this node, `origins` are allowed pages, comma separated.
    """

    def __init__(
        self,
        *,
        database: Database,
        behalf: RlsDatabase,
        subscriptions: Subscriptions,
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
        self.passes = BotAuthenticator(
            store=self._tokens, subscriptions=subscriptions, people=people, sockets=sockets
        )

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
